"""Functions that several integration test modules share."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
import logging
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.auth.permissions import PermissionLookup, PolicyType
from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    issue_registry as ir,
    label_registry as lr,
)
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.helpers.translation import async_get_translations
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_fire_time_changed,
)

from custom_components.iot_portal.account import UPDATE_DELAY
from custom_components.iot_portal.const import DEFAULT_POLL_INTERVAL, DOMAIN
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID

type SeenEvents = list[tuple[str, dict[str, Any]]]

DEACTIVATION = {"changes": {"status": "DEACTIVATED"}}


def state_of(hass: HomeAssistant, iccid: str, key: str) -> str:
    """Return the state of a sensor of a SIM."""
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{iccid}_{key}")
    assert entity_id is not None
    state = hass.states.get(entity_id)
    assert state is not None
    return state.state


def exists(hass: HomeAssistant, iccid: str, key: str) -> bool:
    """Return whether a sensor of a SIM exists."""
    return er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{iccid}_{key}") is not None


def device_id(hass: HomeAssistant, entry: MockConfigEntry, identifier: str) -> str:
    """Return the ID of a device."""
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, identifier), entry.entry_id)
    assert device is not None
    return device.id


def user_with(hass: HomeAssistant, entities: PolicyType) -> MockUser:
    """Return a user whose group allows certain entities only."""
    user = MockUser().add_to_hass(hass)
    user.perm_lookup = PermissionLookup(er.async_get(hass), dr.async_get(hass))
    user.mock_policy({"entities": entities})
    return user


def name_sim(hass: HomeAssistant, entry: MockConfigEntry, iccid: str, kind: str) -> dict[str, str]:
    """Return a target that names a SIM by its device, an entity, or what either is assigned to."""
    device = device_id(hass, entry, iccid)
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{iccid}_status")
    assert entity_id is not None
    label = lr.async_get(hass).async_create(f"Label {iccid}").label_id
    floor = fr.async_get(hass).async_create(f"Floor {iccid}").floor_id
    area = ar.async_get(hass).async_create(f"Area {iccid}", floor_id=floor).id
    match kind:
        case "entity":
            return {"entity_id": entity_id}
        case "device":
            return {"device_id": device}
        case "label of an entity":
            er.async_get(hass).async_update_entity(entity_id, labels={label})
            return {"label_id": label}
        case "label":
            dr.async_get(hass).async_update_device(device, labels={label})
            return {"label_id": label}
    dr.async_get(hass).async_update_device(device, area_id=area)
    return {"area_id": area} if kind == "area" else {"floor_id": floor}


async def poll(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Advance time past the next poll, which follows the last by at most one and a half intervals."""
    freezer.tick(timedelta(minutes=DEFAULT_POLL_INTERVAL * 1.5 + 1))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


async def advance_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, time: timedelta
) -> None:
    """Advance the time of Home Assistant, but not the portal's clock."""
    freezer.tick(time)
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


