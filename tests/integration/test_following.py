"""Every write is followed to its end, also after a restart, and its end is one event."""

import asyncio
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.db_schema import MAX_STATE_ATTRS_BYTES
from homeassistant.const import (
    ATTR_ENTITY_ID,
    EVENT_HOMEASSISTANT_STARTED,
    STATE_OFF,
    STATE_ON,
)
from homeassistant.core import CoreState, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.helpers.json import json_bytes
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.iot_portal import account
from custom_components.iot_portal.const import CONF_WATCH_SMS, DOMAIN
from custom_components.iot_portal.follow_up import PATIENCE, QUICK_CHECKS
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    advance_time,
    call_action,
    device_id,
    poll,
    record_events,
    request_status_change,
    send_sms,
    state_of,
    wait_for_requests,
    wait_for_sums,
)


def pending(hass: HomeAssistant) -> str:
    """Return the state of the binary sensor for a pending status change."""
    state = hass.states.get(f"binary_sensor.sim_{ICCID}_change_pending")
    assert state is not None
    return state.state


def record_states(hass: HomeAssistant, key: str) -> list[str]:
    """Return a list that receives each state that a sensor of the first SIM changes to, but unavailable."""
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{ICCID}_{key}")
    assert entity_id is not None
    states: list[str] = []

    @callback
    def record(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        if state is not None and state.state not in ("unavailable", *states[-1:]):
            states.append(state.state)

    async_track_state_change_event(hass, entity_id, record)
    return states


def repair(hass: HomeAssistant, entry: MockConfigEntry, kind: str) -> ir.IssueEntry | None:
    """Return a repair issue of the first SIM."""
    (subentry,) = [sub for sub in entry.subentries.values() if sub.unique_id == ICCID]
    return ir.async_get(hass).async_get_issue(
        DOMAIN, f"{kind}.{entry.entry_id}.{subentry.subentry_id}"
    )


async def test_confirmed_at_once(hass: HomeAssistant, set_up: SetUp) -> None:
    """A status that takes effect at once is confirmed at once."""
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")

    await request_status_change(hass, entry)

    ((event, attributes),) = happened
    assert event == "status_change_confirmed"
    assert (attributes["from"], attributes["to"]) == ("inventory", "activated")
    assert attributes["requested_at"]
    assert attributes["took_seconds"] == 0
    assert pending(hass) == STATE_OFF
    assert state_of(hass, ICCID, "status") == "activated"


async def test_sum_after_a_change(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The number of activated SIMs counts a status that a quick read has confirmed, before the next poll."""
    portal.dialects["status_change"] = "after_seconds"
    entry = await set_up(ICCID)
    await wait_for_sums(hass, freezer)
    activated = "sensor.demo_client_activated_sims"
    assert hass.states.is_state(activated, "0")
    await request_status_change(hass, entry)
    await wait_for_sums(hass, freezer)

    for seconds in (5, 10, 15, 30):
        await advance_time(hass, freezer, timedelta(seconds=seconds))
        portal.clock.advance(seconds)
    await wait_for_sums(hass, freezer)

    assert state_of(hass, ICCID, "status") == "activated"
    assert hass.states.is_state(activated, "1")


async def test_confirmed_later(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A status that takes half a minute is pending until a quick read confirms it; then no more follow."""
    portal.dialects["status_change"] = "after_seconds"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")

    await request_status_change(hass, entry)

    assert pending(hass) == STATE_ON
    state = hass.states.get(f"binary_sensor.sim_{ICCID}_change_pending")
    assert state is not None
    assert state.attributes["requested_status"] == "activated"
    assert not happened

    for seconds in (5, 10, 15, 30):
        await advance_time(hass, freezer, timedelta(seconds=seconds))

    assert [event for event, _ in happened] == ["status_change_confirmed"]
    assert pending(hass) == STATE_OFF
    assert state_of(hass, ICCID, "status") == "activated"
    portal.journal.clear()
    await advance_time(hass, freezer, timedelta(minutes=2))
    assert len(portal.journal) == 0


async def test_confirmed_by_a_poll(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """After the quick reads the polls follow the status, without reads in between."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    portal.journal.clear()
    passed = timedelta()
    for moment in QUICK_CHECKS:
        await advance_time(hass, freezer, moment - passed)
        passed = moment
    assert len(portal.journal.find("GET", f"/getStatus/{ICCID}")) == len(QUICK_CHECKS)

    portal.sims[ICCID].set_status("ACTIVATED")
    await poll(hass, freezer)

    assert [event for event, _ in happened] == ["status_change_confirmed"]
    assert len(portal.journal.find("GET", f"/getStatus/{ICCID}")) == len(QUICK_CHECKS)


async def test_timed_out(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A status that is not confirmed within a day has a repair issue until it is confirmed after all."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)

    for _ in QUICK_CHECKS:
        await advance_time(hass, freezer, timedelta(minutes=10))
    await advance_time(hass, freezer, PATIENCE)

    ((event, attributes),) = happened
    assert event == "status_change_timed_out"
    assert attributes["requested_status"] == "activated"
    assert attributes["still"] == "inventory"
    assert pending(hass) == STATE_OFF
    issue = repair(hass, entry, "status_change_timed_out")
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["status"] == "Activated"

    # The repair issue is there again after a restart, until the status is confirmed.
    await hass.config_entries.async_unload(entry.entry_id)
    ir.async_delete_issue(hass, DOMAIN, issue.issue_id)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert repair(hass, entry, "status_change_timed_out") is not None
    portal.sims[ICCID].set_status("ACTIVATED")
    await poll(hass, freezer)

    assert repair(hass, entry, "status_change_timed_out") is None
    assert [event for event, _ in happened] == ["status_change_timed_out", "status_changed"]


async def test_timed_out_without_a_read(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A timeout has the current status from quick reads, even if the SIM could not be read since a restart."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    portal.faults.add("status", route="ctdUsage", status=500)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    for _ in QUICK_CHECKS:
        await advance_time(hass, freezer, timedelta(minutes=10))
    await advance_time(hass, freezer, PATIENCE)

    ((event, attributes),) = happened
    assert event == "status_change_timed_out"
    assert attributes["still"] == "inventory"


async def test_replaced(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Another status request supersedes the first, and only the second is followed."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry, "activated")
    await request_status_change(hass, entry, "deactivated")

    ((event, attributes),) = happened
    assert event == "status_change_replaced"
    assert attributes["requested_status"] == "activated"
    assert attributes["replaced_by"] == "deactivated"

    portal.journal.clear()
    await advance_time(hass, freezer, QUICK_CHECKS[0])
    portal.journal.assert_called_once("GET", f"/getStatus/{ICCID}")


async def test_asked_for_again(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A repeated request for the same status starts the wait again; it supersedes nothing and ends once."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    await advance_time(hass, freezer, timedelta(minutes=20))
    await request_status_change(hass, entry)
    portal.sims[ICCID].set_status("ACTIVATED")

    await advance_time(hass, freezer, QUICK_CHECKS[0])

    ((event, attributes),) = happened
    assert event == "status_change_confirmed"
    assert attributes["took_seconds"] == 5


@pytest.mark.parametrize("key", ["sim_event", "sms_event"])
async def test_entities_show_what_is_told(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
    key: str,
) -> None:
    """When an event fires, the other entities already show the change."""
    portal.dialects["status_change"] = "after_seconds"
    entry = await set_up(OTHER_ICCID)
    seen: list[tuple[str, str, str]] = []
    entity_id = er.async_get(hass).async_get_entity_id("event", DOMAIN, f"{OTHER_ICCID}_{key}")
    assert entity_id is not None

    @callback
    def look(event: Event[EventStateChangedData]) -> None:
        state = hass.states.get(f"binary_sensor.sim_{OTHER_ICCID}_change_pending")
        assert state is not None
        seen.append(
            (
                state_of(hass, OTHER_ICCID, "status"),
                state.state,
                state_of(hass, OTHER_ICCID, "last_sent_sms"),
            )
        )

    await send_sms(hass, entry)
    async_track_state_change_event(hass, entity_id, look)
    data = {"device_id": device_id(hass, entry, OTHER_ICCID), "status": "deactivated"}
    await call_action(hass, "request_status_change", data)
    await advance_time(hass, freezer, timedelta(seconds=6))
    assert seen == ([("activated", STATE_ON, "delivered")] if key == "sms_event" else [])
    await advance_time(hass, freezer, timedelta(seconds=60))
    assert seen[-1] == (
        ("activated", STATE_ON, "delivered")
        if key == "sms_event"
        else ("deactivated", STATE_OFF, "delivered")
    )


async def test_a_new_request_ends_the_repair(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The repair issue of an unconfirmed status disappears with another request."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    await request_status_change(hass, entry)
    await advance_time(hass, freezer, PATIENCE)
    await advance_time(hass, freezer, PATIENCE)
    assert repair(hass, entry, "status_change_timed_out") is not None

    await request_status_change(hass, entry, "deactivated")

    assert repair(hass, entry, "status_change_timed_out") is None


async def test_refused(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A refused change is not followed; one in progress still is."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    portal.dialects["status_change"] = "refused"

    with pytest.raises(HomeAssistantError, match="did not accept the status Deactivated"):
        await request_status_change(hass, entry, "deactivated")

    assert pending(hass) == STATE_ON
    portal.sims[ICCID].set_status("ACTIVATED")
    await advance_time(hass, freezer, QUICK_CHECKS[0])
    assert [event for event, _ in happened] == ["status_change_confirmed"]


async def test_unknown_outcome(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A change whose response was lost may have been carried out, so it is followed, not repeated."""
    portal.dialects["status_change"] = "after_seconds"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    portal.faults.add("reset_after_read", route="RequestStatusChange")

    with pytest.raises(HomeAssistantError, match="may have been carried out"):
        await request_status_change(hass, entry)
    portal.faults.clear()

    assert pending(hass) == STATE_ON
    await advance_time(hass, freezer, timedelta(minutes=2))
    assert [event for event, _ in happened] == ["status_change_confirmed"]
    portal.journal.assert_called_once("PUT", f"/RequestStatusChange/{ICCID}")


async def test_change_over_a_restart(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """A pending change is stored before the request is sent, and followed after a restart."""
    portal.dialects["status_change"] = "after_seconds"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    kept = hass_storage[f"{DOMAIN}.{entry.entry_id}"]["data"]["sims"][ICCID]
    assert kept["status_request"]["status"] == "ACTIVATED"

    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert pending(hass) == STATE_ON
    await advance_time(hass, freezer, timedelta(minutes=1))

    assert [event for event, _ in happened] == ["status_change_confirmed"]
    portal.journal.assert_called_once("PUT", f"/RequestStatusChange/{ICCID}")
    await hass.config_entries.async_reload(entry.entry_id)
    assert "previous" not in str(hass_storage[f"{DOMAIN}.{entry.entry_id}"]["data"]["sims"])


async def test_replaced_over_a_crash(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, hass_storage: dict[str, Any]
) -> None:
    """A change that is replaced while Home Assistant crashes still ends."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    key = f"{DOMAIN}.{entry.entry_id}"
    await request_status_change(hass, entry, "deactivated")
    portal.journal.clear()
    portal.faults.add("delay", route="RequestStatusChange", seconds=0.5)
    asked = asyncio.ensure_future(request_status_change(hass, entry, "activated"))
    await wait_for_requests(portal, f"PUT /RequestStatusChange/{ICCID}")
    on_disk = deepcopy(hass_storage[key])
    await asked
    await hass.config_entries.async_unload(entry.entry_id)
    happened.clear()
    hass_storage[key] = on_disk

    # The second start reads what the first has stored.
    for _ in range(2):
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert pending(hass) == STATE_ON
        await hass.config_entries.async_unload(entry.entry_id)

    ((event, attributes),) = happened
    assert event == "status_change_replaced"
    assert attributes["requested_status"] == "deactivated"
    assert attributes["replaced_by"] == "activated"


async def test_status_where_it_is_not_told_alone(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Where getStatus is refused, a change is followed by reading the whole SIM."""
    portal.sims[ICCID].refused_routes = frozenset({"getStatus"})
    entry = await set_up(ICCID)

    await request_status_change(hass, entry)

    assert state_of(hass, ICCID, "status") == "activated"


async def test_look_that_fails(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A quick read that fails has no effect, and the next one confirms the change."""
    portal.faults.add("status", route="getStatus", status=500, times=1)
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")

    await request_status_change(hass, entry)
    assert not happened
    await advance_time(hass, freezer, QUICK_CHECKS[0])

    assert [event for event, _ in happened] == ["status_change_confirmed"]


async def test_seen_before_the_answer(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A status that a poll sees before the response is confirmed once, and is not pending."""
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    portal.faults.add("delay", route="RequestStatusChange", seconds=0.5)
    asked = hass.async_create_task(request_status_change(hass, entry))
    await wait_for_requests(portal, f"PUT /RequestStatusChange/{ICCID}")
    await next(iter(entry.runtime_data.sims.values())).async_refresh()
    await asyncio.sleep(0)
    assert [event for event, _ in happened] == ["status_change_confirmed"]

    await asked

    assert [event for event, _ in happened] == ["status_change_confirmed"]
    assert pending(hass) == STATE_OFF


@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "taken"])
async def test_another_before_the_answer(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, is_refused: bool
) -> None:
    """A change that is requested while another awaits its response is followed, whatever that response is."""
    portal.dialects["status_change"] = "never"
    account = portal.state.accounts["demo-client"]
    account.refused_routes = frozenset({"RequestStatusChange"} if is_refused else ())
    portal.faults.add("delay", route="RequestStatusChange", seconds=0.5, times=1)
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    first = asyncio.ensure_future(request_status_change(hass, entry, "deactivated"))
    await wait_for_requests(portal, f"PUT /RequestStatusChange/{ICCID}")
    account.refused_routes = frozenset()
    await request_status_change(hass, entry, "activated")
    outcomes = await asyncio.gather(first, return_exceptions=True)
    assert isinstance(outcomes[0], HomeAssistantError) is is_refused

    assert pending(hass) == STATE_ON
    portal.sims[ICCID].set_status("ACTIVATED")
    async_fire_time_changed(hass, dt_util.utcnow() + QUICK_CHECKS[0] + timedelta(seconds=1))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [event for event, _ in happened][-1] == "status_change_confirmed"
    assert pending(hass) == STATE_OFF


async def test_edited_status(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """A status that is edited is followed like one that is requested."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)

    await call_action(
        hass,
        "edit_device",
        {"device_id": device_id(hass, entry, ICCID), "changes": {"status": "ACTIVATED"}},
    )

    assert pending(hass) == STATE_ON


async def test_read_that_a_look_overtakes(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A read that began before a change does not restore the old status."""
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    # ctdUsage still says INVENTORY; the requests after it delay the end of the read.
    portal.faults.add("delay", route="sessionInfo", seconds=0.5)
    portal.journal.clear()
    await hass.services.async_call(
        "button", "press", {ATTR_ENTITY_ID: f"button.sim_{ICCID}_refresh"}
    )
    await wait_for_requests(portal, f"GET /sessionInfo/{ICCID}")

    await request_status_change(hass, entry)

    assert [event for event, _ in happened] == ["status_change_confirmed"]
    assert state_of(hass, ICCID, "status") == "activated"
    portal.journal.assert_called_once("PUT", f"/RequestStatusChange/{ICCID}")


async def test_changed_by_somebody_else(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A status that was not requested here causes a change event."""
    await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    portal.sims[ICCID].set_status("DEACTIVATED")

    await poll(hass, freezer)
    await poll(hass, freezer)

    ((event, attributes),) = happened
    assert event == "status_changed"
    assert (attributes["from"], attributes["to"]) == ("inventory", "deactivated")


async def test_sms_delivered(
    hass: HomeAssistant, set_up: SetUp, freezer: FrozenDateTimeFactory, all_entities: None
) -> None:
    """An SMS is sent, and delivered once the portal reports it."""
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)

    await send_sms(hass, entry)

    ((event, attributes),) = happened
    assert event == "sms_sent"
    assert attributes["sms_id"] == "4711"
    assert "Hello" not in str(attributes)
    await advance_time(hass, freezer, timedelta(seconds=6))
    await advance_time(hass, freezer, timedelta(minutes=5))
    assert [event for event, _ in happened] == ["sms_sent", "sms_delivered"]
    assert happened[1][1]["status"] == "Delivered"
    assert happened[1][1]["took_seconds"] == 6
    assert state_of(hass, OTHER_ICCID, "last_sent_sms") == "delivered"


async def test_sms_failed(
    hass: HomeAssistant, set_up: SetUp, freezer: FrozenDateTimeFactory, all_entities: None
) -> None:
    """An SMS to a SIM that is not active fails."""
    entry = await set_up(ICCID)
    happened = record_events(hass, "sms_event")

    await send_sms(hass, entry, ICCID)
    assert state_of(hass, ICCID, "last_sent_sms") == "unknown"
    await advance_time(hass, freezer, timedelta(seconds=6))

    assert [event for event, _ in happened] == ["sms_sent", "sms_failed"]
    assert state_of(hass, ICCID, "last_sent_sms") == "failed"


async def test_sms_seen_by_a_poll(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An SMS that is not delivered for hours is read with the polls."""
    portal.state.timings.sms_seconds = 3 * 3600
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    await send_sms(hass, entry)
    for _ in QUICK_CHECKS:
        await advance_time(hass, freezer, timedelta(minutes=10))
    portal.journal.clear()

    await advance_time(hass, freezer, timedelta(hours=2))

    assert [event for event, _ in happened] == ["sms_sent", "sms_delivered"]
    portal.journal.assert_called_once("GET", "/GetSMS/4711")


async def test_sms_check_that_fails(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
) -> None:
    """A check of an SMS that fails, or tells no status, changes nothing, and a later one tells its end."""
    portal.state.timings.sms_seconds = 30
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    await send_sms(hass, entry)
    for seconds, answer in (
        (6, {"status": 200, "body": {"smsMsgId": "4711", "status": "Pending"}}),
        (10, {"status": 500}),
        (15, {"status": 200, "body": {"smsMsgId": "4711"}}),
    ):
        portal.faults.add("status", route="GetSMS", times=1, **answer)
        await advance_time(hass, freezer, timedelta(seconds=seconds))
        assert state_of(hass, OTHER_ICCID, "last_sent_sms") == "pending"

    await advance_time(hass, freezer, timedelta(minutes=1))

    assert [event for event, _ in happened] == ["sms_sent", "sms_delivered"]


async def test_sms_that_nobody_knows_of(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An SMS that has not ended within a day is unconfirmed."""
    portal.state.timings.sms_seconds = 3 * 24 * 3600
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    await send_sms(hass, entry)

    for _ in QUICK_CHECKS:
        await advance_time(hass, freezer, timedelta(minutes=10))
    await advance_time(hass, freezer, PATIENCE)
    await advance_time(hass, freezer, PATIENCE)

    assert [event for event, _ in happened] == ["sms_sent", "sms_unconfirmed"]
    assert happened[1][1]["status"] == "Pending"


async def test_sms_without_an_id(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """An SMS without an ID is unconfirmed, as it cannot be followed."""
    portal.dialects["sms_id"] = "none"
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)

    await send_sms(hass, entry)

    assert [event for event, _ in happened] == ["sms_sent", "sms_unconfirmed"]


async def test_sms_without_an_answer(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """An SMS whose response was lost is unconfirmed and never sent again."""
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    portal.faults.add("reset_after_read", route="SendSMS")

    with pytest.raises(HomeAssistantError, match="may have been carried out"):
        await send_sms(hass, entry)
    await hass.async_block_till_done()

    assert [event for event, _ in happened] == ["sms_unconfirmed"]
    portal.journal.assert_called_once("PUT", f"/SendSMS/{OTHER_ICCID}/1")


async def test_refused_sms(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, all_entities: None
) -> None:
    """A refused SMS causes no event."""
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    body = {"errorMessage": "This cannot be done"}
    portal.faults.add("status", route="SendSMS", status=403, body=body)

    with pytest.raises(HomeAssistantError, match="does not allow this"):
        await send_sms(hass, entry)

    assert not happened
    registry = er.async_get(hass)
    assert registry.async_get_entity_id("sensor", DOMAIN, f"{OTHER_ICCID}_last_sent_sms") is None


@pytest.mark.parametrize(
    ("sms_id", "expected"), [("4711", ["sms_delivered"]), (None, ["sms_unconfirmed"])]
)
async def test_sms_over_a_crash(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
    sms_id: str | None,
    expected: list[str],
) -> None:
    """An SMS from before a crash is followed, or is unconfirmed."""
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    await send_sms(hass, entry)
    key = f"{DOMAIN}.{entry.entry_id}"
    on_disk = hass_storage[key]
    await hass.config_entries.async_unload(entry.entry_id)
    happened.clear()
    (kept,) = on_disk["data"]["sims"][OTHER_ICCID]["sent_sms"]
    kept["sms_id"] = sms_id
    hass_storage[key] = on_disk

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await advance_time(hass, freezer, timedelta(seconds=6))

    assert [event for event, _ in happened] == expected
    portal.journal.assert_called_once("PUT", f"/SendSMS/{OTHER_ICCID}/1")


@pytest.mark.parametrize("is_removed", [True, False], ids=["SIM removed", "account reloaded"])
@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "taken"])
async def test_gone_before_the_answer(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    hass_storage: dict[str, Any],
    is_removed: bool,
    is_refused: bool,
) -> None:
    """A SIM that is removed during a write is no longer followed, and nothing of it is stored."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID, OTHER_ICCID)
    sim = next(iter(entry.runtime_data.sims.values()))
    portal.faults.add("delay", method="PUT", seconds=1)
    if is_refused:
        portal.state.accounts["demo-client"].refused_routes = frozenset(
            {"SendSMS", "RequestStatusChange"}
        )
    writes = asyncio.gather(
        sim.sms.async_send("Hello"),
        sim.status_requests.async_request("ACTIVATED"),
        return_exceptions=True,
    )
    await wait_for_requests(portal, f"PUT /SendSMS/{ICCID}/1", f"PUT /RequestStatusChange/{ICCID}")
    if is_removed:
        hass.config_entries.async_remove_subentry(entry, sim.subentry.subentry_id)
    else:
        await hass.config_entries.async_reload(entry.entry_id)

    outcomes = await writes

    assert [isinstance(outcome, HomeAssistantError) for outcome in outcomes] == [is_refused] * 2
    await hass.async_block_till_done(wait_background_tasks=True)
    portal.journal.clear()
    async_fire_time_changed(hass, dt_util.utcnow() + QUICK_CHECKS[0] + timedelta(seconds=1))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not portal.journal.find(route="GetSMS")
    # After a reload the new coordinator follows the status.
    assert len(portal.journal.find("GET", f"/getStatus/{ICCID}")) == (0 if is_removed else 1)
    await hass.config_entries.async_unload(entry.entry_id)
    kept = hass_storage[f"{DOMAIN}.{entry.entry_id}"]["data"]["sims"]
    assert (ICCID in kept) is not is_removed


async def test_memory_goes_with_its_account(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """A removed SIM is deleted from the file, and a removed account leaves neither files nor repair issues."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID, OTHER_ICCID)
    await request_status_change(hass, entry)
    await send_sms(hass, entry)
    (subentry,) = [sub for sub in entry.subentries.values() if sub.unique_id == ICCID]

    hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await advance_time(hass, freezer, timedelta(seconds=1))

    assert list(hass_storage[f"{DOMAIN}.{entry.entry_id}"]["data"]["sims"]) == [OTHER_ICCID]

    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert f"{DOMAIN}.{entry.entry_id}" not in hass_storage
    assert not [issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN]


async def test_received(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """If SMS are watched, one from the SIM causes an event with its text, once, also after a restart."""
    portal.state.receive_sms(OTHER_ICCID, "An old one")
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    hass.config_entries.async_update_entry(entry, options={CONF_WATCH_SMS: True})
    await hass.async_block_till_done(wait_background_tasks=True)

    portal.state.receive_sms(OTHER_ICCID, "Battery low")
    portal.faults.add("status", route="GetSMS", status=500, times=1)
    await poll(hass, freezer)
    assert not happened
    await poll(hass, freezer)
    await send_sms(hass, entry)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await poll(hass, freezer)

    received = [attributes for event, attributes in happened if event == "sms_received"]
    assert [attributes["message"] for attributes in received[:1]] == ["Battery low"]
    assert len({attributes["sms_id"] for attributes in received}) == 1


@pytest.mark.parametrize(
    ("polls", "expected"),
    [(3, ["Battery low"]), (4, [])],
    ids=["in time", "too late"],
)
async def test_received_before_the_portal_knows_it(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    polls: int,
    expected: list[str],
) -> None:
    """An SMS that is listed but not found yet is reported later; one that is never found is given up."""
    entry = await set_up(OTHER_ICCID)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    hass.config_entries.async_update_entry(entry, options={CONF_WATCH_SMS: True})
    await hass.async_block_till_done(wait_background_tasks=True)
    portal.state.receive_sms(OTHER_ICCID, "Battery low")
    portal.faults.add("status", route="GetSMS", status=404, times=polls)

    for _ in range(polls + 2):
        await poll(hass, freezer)

    assert [attributes["message"] for _, attributes in happened] == expected
    assert len(portal.journal.find(route="GetSMS")) == polls + len(expected)


async def test_received_from_a_portal_of_few_words(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Where the portal does not say the direction of an SMS, its status shows it."""
    entry = await set_up(OTHER_ICCID)
    hass.config_entries.async_update_entry(entry, options={CONF_WATCH_SMS: True})
    await hass.async_block_till_done(wait_background_tasks=True)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    for text in ("One", "Two"):
        portal.state.receive_sms(OTHER_ICCID, text)
    received = {"smsMsgId": 4711, "status": "Received", "messageText": "One"}
    pending_one = {"smsMsgId": 4712, "status": "Pending", "messageText": "Two"}
    for answer in (received, pending_one):
        portal.faults.add("status", route="GetSMS", status=200, body=answer, times=1)

    await poll(hass, freezer)
    await poll(hass, freezer)

    assert [(event, attributes["message"]) for event, attributes in happened] == [
        ("sms_received", "One")
    ]
    assert len(portal.journal.find(route="GetSMS")) == 2


async def test_list_of_sms_that_is_refused(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Where the portal refuses the list of SMS, all else of the SIM is read."""
    portal.faults.add("status", route="GetSMSIds", status=403)
    await set_up(OTHER_ICCID, options={CONF_WATCH_SMS: True})
    portal.sims[OTHER_ICCID].set_status("TEST_READY")

    await poll(hass, freezer)

    assert state_of(hass, OTHER_ICCID, "status") == "test_ready"


@pytest.mark.parametrize("gap", [[], {"smsMsgIds": None}, {}])
async def test_list_of_sms_with_a_gap(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory, gap: Any
) -> None:
    """An SMS is told once, also when the list was empty in between."""
    portal.state.receive_sms(OTHER_ICCID, "An old one")
    entry = await set_up(OTHER_ICCID)
    hass.config_entries.async_update_entry(entry, options={CONF_WATCH_SMS: True})
    await hass.async_block_till_done(wait_background_tasks=True)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    portal.state.receive_sms(OTHER_ICCID, "One")
    await poll(hass, freezer)

    portal.faults.add("status", route="GetSMSIds", status=200, body=gap)
    await poll(hass, freezer)
    portal.faults.clear()
    await poll(hass, freezer)

    assert [attributes["message"] for _, attributes in happened] == ["One"]


@pytest.mark.parametrize("word", ["Active", "Activated", "LIVE"])
async def test_requested_status_in_another_word(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    word: str,
) -> None:
    """A request to activate a SIM has ended when the network's own word for it is reported."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    portal.sims[ICCID].status = word

    await poll(hass, freezer)

    assert [event for event, _ in happened] == ["status_change_confirmed"]


async def test_received_for_another_sim(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An SMS of another SIM is not told, and one that is never readable is not asked for without an end."""
    entry = await set_up(OTHER_ICCID)
    hass.config_entries.async_update_entry(entry, options={CONF_WATCH_SMS: True})
    await hass.async_block_till_done(wait_background_tasks=True)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    portal.state.receive_sms(OTHER_ICCID, "One")
    body = {"iccid": ICCID, "status": "Received", "messageText": "Secret"}
    portal.faults.add("status", route="GetSMS", status=200, body=body)

    for _ in range(99):
        await poll(hass, freezer)

    assert not happened
    assert len(portal.journal.find(route="GetSMS")) == 96


async def test_received_with_a_text_of_any_kind(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A huge text with control characters is told in one line that the recorder takes."""
    entry = await set_up(OTHER_ICCID)
    hass.config_entries.async_update_entry(entry, options={CONF_WATCH_SMS: True})
    await hass.async_block_till_done(wait_background_tasks=True)
    happened = record_events(hass, "sms_event", OTHER_ICCID)
    portal.state.receive_sms(OTHER_ICCID, "a\r\nb\x00\u202e" + "\U0001f525" * 200_000)

    await poll(hass, freezer)

    ((_, attributes),) = happened
    assert attributes["message"].startswith("a b\U0001f525")
    assert len(json_bytes(attributes)) < MAX_STATE_ATTRS_BYTES


async def test_nobody_watches(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """Without the option the list of SMS is not read, as it costs a request a poll."""
    await set_up(OTHER_ICCID)

    assert not portal.journal.find("GET", f"/GetSMSIds/{OTHER_ICCID}")


async def test_life_of_a_sim(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Sessions, another device and a new billing cycle cause events with useful attributes."""
    await set_up(OTHER_ICCID)
    happened = record_events(hass, "sim_event", OTHER_ICCID)
    sim = portal.sims[OTHER_ICCID]
    sim.session_count = 0
    await poll(hass, freezer)

    sim.open_session("10.1.2.3")
    await poll(hass, freezer)
    sim.close_session()
    await poll(hass, freezer)
    sim.swap_imei("356938035643809")
    await poll(hass, freezer)
    sim.data_usage = 0
    await poll(hass, freezer)
    assert len(happened) == 3
    await poll(hass, freezer)
    await poll(hass, freezer)

    events = dict(happened)
    assert [event for event, _ in happened] == [
        "data_session_started",
        "data_session_ended",
        "moved_to_another_device",
        "billing_cycle_ended",
    ]
    assert events["data_session_started"]["ip_address"] == "10.1.2.3"
    assert events["data_session_ended"]["ended"] >= events["data_session_ended"]["started"]
    assert events["moved_to_another_device"]["to"] == "356938035643809"
    assert events["billing_cycle_ended"]["data_usage"] == 1_500_000


async def test_same_device_new_software(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Only other first digits of an IMEI mean another device; the last are check digit or software version."""
    portal.sims[ICCID].swap_imei("8613300585142301")
    await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    portal.sims[ICCID].swap_imei("8613300585142302")

    await poll(hass, freezer)

    assert not happened


@pytest.fixture
def change_unit(hass: HomeAssistant) -> Callable[[MockConfigEntry, str], None]:
    """Return a function that sets the unit in which a SIM's network reports data."""

    def change(entry: MockConfigEntry, unit: str) -> None:
        (subentry,) = entry.subentries.values()
        hass.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, "data_unit": unit}
        )

    return change


async def test_another_unit_is_no_new_cycle(
    hass: HomeAssistant,
    set_up: SetUp,
    freezer: FrozenDateTimeFactory,
    change_unit: Callable[[MockConfigEntry, str], None],
) -> None:
    """Usage that falls because the user corrects its unit does not start a billing cycle."""
    entry = await set_up(OTHER_ICCID)
    change_unit(entry, "kilobytes")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 1500
    happened = record_events(hass, "sim_event", OTHER_ICCID)

    change_unit(entry, "bytes")
    await hass.async_block_till_done(wait_background_tasks=True)
    await advance_time(hass, freezer, timedelta(minutes=1))

    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 1.5
    assert not happened


async def test_writes_before_the_start(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A write before a large fleet is started is not mistaken for one from an earlier run."""
    entry = await set_up(ICCID, OTHER_ICCID)
    happened = [record_events(hass, "sms_event", OTHER_ICCID), record_events(hass, "sim_event")]
    await hass.config_entries.async_unload(entry.entry_id)
    monkeypatch.setattr(account, "LARGE_FLEET", 1)
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(entry.entry_id)
    for route in ("SendSMS", "RequestStatusChange"):
        portal.faults.add("delay", seconds=0.3, route=route)
    writes = [
        asyncio.ensure_future(send_sms(hass, entry)),
        asyncio.ensure_future(request_status_change(hass, entry)),
    ]
    await wait_for_requests(
        portal, f"PUT /SendSMS/{OTHER_ICCID}/*", f"PUT /RequestStatusChange/{ICCID}"
    )

    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done()
    await asyncio.gather(*writes)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert [[event for event, _ in each] for each in happened] == [
        ["sms_sent"],
        ["status_change_confirmed"],
    ]


async def test_refused_before_the_start(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change that is refused while a large fleet starts is not followed."""
    entry = await set_up(ICCID, OTHER_ICCID)
    await hass.config_entries.async_unload(entry.entry_id)
    monkeypatch.setattr(account, "LARGE_FLEET", 1)
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(entry.entry_id)
    portal.dialects["status_change"] = "refused"
    portal.faults.add("delay", seconds=0.3, route="RequestStatusChange")
    write = asyncio.ensure_future(request_status_change(hass, entry))
    await wait_for_requests(portal, f"PUT /RequestStatusChange/{ICCID}")

    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done()
    with pytest.raises(HomeAssistantError):
        await write
    portal.journal.clear()
    async_fire_time_changed(hass, dt_util.utcnow() + QUICK_CHECKS[0])
    await hass.async_block_till_done(wait_background_tasks=True)

    assert not portal.journal.find("GET", f"/getStatus/{ICCID}")


@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "taken"])
async def test_request_of_the_last_run(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
    hass_storage: dict[str, Any],
    is_refused: bool,
) -> None:
    """Requests of the last run end once each, or are followed by one, whatever is requested before the start."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID, OTHER_ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry, "activated")
    portal.faults.add("delay", route="RequestStatusChange", seconds=0.3, times=1)
    asked = asyncio.ensure_future(request_status_change(hass, entry, "deactivated"))
    await wait_for_requests(portal, f"PUT /RequestStatusChange/{ICCID}")
    await asyncio.sleep(0.05)
    key = f"{DOMAIN}.{entry.entry_id}"
    on_disk = deepcopy(hass_storage[key])
    await asked
    await hass.config_entries.async_unload(entry.entry_id)
    happened.clear()
    # As after a crash before the second answer.
    hass_storage[key] = on_disk
    monkeypatch.setattr(account, "LARGE_FLEET", 1)
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()

    if is_refused:
        portal.dialects["status_change"] = "refused"
        with pytest.raises(HomeAssistantError):
            await request_status_change(hass, entry, "test_ready")
    else:
        await request_status_change(hass, entry, "test_ready")
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done(wait_background_tasks=True)
    portal.journal.clear()
    async_fire_time_changed(hass, dt_util.utcnow() + QUICK_CHECKS[0] + timedelta(seconds=1))
    await hass.async_block_till_done(wait_background_tasks=True)

    ended = {(told["requested_status"], told["replaced_by"]) for _, told in happened}
    expected = {("activated", "deactivated")}
    assert ended == (expected if is_refused else expected | {("deactivated", "test_ready")})
    portal.journal.assert_called_once("GET", f"/getStatus/{ICCID}")


async def test_action_waits_for_no_read(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, all_entities: None
) -> None:
    """An action returns when its own request is answered, also when all reads of the SIM hang."""
    entry = await set_up(ICCID)
    portal.faults.add("hang", method="GET")
    data = {"device_id": device_id(hass, entry, ICCID)}
    switch = {ATTR_ENTITY_ID: f"switch.sim_{ICCID}_active"}

    async with asyncio.timeout(5):
        for domain, action, details in (
            (DOMAIN, "request_status_change", data | {"status": "activated"}),
            (DOMAIN, "edit_device", data | {"changes": {"simNotes": "Spare"}}),
            (DOMAIN, "send_sms", data | {"message": "Hello"}),
            ("switch", "turn_on", switch),
        ):
            await hass.services.async_call(domain, action, details, blocking=True)

    assert len([call for call in portal.journal if call.method == "PUT"]) == 4
    assert pending(hass) == STATE_ON
    # The reads in the background end with the account.
    await hass.config_entries.async_unload(entry.entry_id)


async def test_edit_is_read(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """What an edit has changed is read soon after it, without the parts that it cannot have changed."""
    entry = await set_up(ICCID)
    portal.journal.clear()
    data = {"device_id": device_id(hass, entry, ICCID), "changes": {"ratePlan": "Another"}}

    await call_action(hass, "edit_device", data)

    assert state_of(hass, ICCID, "rate_plan") == "Another"
    assert [call.route for call in portal.journal if call.method == "GET"].count("GetDevice") == 1


@pytest.mark.parametrize("action", ["request_status_change", "edit_device", "bulk_edit_devices"])
@pytest.mark.parametrize("is_started", [True, False], ids=["before the first read", "not started"])
async def test_status_before_a_restart(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    is_started: bool,
) -> None:
    """A change soon after a restart tells the status that was there before it."""
    entry = await set_up(ICCID, OTHER_ICCID)
    happened = record_events(hass, "sim_event")
    await hass.config_entries.async_unload(entry.entry_id)
    portal.faults.add("status", route="ctdUsage", status=500)
    if not is_started:
        monkeypatch.setattr(account, "LARGE_FLEET", 1)
        hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    data: dict[str, Any] = {"device_id": device_id(hass, entry, ICCID)}
    data |= (
        {"status": "activated"}
        if action == "request_status_change"
        else {"changes": {"status": "activated"}}
    )

    await call_action(hass, action, data)
    portal.clock.advance(portal.state.timings.bulk_seconds + 1)
    portal.faults.clear()
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done(wait_background_tasks=True)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=1))
    await hass.async_block_till_done(wait_background_tasks=True)

    assert [event for event, _ in happened] == ["status_change_confirmed"]
    assert happened[0][1]["from"] == "inventory"


async def test_status_that_cannot_be_read(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Where the status can no longer be read, events tell the last one that was."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    sim = next(iter(entry.runtime_data.sims.values()))
    sim.data = replace(sim.data, status=None)
    portal.faults.add("status", method="GET", status=500)

    await request_status_change(hass, entry, "deactivated")
    await advance_time(hass, freezer, PATIENCE)
    await advance_time(hass, freezer, PATIENCE)

    events = dict(happened)
    assert events["status_change_timed_out"]["from"] == "inventory"
    assert events["status_change_timed_out"]["still"] == "inventory"


async def test_read_before_the_start(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SIM that is read before a large fleet is started tells what changed since the last run, once."""
    entry = await set_up(ICCID, OTHER_ICCID)
    happened = record_events(hass, "sim_event")
    seen = record_states(hass, "status")
    await hass.config_entries.async_unload(entry.entry_id)
    portal.sims[ICCID].set_status("ACTIVATED")
    monkeypatch.setattr(account, "LARGE_FLEET", 1)
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(entry.entry_id)
    sim = next(iter(entry.runtime_data.sims.values()))

    await sim.async_refresh()
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert [(event, told["from"]) for event, told in happened] == [("status_changed", "inventory")]
    assert seen == ["activated"]


async def test_confirmed_before_a_crash(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, hass_storage: dict[str, Any]
) -> None:
    """A status that was confirmed before a crash is not told again as a change that nobody requested."""
    entry = await set_up(ICCID)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    happened = record_events(hass, "sim_event")
    key = f"{DOMAIN}.{entry.entry_id}"
    await request_status_change(hass, entry)
    on_disk = deepcopy({name: hass_storage.get(name) for name in hass_storage if key in name})

    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage |= on_disk
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert [event for event, _ in happened] == ["status_change_confirmed"]


async def test_overdue_and_asked_for_again(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A change that has timed out has ended, so another one does not supersede it."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    await advance_time(hass, freezer, PATIENCE)
    await advance_time(hass, freezer, PATIENCE)

    await request_status_change(hass, entry, "deactivated")

    assert [event for event, _ in happened] == ["status_change_timed_out"]


async def test_overdue_before_the_start(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request before a large fleet is started ends the repair of an overdue one for good."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID, OTHER_ICCID)
    await request_status_change(hass, entry)
    await advance_time(hass, freezer, PATIENCE)
    await advance_time(hass, freezer, PATIENCE)
    await hass.config_entries.async_unload(entry.entry_id)
    monkeypatch.setattr(account, "LARGE_FLEET", 1)
    hass.set_state(CoreState.not_running)
    await hass.config_entries.async_setup(entry.entry_id)

    await request_status_change(hass, entry, "deactivated")
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert repair(hass, entry, "status_change_timed_out") is None


@pytest.mark.parametrize("last", ["refused", "taken"])
async def test_three_before_the_answer(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, last: str
) -> None:
    """Of three requests under way each accepted one ends once, whatever becomes of the others."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry, "activated")
    requests = next(iter(entry.runtime_data.sims.values())).status_requests
    second = requests.async_record("DEACTIVATED", in_bulk=False)
    third = requests.async_record("TEST_READY", in_bulk=False)

    requests.async_roll_back(second)
    if last == "refused":
        requests.async_roll_back(third)
    else:
        requests.async_follow(third)
    await hass.async_block_till_done()

    told = [(event, attributes["requested_status"]) for event, attributes in happened]
    assert told == ([] if last == "refused" else [("status_change_replaced", "activated")])
    state = hass.states.get(f"binary_sensor.sim_{ICCID}_change_pending")
    assert state is not None
    wanted = "activated" if last == "refused" else "test_ready"
    assert state.attributes["requested_status"] == wanted


async def test_answered_in_another_order(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A request that is refused after a later one was accepted still ends the one before it."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry, "activated")
    requests = next(iter(entry.runtime_data.sims.values())).status_requests
    second = requests.async_record("DEACTIVATED", in_bulk=False)
    third = requests.async_record("TEST_READY", in_bulk=False)

    requests.async_follow(third)
    requests.async_roll_back(second)
    await hass.async_block_till_done()

    assert ("activated", "test_ready") in [
        (attributes["requested_status"], attributes.get("replaced_by"))
        for _, attributes in happened
    ]


async def test_answered_one_after_the_other(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A request that another replaced before it was answered ends the one before it once, also after a restart."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry, "activated")
    requests = next(iter(entry.runtime_data.sims.values())).status_requests
    second = requests.async_record("DEACTIVATED", in_bulk=False)
    third = requests.async_record("TEST_READY", in_bulk=False)

    requests.async_follow(second)
    requests.async_roll_back(third)
    await hass.async_block_till_done()
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    ((event, attributes),) = happened
    assert event == "status_change_replaced"
    assert attributes["requested_status"] == "activated"
    assert attributes["replaced_by"] == "deactivated"


async def test_refused_after_it_was_seen(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A request that is refused though a poll has seen its status still ends the one before it."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry, "deactivated")
    sim = next(iter(entry.runtime_data.sims.values()))
    request = sim.status_requests.async_record("ACTIVATED", in_bulk=False)
    portal.sims[ICCID].set_status("ACTIVATED")
    await sim.async_refresh()

    sim.status_requests.async_roll_back(request)
    await hass.async_block_till_done()

    assert [(event, told["requested_status"]) for event, told in happened] == [
        ("status_change_confirmed", "activated"),
        ("status_change_replaced", "deactivated"),
    ]


async def test_patience_ends_before_the_answer(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A request does not time out while another that may replace it is under way."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry, "activated")
    requests = next(iter(entry.runtime_data.sims.values())).status_requests
    requests.async_record("DEACTIVATED", in_bulk=False)

    for _ in range(2):
        await advance_time(hass, freezer, PATIENCE)

    assert not happened


async def test_not_followed_without_its_account(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A status is not read after its account was unloaded."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    await request_status_change(hass, entry)
    await hass.config_entries.async_unload(entry.entry_id)
    portal.journal.clear()

    await advance_time(hass, freezer, QUICK_CHECKS[0])

    assert len(portal.journal) == 0


async def test_answer_without_a_status(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A quick read without a status leaves the one that is known."""
    entry = await set_up(ICCID)
    body = {"iccid": ICCID, "status": None}
    portal.faults.add("status", route="getStatus", status=200, body=body)

    await request_status_change(hass, entry)

    assert portal.journal.find("GET", f"/getStatus/{ICCID}")
    assert state_of(hass, ICCID, "status") == "inventory"


async def test_sms_of_a_sim_that_is_gone(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """An SMS that is answered after its SIM was removed is not checked any more."""
    entry = await set_up(ICCID, OTHER_ICCID)
    sim = next(iter(entry.runtime_data.sims.values()))
    portal.faults.add("delay", route="SendSMS", seconds=0.5)
    write = asyncio.ensure_future(sim.sms.async_send("Hello"))
    await wait_for_requests(portal, f"PUT /SendSMS/{ICCID}/1")
    hass.config_entries.async_remove_subentry(entry, sim.subentry.subentry_id)
    await hass.async_block_till_done()

    sms_id = await write
    async_fire_time_changed(hass, dt_util.utcnow() + QUICK_CHECKS[0] + timedelta(seconds=1))
    await hass.async_block_till_done(wait_background_tasks=True)

    assert not portal.journal.find("GET", f"/GetSMS/{sms_id}")


async def test_unloaded_before_the_answer(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, hass_storage: dict[str, Any]
) -> None:
    """What is answered after the account was unloaded does not overwrite its file."""
    entry = await set_up(ICCID)
    sim = next(iter(entry.runtime_data.sims.values()))
    portal.faults.add("delay", route="SendSMS", seconds=0.5)
    write = asyncio.ensure_future(sim.sms.async_send("Hello"))
    await wait_for_requests(portal, f"PUT /SendSMS/{ICCID}/1")
    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage[f"{DOMAIN}.{entry.entry_id}"] = {"of": "the next one"}

    await write
    await hass.async_block_till_done()

    assert hass_storage[f"{DOMAIN}.{entry.entry_id}"] == {"of": "the next one"}
