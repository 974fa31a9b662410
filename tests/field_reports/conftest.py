"""Fixtures: a portal that a test tells each answer, the client, and Home Assistant in front of it."""

from collections.abc import AsyncIterator
from typing import Any

from aiohttp import ClientSession
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity import Entity
import pytest

from custom_components.iot_portal.api import Credentials, IotPortalClient
from tests.common import UnlimitedPacer

from .home import ICCID, OTHER_ICCID, Home
from .odd_portal import OddPortal


@pytest.fixture
async def portal(socket_enabled: None) -> AsyncIterator[OddPortal]:
    """Return a portal with the published SIM and another one, both activated."""
    async with OddPortal(ICCID, OTHER_ICCID) as portal:
        for iccid in (ICCID, OTHER_ICCID):
            portal.set(iccid, status="ACTIVATED", ctdSessionCount=1)
        yield portal


@pytest.fixture
async def client(portal: OddPortal, no_waiting: None) -> AsyncIterator[IotPortalClient]:
    """Return a client that does not wait."""
    credentials = Credentials(client_id="an-id", secret_key="a-secret")
    async with ClientSession() as session:
        yield IotPortalClient(
            session, portal.url, credentials, pacer=UnlimitedPacer(), retry_wait=0
        )


@pytest.fixture
def now(freezer: FrozenDateTimeFactory) -> None:
    """Freeze time in the middle of a billing cycle."""
    freezer.move_to("2026-11-14 12:00:00+00:00")


@pytest.fixture
async def home(
    now: None,
    enable_custom_integrations: None,
    hass_storage: dict[str, Any],
    no_waiting: None,
    monkeypatch: pytest.MonkeyPatch,
    portal: OddPortal,
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> Home:
    """Return a Home Assistant with all entities enabled."""
    monkeypatch.setattr(
        Entity, "entity_registry_enabled_default", property(lambda _: True), raising=True
    )
    await hass.config.async_set_time_zone("UTC")
    return Home(hass, portal, freezer, caplog)
