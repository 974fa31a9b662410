"""What a user of Home Assistant sees of an account, and can do."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
import logging
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_USER, ConfigSubentryData
from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.iot_portal.account import UPDATE_DELAY
from custom_components.iot_portal.const import DEFAULT_POLL_INTERVAL, DOMAIN

from .odd_portal import OddPortal

ICCID = "8931082322089353632"
OTHER_ICCID = "8931080000000000011"
# The next poll follows the last by at most one and a half intervals, and by half of one at least.
A_POLL = timedelta(minutes=DEFAULT_POLL_INTERVAL * 1.5 + 1)
MB = 10**6


class Home:
    """A Home Assistant with an account at the odd portal."""

    def __init__(
        self,
        hass: HomeAssistant,
        portal: OddPortal,
        freezer: FrozenDateTimeFactory,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Start without an account."""
        self.hass = hass
        self.portal = portal
        self.freezer = freezer
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._caplog = caplog
        self._seen: set[str] = set()
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._note)

    async def start(
        self,
        *iccids: str,
        options: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Set up the account with SIMs that have these settings."""
        self.entry = MockConfigEntry(
            domain=DOMAIN,
            title="account",
            data={"base_url": self.portal.url, "client_id": "an-id", "secret_key": "a-secret"},
            options=dict(options or {}),
            unique_id=f"an-id@{self.portal.url}",
            subentries_data=[
                ConfigSubentryData(
                    data={"iccid": iccid, **(settings or {})},
                    subentry_type="sim",
                    title=f"SIM {iccid}",
                    unique_id=iccid,
                )
                for iccid in iccids or (ICCID,)
            ],
        )
        self.entry.add_to_hass(self.hass)
        await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self.settle()

    def use(self, megabytes: float | None, iccid: str = ICCID) -> None:
        """Set the data usage that the portal reports; None is its null."""
        usage = None if megabytes is None else round(megabytes * MB)
        self.portal.set(iccid, ctdDataUsage=usage)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def wait(self, time: timedelta) -> None:
        """Advance time in one step."""
        self.freezer.tick(time)
        async_fire_time_changed(self.hass)
        await self.settle()

    async def poll(self, times: int = 1) -> None:
        """Advance time past so many polls of each SIM."""
        for _ in range(times):
            await self.wait(A_POLL)

    async def hours(self, hours: float) -> None:
        """Advance time by hours of polls."""
        await self.poll(round(timedelta(hours=hours) / A_POLL))

    async def unload(self) -> None:
        """Unload the account."""
        await self.hass.config_entries.async_unload(self.entry.entry_id)
        await self.settle()

    async def load(self) -> None:
        """Set the account up again."""
        await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self.settle()

    async def reload(self) -> None:
        """Reload the account, as a restart does."""
        await self.unload()
        await self.load()

    async def refresh(self) -> None:
        """Press the refresh button of the SIM; the entities show whether it can be read."""
        with suppress(HomeAssistantError):
            await self.hass.services.async_call(
                "button", "press", {"entity_id": self.entity_id("button.refresh")}, blocking=True
            )
        await self.settle()

    async def act(self, action: str, iccid: str = ICCID, **data: Any) -> Any:
        """Call an action for a SIM and return its response."""
        device = dr.async_get(self.hass).async_get_device_by_identifier(
            (DOMAIN, iccid), self.entry.entry_id
        )
        assert device is not None
        response = await self.hass.services.async_call(
            DOMAIN, action, {"device_id": device.id} | data, blocking=True, return_response=True
        )
        await self.settle()
        return response

    async def add_sims(self, typed: str) -> Any:
        """Type ICCIDs into the dialog that adds SIMs, confirm those that were found, and return the last step."""
        flows = self.hass.config_entries.subentries
        flow = await flows.async_init((self.entry.entry_id, "sim"), context={"source": SOURCE_USER})
        result: Any = await flows.async_configure(flow["flow_id"], {"iccids": typed})
        await self.settle()
        if result["type"] is FlowResultType.SHOW_PROGRESS:
            result = await flows.async_configure(flow["flow_id"])
            await self.settle()
        if result["step_id"] == "summary" and not result["errors"]:
            (shown,) = result["data_schema"].schema
            result = await flows.async_configure(
                flow["flow_id"], {"iccids": shown.description["suggested_value"]}
            )
            await self.settle()
        return result

    @property
    def iccids(self) -> list[str]:
        """Return the ICCIDs of the SIMs that are there."""
        return [subentry.data["iccid"] for subentry in self.entry.subentries.values()]

    def entity_id(self, key: str, owner: str = ICCID) -> str:
        """Return the entity id of `platform.key`, or of a sensor by its key alone."""
        platform, _, name = key.rpartition(".")
        entity_id = er.async_get(self.hass).async_get_entity_id(
            platform or "sensor", DOMAIN, f"{owner}_{name}"
        )
        assert entity_id is not None, f"there is no {key}"
        return entity_id

    def shows(self, key: str, owner: str = ICCID) -> str:
        """Return the state of an entity; an entity that was never added shows nothing."""
        platform, _, name = key.rpartition(".")
        entity_id = er.async_get(self.hass).async_get_entity_id(
            platform or "sensor", DOMAIN, f"{owner}_{name}"
        )
        state = None if entity_id is None else self.hass.states.get(entity_id)
        return STATE_UNKNOWN if state is None else state.state

    def megabytes(self, owner: str = ICCID, key: str = "data_usage") -> float:
        """Return the data usage that is shown."""
        return float(self.shows(key, owner))

    async def total(self, key: str) -> str:
        """Return the state of a sensor of the account, once its sums have been updated."""
        await self.wait(timedelta(seconds=UPDATE_DELAY + 1))
        return self.shows(key, self.entry.entry_id)

    @property
    def kinds(self) -> list[str]:
        """Return the types of the events so far."""
        return [kind for kind, _ in self.told]

    @property
    def asks_for_secret(self) -> bool:
        """Return whether a new secret is asked for."""
        flows = self.hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        return any(flow["context"]["source"] == SOURCE_REAUTH for flow in flows)

    @property
    def repairs(self) -> list[str]:
        """Return the kinds of the repair issues."""
        issues = ir.async_get(self.hass).issues
        return [issue.partition(".")[0] for domain, issue in issues if domain == DOMAIN]

    @property
    def tracebacks(self) -> list[str]:
        """Return the log lines with a traceback."""
        return [
            record.getMessage()
            for record in self._caplog.records
            if record.exc_info and record.levelno >= logging.WARNING
        ]

    def log(self, level: int = logging.INFO) -> list[str]:
        """Return what the integration logged, from a level on."""
        return [
            record.getMessage()
            for record in self._caplog.records
            if record.name.startswith("custom_components.iot_portal") and record.levelno >= level
        ]

    @callback
    def _note(self, event: Event[EventStateChangedData]) -> None:
        """Record an event of an event entity; after a reload the last one is restored."""
        state = event.data["new_state"]
        if state is None or state.domain != "event":
            return
        moment = f"{state.entity_id} {state.state} {state.attributes.get('event_type')}"
        if state.state in {STATE_UNAVAILABLE, STATE_UNKNOWN} or moment in self._seen:
            return
        self._seen.add(moment)
        self.told.append((state.attributes["event_type"], dict(state.attributes)))
