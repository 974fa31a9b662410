"""An account under faults: what can be done with it, and what a user or maintainer can see."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
import logging
import re
from typing import Any

from homeassistant.const import (
    EVENT_HOMEASSISTANT_FINAL_WRITE,
    EVENT_STATE_CHANGED,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.util.async_ import get_scheduled_timer_handles
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.client_factory import async_get_sessions
from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal
from tests.integration.conftest import ICCID, OTHER_ICCID, SetUp
from tests.integration.helpers import call_action, device_id

from .clock import WallClock
from .rules import Keys

PACKAGE = "custom_components.iot_portal"
# Longer than the poll interval with its spread, and than the interval of data read every few hours.
A_POLL = timedelta(minutes=24)
HOURS = timedelta(hours=7)
DAY = timedelta(days=1)


class FaultHarness:
    """An account with two SIMs, of which the first is affected by faults."""

    def __init__(
        self,
        hass: HomeAssistant,
        portal: MockPortal,
        clock: WallClock,
        caplog: pytest.LogCaptureFixture,
        set_up: SetUp,
    ) -> None:
        """Store the parts, and record the state before there is an account."""
        self.hass = hass
        self.portal = portal
        self.clock = clock
        self.events: list[str] = []
        self._moments: set[str] = set()
        self._caplog = caplog
        self._set_up = set_up
        caplog.clear()
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._note_event)
        # They outlive the account.
        self._sessions = async_get_sessions(hass)
        self._listeners = self._count_listeners()

    async def set_up(self, options: dict[str, Any]) -> None:
        """Set up the account."""
        self.entry: MockConfigEntry = await self._set_up(ICCID, OTHER_ICCID, options=options)

    async def poll(self) -> None:
        """Advance time by one poll of each SIM, in which everything is read."""
        self.clock.jump(HOURS)
        await self.clock.wait(A_POLL)

    async def reload(self) -> None:
        """Reload the account, as Home Assistant does after a reauthentication."""
        await self.hass.config_entries.async_reload(self.entry.entry_id)
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def refresh(self) -> None:
        """Press the refresh button of the first SIM; its entities show whether it can be read."""
        with suppress(HomeAssistantError):
            await self.hass.services.async_call(
                "button", "press", {"entity_id": f"button.sim_{ICCID}_refresh"}, blocking=True
            )
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def act(self, action: str, data: Mapping[str, Any]) -> HomeAssistantError | None:
        """Call an action for the first SIM or its account; return the error, if any."""
        subject: dict[str, Any] = (
            {"config_entry_id": self.entry.entry_id}
            if action == "update_rule"
            else {"device_id": device_id(self.hass, self.entry, ICCID)}
        )
        try:
            await call_action(self.hass, action, {**subject, **data})
        except HomeAssistantError as err:
            return err
        return None

    def writes(self, route: str) -> int:
        """Return the number of writes that the portal can have carried out; 401 refuses a write."""
        return sum(call.status != 401 for call in self.portal.journal.find("PUT", route=route))

    def shown(self, owner: str) -> Keys:
        """Return the available entities of a SIM as `platform.key`."""
        entries = er.async_entries_for_config_entry(er.async_get(self.hass), self.entry.entry_id)
        return frozenset(
            f"{item.domain}.{item.unique_id.removeprefix(f'{owner}_')}"
            for item in entries
            if item.unique_id.startswith(f"{owner}_")
            and (state := self.hass.states.get(item.entity_id)) is not None
            and state.state != STATE_UNAVAILABLE
            # This entity has no state before the first SMS.
            and not item.unique_id.endswith("last_sent_sms")
        )

    def log(self) -> list[str]:
        """Return new log messages: the integration's from info level on, and others' from warning level on."""
        lines = [
            record.getMessage()
            for record in self._caplog.get_records("call")
            # The mock's server logs clients that disconnect.
            if (record.levelno >= logging.WARNING and record.name != "aiohttp.server")
            or (record.name.startswith(PACKAGE) and record.levelno >= logging.INFO)
        ]
        # Home Assistant and asyncio warn of a slow machine.
        lines = [line for line in lines if not re.search(r" took \d+\.\d+ seconds", line)]
        self._caplog.clear()
        return lines

    @property
    def log_in_requests(self) -> int:
        """Return the number of reauthentication flows."""
        return len(self.hass.config_entries.flow.async_progress_by_handler(DOMAIN))

    @property
    def repairs(self) -> list[str]:
        """Return the IDs of the repair issues."""
        return [issue for domain, issue in ir.async_get(self.hass).issues if domain == DOMAIN]

    async def unload(self) -> None:
        """Unload the account, and check that no listener, task, timer or request remains."""
        account = getattr(self.entry, "runtime_data", None)
        assert await self.hass.config_entries.async_unload(self.entry.entry_id)
        await self.hass.async_block_till_done(wait_background_tasks=True)
        assert not self._left_behind()
        for session in self._sessions:
            assert session.connector is not None
            # Idle connections of reads remain in Home Assistant's connector.
            assert not session.connector._acquired  # noqa: SLF001  aiohttp tells nobody
        if account is not None:
            for coordinator in (account.account, *account.sims.values()):
                assert not coordinator._listeners  # noqa: SLF001  nor does Home Assistant
        self.portal.journal.clear()
        await self.clock.wait(DAY)
        assert not list(self.portal.journal)
        assert self._count_listeners() == self._listeners

    def _count_listeners(self) -> dict[Any, int]:
        """Return the number of listeners of each event."""
        counts: dict[Any, int] = dict(self.hass.bus.async_listeners())
        # Home Assistant's registries listen while they have changes to write.
        counts.pop(EVENT_HOMEASSISTANT_FINAL_WRITE, None)
        return counts

    def _left_behind(self) -> list[str]:
        """Return the tasks and timers of the integration."""
        left = [repr(task) for task in asyncio.all_tasks()]
        timers: list[Any] = get_scheduled_timer_handles(self.hass.loop)
        left += [
            # asyncio shows them in its debug mode only.
            repr((timer._callback, timer._args))  # noqa: SLF001
            for timer in timers
            if not timer.cancelled()
        ]
        return [thing for thing in left if DOMAIN in thing]

    @callback
    def _note_event(self, event: Event[EventStateChangedData]) -> None:
        """Record the events of the first SIM's event entities."""
        state = event.data["new_state"]
        if state is None or not state.entity_id.startswith(f"event.sim_{ICCID}_"):
            return
        # The state is the time of the event; after a restart the last one is restored.
        if state.state not in {STATE_UNAVAILABLE, STATE_UNKNOWN, *self._moments}:
            self._moments.add(state.state)
            self.events.append(state.attributes["event_type"])
