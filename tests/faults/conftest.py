"""Fixtures: Home Assistant with a portal that can fail, and a wall clock that can jump."""

from collections.abc import Sequence
from typing import Any, override

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest

from custom_components.iot_portal import client_factory
from custom_components.iot_portal.api import IotPortalClient
from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal
from mock_portal.faults import FaultKind
from tests.integration.conftest import (
    SetUp,
    account,
    all_entities,
    integration,
    portal,
    set_up,
)

from .clock import WallClock
from .harness import FaultHarness
from .rules import LONG

__all__ = ["account", "all_entities", "integration", "portal", "set_up"]

IMPATIENCE = 0.25
PATIENCE = 30
PLATFORMS = ("binary_sensor", "button", "event", "notify", "sensor", "switch", "webhook")


@pytest.fixture
def clock(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """Return the clock that Home Assistant reads."""
    return WallClock(hass, monkeypatch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, portal: MockPortal) -> None:
    """Give the client a short timeout for requests that will get no answer."""

    class ImpatientClient(IotPortalClient):
        """A client that knows which requests will get no answer."""

        @override
        async def _send(self, method: str, path: Sequence[str], *args: Any) -> Any:
            """Send a request."""
            gets_no_answer = any(
                fault.route == path[0] and (fault.kind is FaultKind.HANG or fault.seconds == LONG)
                for fault in portal.faults
            )
            self._timeout = self._poll_timeout = IMPATIENCE if gets_no_answer else PATIENCE
            return await super()._send(method, path, *args)

    monkeypatch.setattr(client_factory, "IotPortalClient", ImpatientClient)


@pytest.fixture
async def harness(
    hass: HomeAssistant,
    portal: MockPortal,
    clock: WallClock,
    caplog: pytest.LogCaptureFixture,
    set_up: SetUp,
    all_entities: None,
) -> FaultHarness:
    """Return the harness of an account; components that outlive the account are loaded before."""
    for component in (*PLATFORMS, DOMAIN):
        assert await async_setup_component(hass, component, {})
    await hass.async_block_till_done()
    return FaultHarness(hass, portal, clock, caplog, set_up)
