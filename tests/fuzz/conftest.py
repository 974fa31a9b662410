"""Fixtures: a way to await in synchronous tests, and Home Assistant with a fake session."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
import logging
from typing import Any

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity import Entity
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal import client_factory
from custom_components.iot_portal.const import DOMAIN

from .fake_session import FakeSession
from .strategies import ICCID

type Run = Callable[[Awaitable[Any]], Any]


@pytest.fixture
async def run() -> Run:
    """Return a function that awaits an awaitable in a synchronous test."""
    loop = asyncio.get_running_loop()

    async def wait(call: Awaitable[Any]) -> Any:
        return await call

    return lambda call: loop.run_until_complete(wait(call))


@pytest.fixture
def fake_session(
    enable_custom_integrations: None,
    hass_storage: dict[str, Any],
    no_waiting: None,
    monkeypatch: pytest.MonkeyPatch,
) -> FakeSession:
    """Return the session of the integration's client, which answers as it is told, and enable all entities."""
    session = FakeSession()
    monkeypatch.setattr(
        client_factory,
        "async_get_sessions",
        lambda _: (session.client_session, session.client_session),
    )
    monkeypatch.setattr(
        Entity, "entity_registry_enabled_default", property(lambda _: True), raising=True
    )
    return session


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    """Return an account with a SIM whose SMS are watched; it is not set up yet."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="demo-client",
        data={"base_url": "https://portal.example/api", "client_id": "a", "secret_key": "b"},
        options={"watch_sms": True},
        unique_id="a@https://portal.example/api",
        subentries_data=[
            ConfigSubentryData(
                data={"iccid": ICCID}, subentry_type="sim", title="A SIM", unique_id=ICCID
            )
        ],
    )
    entry.add_to_hass(hass)
    return entry


class Complaints(logging.Handler):
    """A log handler that collects tracebacks, and errors of Home Assistant."""

    def __init__(self) -> None:
        """Start without lines."""
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Collect a record, unless it is an ordinary error that the integration logs."""
        if record.exc_info or not record.name.startswith("custom_components"):
            self.lines.append(f"{record.name}: {record.getMessage()} {record.exc_info}")


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Return the collected log lines."""
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    yield complaints
    logging.getLogger().removeHandler(complaints)
