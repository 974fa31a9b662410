"""Home Assistant, the portal and what of them a user, or whoever looks after them, can see."""

import asyncio
from collections.abc import Mapping
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
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util.async_ import get_scheduled_timer_handles
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal
from tests.integration.conftest import ICCID, OTHER_ICCID, SetUp
from tests.integration.helpers import call_action, device_id

from .clock import WallClock
from .rules import Keys

PACKAGE = "custom_components.iot_portal"
# Beyond the interval of the polls and any place within it, and beyond what is read every few hours only.
A_POLL = timedelta(minutes=24)
HOURS = timedelta(hours=7)
DAY = timedelta(days=1)


class FaultHarness:
    """Everything around one account with two SIMs, of which the first is to be hit."""

    def __init__(
        self,
        hass: HomeAssistant,
        portal: MockPortal,
        clock: WallClock,
        caplog: pytest.LogCaptureFixture,
        set_up: SetUp,
    ) -> None:
        """Note how things are before there is an account."""
        self.hass = hass
        self.portal = portal
        self.clock = clock
        self.told: list[str] = []
        self._moments: set[str] = set()
        self._caplog = caplog
        self._set_up = set_up
        caplog.clear()
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._note_event)
        # It stays when the account has gone.
        self._session = async_get_clientsession(hass)
        self._listeners = self._count_listeners()

    async def set_up(self, options: dict[str, Any]) -> None:
        """Set the account up."""
        self.entry: MockConfigEntry = await self._set_up(ICCID, OTHER_ICCID, options=options)

    async def poll(self) -> None:
        """Let one poll of each SIM come, at a time at which all of it is read."""
        self.clock.jump(HOURS)
        await self.clock.wait(A_POLL)

    async def reload(self) -> None:
        """Do what Home Assistant does once somebody has logged in again."""
        await self.hass.config_entries.async_reload(self.entry.entry_id)
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def refresh(self) -> None:
        """Press the button of the first SIM."""
        await self.hass.services.async_call(
            "button", "press", {"entity_id": f"button.sim_{ICCID}_refresh"}, blocking=True
        )
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def act(self, action: str, data: Mapping[str, Any]) -> HomeAssistantError | None:
        """Take an action on the first SIM, or on its account; return what a person is told that went wrong."""
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
        """Return how many requests the portal can have acted on; one that is refused for its token is none."""
        return sum(call.status != 401 for call in self.portal.journal.find("PUT", route=route))

    def shown(self, owner: str) -> Keys:
        """Return the entities of a SIM that show something, as `platform.key`."""
        entries = er.async_entries_for_config_entry(er.async_get(self.hass), self.entry.entry_id)
        return frozenset(
            f"{item.domain}.{item.unique_id.removeprefix(f'{owner}_')}"
            for item in entries
            if item.unique_id.startswith(f"{owner}_")
            and (state := self.hass.states.get(item.entity_id)) is not None
            and state.state != STATE_UNAVAILABLE
            # It comes with the first SMS.
            and not item.unique_id.endswith("last_sms_status")
        )

    def log(self) -> list[str]:
        """Return what stands in the log since the last look: all of ours, and what troubles anybody else."""
        lines = [
            record.getMessage()
            for record in self._caplog.get_records("call")
            # The mock minds when a client hangs up.
            if (record.levelno >= logging.WARNING and record.name != "aiohttp.server")
            or (record.name.startswith(PACKAGE) and record.levelno >= logging.INFO)
        ]
        # Home Assistant and asyncio mind a machine that stands still for a moment.
        lines = [line for line in lines if not re.search(r" took \d+\.\d+ seconds", line)]
        self._caplog.clear()
        return lines

    @property
    def log_in_requests(self) -> int:
        """Return how many times a person is asked to log in again."""
        return len(self.hass.config_entries.flow.async_progress_by_handler(DOMAIN))

    @property
    def repairs(self) -> list[str]:
        """Return what a person is asked to repair."""
        return [issue for domain, issue in ir.async_get(self.hass).issues if domain == DOMAIN]

    async def unload(self) -> None:
        """Let go of the account, and see that it leaves nothing behind."""
        account = getattr(self.entry, "runtime_data", None)
        assert await self.hass.config_entries.async_unload(self.entry.entry_id)
        await self.hass.async_block_till_done(wait_background_tasks=True)
        assert not self._left_behind()
        connector = self._session.connector
        assert connector is not None
        # Those that are not in use stay with Home Assistant's own session, for whoever comes next.
        assert not connector._acquired  # noqa: SLF001  aiohttp tells nobody
        if account is not None:
            for coordinator in (account.account, *account.sims.values()):
                assert not coordinator._listeners  # noqa: SLF001  nor does Home Assistant
        self.portal.journal.clear()
        await self.clock.wait(DAY)
        assert not list(self.portal.journal)
        assert self._count_listeners() == self._listeners

    def _count_listeners(self) -> dict[Any, int]:
        """Return how many listen to which events."""
        counts: dict[Any, int] = dict(self.hass.bus.async_listeners())
        # Home Assistant's registries have something to write.
        counts.pop(EVENT_HOMEASSISTANT_FINAL_WRITE, None)
        return counts

    def _left_behind(self) -> list[str]:
        """Return the tasks and timers of ours."""
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
        """Keep what the event entities of the first SIM tell."""
        state = event.data["new_state"]
        if state is None or not state.entity_id.startswith(f"event.sim_{ICCID}_"):
            return
        # The state is the moment; after a restart the entity shows the last one again.
        if state.state not in {STATE_UNAVAILABLE, STATE_UNKNOWN, *self._moments}:
            self._moments.add(state.state)
            self.told.append(state.attributes["event_type"])