async def wait_for_sums(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Advance time until the sums of an account have been updated."""
    freezer.tick(timedelta(seconds=UPDATE_DELAY + 1))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


async def call_action(
    hass: HomeAssistant, action: str, data: dict[str, Any], *, return_response: bool = True
) -> Any:
    """Call an action of the integration and return its response."""
    response = await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=return_response
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    return response


async def send_sms(hass: HomeAssistant, entry: MockConfigEntry, iccid: str = OTHER_ICCID) -> Any:
    """Send an SMS to a SIM and return the response."""
    data = {"device_id": device_id(hass, entry, iccid), "message": "Hello"}
    return await call_action(hass, "send_sms", data)


async def request_status_change(
    hass: HomeAssistant, entry: MockConfigEntry, status: str = "activated"
) -> Any:
    """Request a status for the documented SIM and return the response."""
    data = {"device_id": device_id(hass, entry, ICCID), "status": status}
    return await call_action(hass, "request_status_change", data)


async def wait_for_requests(portal: MockPortal, *paths: str) -> None:
    """Wait until the portal has received all requests, answered or not."""
    async with asyncio.timeout(60):
        while not all(portal.journal.find(*path.split(), unknown_sim=True) for path in paths):  # noqa: ASYNC110  a socket
            await asyncio.sleep(0.01)


def record_events(hass: HomeAssistant, key: str, iccid: str = ICCID) -> SeenEvents:
    """Return a list that receives the type and attributes of each event of a SIM's event entity."""
    entity_id = er.async_get(hass).async_get_entity_id("event", DOMAIN, f"{iccid}_{key}")
    assert entity_id is not None
    events: SeenEvents = []
    # With the type, as the time of a test may stand still.
    shown: set[tuple[str, str]] = set()

    @callback
    def record(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        # After a restart the entity restores its last event.
        if state is None or state.state in ("unavailable", "unknown"):
            return
        event_type = state.attributes["event_type"]
        if (state.state, event_type) not in shown:
            shown.add((state.state, event_type))
            events.append((event_type, dict(state.attributes)))

    async_track_state_change_event(hass, entity_id, record)
    return events


def log_messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages that the integration logged above debug level."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("custom_components.iot_portal") and record.levelno >= logging.INFO
    ]


def find_issue(hass: HomeAssistant, kind: str, entry: MockConfigEntry) -> ir.IssueEntry | None:
    """Return the repair issue of this kind for an account or one of its SIMs."""
    found = [
        item
        for (domain, issue_id), item in ir.async_get(hass).issues.items()
        if domain == DOMAIN and issue_id.startswith(f"{kind}.{entry.entry_id}.")
    ]
    assert len(found) <= 1
    return found[0] if found else None


async def edit_sims(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    iccids: Iterable[str] = (ICCID, OTHER_ICCID),
    data: dict[str, Any] | None = None,
) -> Any:
    """Edit SIMs in bulk and return the response."""
    sims = [device_id(hass, entry, iccid) for iccid in iccids]
    return await call_action(
        hass, "bulk_edit_devices", {"device_id": sims, **(data or DEACTIVATION)}
    )


def sent_bulk_edit(portal: MockPortal) -> Any:
    """Return the body of the only bulk edit that the portal received."""
    (exchange,) = portal.journal.find("PUT", "/BulkEditDevice")
    return exchange.body


def bulk_edit_event(hass: HomeAssistant) -> dict[str, Any]:
    """Return the attributes of the account's bulk edit event entity."""
    state = hass.states.get("event.demo_client_bulk_edit")
    assert state is not None
    return dict(state.attributes)


async def until_reported(hass: HomeAssistant, portal: MockPortal) -> None:
    """Make the portal carry out the bulk edit and call the webhook, and wait for the event."""
    portal.clock.advance(portal.state.timings.bulk_seconds + 1)
    async with asyncio.timeout(10):
        while bulk_edit_event(hass)["event_type"] is None:  # noqa: ASYNC110  it comes over a real socket
            await asyncio.sleep(0.02)
    await hass.async_block_till_done(wait_background_tasks=True)


async def report_bulk_edit(
    hass: HomeAssistant, reachable: Any, path_and_queue_id: tuple[str, str], **fields: Any
) -> None:
    """Report the end of a bulk edit as the portal would, and wait until its SIMs have been read."""
    path, queue_id = path_and_queue_id
    await reachable.post(path, json={"queueId": queue_id} | fields)
    await hass.async_block_till_done(wait_background_tasks=True)


async def open_sim_dialog(hass: HomeAssistant, entry_id: str) -> str:
    """Open the dialog that adds SIMs and return its flow ID."""
    result = await hass.config_entries.subentries.async_init(
        (entry_id, "sim"), context={"source": SOURCE_USER}
    )
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "user"
    assert not result["errors"]
    return str(result["flow_id"])


async def submit_sim_form(hass: HomeAssistant, flow_id: str, typed: str | None) -> Any:
    """Submit a form of the dialog that adds SIMs, and wait until the SIMs have been checked."""
    user_input = {} if typed is None else {"iccids": typed}
    result = await hass.config_entries.subentries.async_configure(flow_id, user_input)
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def submit_sim_form_to_end(hass: HomeAssistant, flow_id: str, typed: str | None) -> Any:
    """Submit a form of the dialog that adds SIMs, and return the step that follows the progress."""
    result = await submit_sim_form(hass, flow_id, typed)
    if result["type"] is FlowResultType.SHOW_PROGRESS:
        texts = await async_get_translations(hass, "en", "config_subentries", [DOMAIN])
        prefix = f"component.{DOMAIN}.config_subentries.sim"
        assert texts[f"{prefix}.progress.{result['progress_action']}"]
        assert texts[f"{prefix}.step.{result['step_id']}.title"]
        result = await hass.config_entries.subentries.async_configure(flow_id)
        await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def check_sims(hass: HomeAssistant, entry_id: str, typed: str) -> Any:
    """Open the dialog that adds SIMs, submit ICCIDs and return the summary or an error."""
    return await submit_sim_form_to_end(hass, await open_sim_dialog(hass, entry_id), typed)


def sims_field(result: Any) -> str:
    """Return the text in a form of the dialog that adds SIMs."""
    (marker,) = [key for key in result["data_schema"].schema if key == "iccids"]
    return str(marker.description["suggested_value"])


async def confirm_sims(hass: HomeAssistant, result: Any) -> Any:
    """Submit the summary of the dialog that adds SIMs as it is shown, and return the next step."""
    return await submit_sim_form_to_end(hass, result["flow_id"], sims_field(result))


async def add_sims(hass: HomeAssistant, entry_id: str, typed: str) -> Any:
    """Add SIMs with the dialog, and return its last step."""
    result = await check_sims(hass, entry_id, typed)
    assert result["step_id"] == "summary"
    return await confirm_sims(hass, result)
