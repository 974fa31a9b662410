"""The triggers, in a real automation: when each runs it, and what it hands over."""

import asyncio
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import CoreState, Event, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    label_registry as lr,
)
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events
from yarl import URL

from custom_components.iot_portal.const import CONF_WATCH_SMS, DOMAIN
from custom_components.iot_portal.outages import OUTAGES, Outages
from mock_portal import MockPortal

from .automations import RAN, automate, runs
from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    add_sims,
    advance_time,
    call_action,
    device_id,
    edit_sims,
    name_sim,
    poll,
    report_bulk_edit,
    request_status_change,
    send_sms,
    sent_bulk_edit,
)

# The allowance of the mock portal's SIMs is 500 MB of 1,024 x 1,024 bytes.
PERCENT = 5 * 1024**2
# The portal's own words for a SIM that it does not know.
UNKNOWN = {"errorCode": "20000001"}
OLD_IMEI = "3569380100000018"
NEW_IMEI = "8613300585142338"


def trigger_for(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    kind: str,
    iccid: str = OTHER_ICCID,
    /,
    **options: Any,
) -> dict[str, Any]:
    """Return a trigger of the integration for a SIM or, by its entry id, an account."""
    return {
        "trigger": f"iot_portal.{kind}",
        "target": {"device_id": device_id(hass, entry, iccid)},
        "options": options,
    }


def above(number: float, unit: str = "%") -> dict[str, Any]:
    """Return a threshold as the editor saves it."""
    value = {"active_choice": "number", "number": number, "unit_of_measurement": unit}
    return {"type": "above", "value": value}


def of(sim: str, hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    """Return what every trigger of a SIM hands over."""
    return {
        "device_id": device_id(hass, entry, sim),
        "sim_name": f"SIM {sim}",
        "iccid_last_digits": sim[-4:],
    }


def moment(text: str) -> datetime:
    """Return the time in JSON, to the second."""
    return datetime.fromisoformat(text).replace(microsecond=0)


def second(time: datetime | None) -> datetime | None:
    """Return a time of the portal to the second."""
    return time and time.replace(microsecond=0)


@pytest.mark.parametrize(
    ("options", "is_run"),
    [
        ({}, True),
        ({"from": "activated", "to": ["deactivated", "retired"]}, True),
        ({"from": ["ACTIVATED"], "to": []}, True),
        ({"to": ["activated"]}, False),
        ({"from": ["deactivated"]}, False),
    ],
)
@pytest.mark.parametrize("is_requested", [False, True])
async def test_status_changed(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    options: dict[str, Any],
    is_run: bool,
    is_requested: bool,
) -> None:
    """A change of the status runs the automation, whoever made it, between the chosen statuses only."""
    entry = await set_up(ICCID, OTHER_ICCID)
    ran = await automate(hass, trigger_for(hass, entry, "status_changed", **options))

    if is_requested:
        data = {"device_id": device_id(hass, entry, OTHER_ICCID), "status": "deactivated"}
        await call_action(hass, "request_status_change", data)
    else:
        portal.sims[OTHER_ICCID].set_status("DEACTIVATED")
    await poll(hass, freezer)
    await poll(hass, freezer)

    (run,) = runs(ran) or (None,)
    assert (run is not None) is is_run
    if run is not None:
        assert run.items() >= of(OTHER_ICCID, hass, entry).items()
        assert (run["from"], run["to"]) == ("activated", "deactivated")


async def test_status_requested_that_is_there(
    hass: HomeAssistant, set_up: SetUp, freezer: FrozenDateTimeFactory
) -> None:
    """A request for the status that a SIM has changes nothing."""
    entry = await set_up(OTHER_ICCID)
    ran = await automate(hass, trigger_for(hass, entry, "status_changed"))

    data = {"device_id": device_id(hass, entry, OTHER_ICCID), "status": "activated"}
    await call_action(hass, "request_status_change", data)
    await poll(hass, freezer)

    assert runs(ran) == []


@pytest.mark.parametrize("chosen", [None, [], "own", "others"])
@pytest.mark.parametrize("outcome", ["confirmed", "timed_out", "replaced"])
async def test_status_change_ended(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    outcome: str,
    chosen: str | list[str] | None,
) -> None:
    """The end of a status change that was requested runs the automation, with its outcome."""
    if outcome != "confirmed":
        portal.state.timings.status_seconds = 3 * 24 * 3600
        portal.dialects["status_change"] = "after_seconds"
    entry = await set_up(ICCID)
    outcomes = ["confirmed", "timed_out", "replaced"]
    if chosen == "own":
        options: dict[str, Any] = {"outcome": outcome}
    elif chosen == "others":
        options = {"outcome": [other for other in outcomes if other != outcome]}
    else:
        options = {} if chosen is None else {"outcome": chosen}
    ran = await automate(hass, trigger_for(hass, entry, "status_change_ended", ICCID, **options))

    await request_status_change(hass, entry)
    if outcome == "replaced":
        await request_status_change(hass, entry, "deactivated")
    if outcome == "timed_out":
        for _ in range(20):
            await advance_time(hass, freezer, timedelta(hours=2))

    found = runs(ran)
    assert [run["outcome"] for run in found] == ([] if chosen == "others" else [outcome])
    for run in found:
        assert run.items() >= of(ICCID, hass, entry).items()
        assert run["requested_status"] == "activated"


@pytest.mark.parametrize(
    ("text", "is_run"), [("", True), ("battery", True), ("BATTERY LOW", True), ("hello", False)]
)
async def test_sms_received(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    text: str,
    is_run: bool,
) -> None:
    """An SMS from a SIM runs the automation once, with its text."""
    entry = await set_up(ICCID, OTHER_ICCID, options={CONF_WATCH_SMS: True})
    ran = await automate(hass, trigger_for(hass, entry, "sms_received", text=text))

    portal.state.receive_sms(ICCID, "Battery low")
    portal.state.receive_sms(OTHER_ICCID, "Battery low")
    await poll(hass, freezer)
    await poll(hass, freezer)

    found = runs(ran)
    assert [run["text"] for run in found] == (["Battery low"] if is_run else [])
    assert all(run.items() >= of(OTHER_ICCID, hass, entry).items() for run in found)
    assert all(run["sms_id"] for run in found)


@pytest.mark.parametrize("options", [{}, {"outcome": ["unconfirmed"]}])
@pytest.mark.parametrize("outcome", ["delivered", "failed", "unconfirmed"])
async def test_sms_ended(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    outcome: str,
    options: dict[str, Any],
) -> None:
    """The end of an SMS that was sent runs the automation, with its outcome."""
    if outcome == "failed":
        portal.sims[OTHER_ICCID].set_status("DEACTIVATED")
    elif outcome == "unconfirmed":
        portal.state.timings.sms_seconds = 3 * 24 * 3600
    entry = await set_up(OTHER_ICCID)
    ran = await automate(hass, trigger_for(hass, entry, "sms_ended", **options))

    response = await send_sms(hass, entry)
    await advance_time(hass, freezer, timedelta(seconds=6))
    if outcome == "unconfirmed":
        assert runs(ran) == []
        for _ in range(20):
            await advance_time(hass, freezer, timedelta(hours=2))

    found = runs(ran)
    assert [run["outcome"] for run in found] == (
        [outcome] if not options or outcome == "unconfirmed" else []
    )
    assert all(run["sms_id"] == response["sims"][0]["sms_id"] for run in found)


async def test_data_session(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The start and the end of a data session run the automation, with its times and address."""
    sim = portal.sims[OTHER_ICCID]
    sim.close_session()
    entry = await set_up(OTHER_ICCID)
    kinds = ("data_session_started", "data_session_ended")
    ran = await automate(hass, [trigger_for(hass, entry, kind) for kind in kinds])

    sim.open_session()
    began = second(sim.session_started)
    await poll(hass, freezer)
    (started,) = runs(ran)
    sim.close_session()
    closed = second(sim.session_ended)
    await poll(hass, freezer)
    (ended,) = runs(ran)
    sim.open_session()
    await poll(hass, freezer)
    (again,) = runs(ran)

    assert started.items() >= of(OTHER_ICCID, hass, entry).items()
    assert moment(started["started"]) == moment(ended["started"]) == began
    assert moment(ended["ended"]) == closed
    assert started["ip_address"]
    assert started["previous_ended"] is None
    assert again["previous_ended"] == ended["ended"]


async def test_moved(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Another device runs the automation, new software in the same one does not."""
    sim = portal.sims[OTHER_ICCID]
    sim.imei = OLD_IMEI
    entry = await set_up(OTHER_ICCID)
    ran = await automate(hass, trigger_for(hass, entry, "moved_to_another_device"))

    sim.swap_imei(f"{OLD_IMEI[:-1]}9")
    await poll(hass, freezer)
    assert runs(ran) == []
    sim.swap_imei(NEW_IMEI)
    await poll(hass, freezer)

    (run,) = runs(ran)
    assert (run["from"], run["to"]) == (f"{OLD_IMEI[:-1]}9", NEW_IMEI)


async def test_billing_cycle_ended(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The end of a cycle runs the automation, with what was used."""
    sim = portal.sims[OTHER_ICCID]
    sim.data_usage, sim.sms_usage = 123_456_789, 4
    entry = await set_up(OTHER_ICCID)
    ran = await automate(hass, trigger_for(hass, entry, "billing_cycle_ended"))

    portal.clock.advance(timedelta(days=31).total_seconds())
    await poll(hass, freezer)
    await poll(hass, freezer)

    (run,) = runs(ran)
    assert (run["used_mb"], run["data_usage"], run["sms_usage"]) == (123.5, 123_456_789, 4)


async def test_gone(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that the portal no longer knows runs the automation once, also over a restart, and again after its return."""
    entry = await set_up(ICCID, OTHER_ICCID)
    ran = await automate(hass, trigger_for(hass, entry, "gone"))

    async def miss() -> None:
        portal.faults.add("status", status=404, body=UNKNOWN, iccid=OTHER_ICCID)
        for _ in range(3):
            await advance_time(hass, freezer, timedelta(hours=2))

    await miss()
    assert runs(ran) == [{**of(OTHER_ICCID, hass, entry), "pending_status": None}]
    await hass.config_entries.async_reload(entry.entry_id)
    for _ in range(3):
        await advance_time(hass, freezer, timedelta(hours=2))
    assert runs(ran) == []

    portal.faults.clear()
    await advance_time(hass, freezer, timedelta(hours=2))
    await miss()
    assert len(runs(ran)) == 1


async def test_portal(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An outage of the portal and its end run the automation once each, for the account and for its SIMs."""
    entry = await set_up(ICCID, OTHER_ICCID)
    ran = await automate(
        hass,
        [
            trigger_for(hass, entry, "portal_unreachable", entry.entry_id),
            trigger_for(hass, entry, "portal_back", ICCID),
        ],
    )
    account = {"device_id": device_id(hass, entry, entry.entry_id), "account": "demo-client"}

    portal.faults.add("status", status=503)
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert runs(ran) == [account]
    portal.faults.clear()
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert runs(ran) == [account]


async def automate_outages(hass: HomeAssistant, entry: MockConfigEntry) -> list[Event]:
    """Return a list that receives an event whenever an outage, or its end, runs an automation."""
    ran: list[Event] = async_capture_events(hass, "outage")
    triggers = [
        {**trigger_for(hass, entry, name, entry.entry_id), "id": name}
        for name in ("portal_unreachable", "portal_back")
    ]
    told = {"event": "outage", "event_data": {"id": "{{ trigger.id }}"}}
    await automate(hass, triggers, actions=[told])
    return ran


def outages_in(ran: list[Event]) -> list[str]:
    """Return what has run the automation since this was called last."""
    found = [event.data["id"] for event in ran]
    ran.clear()
    return found


async def restart(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Load the account as after a restart of Home Assistant."""
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    hass.data[OUTAGES] = Outages(hass)
    await hass.data[OUTAGES].async_load()
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize("sims", [[], [ICCID, OTHER_ICCID]])
async def test_portal_is_unreachable_at_a_start(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    sims: list[str],
) -> None:
    """An outage that Home Assistant finds at a start runs the automation after a while, but once over all restarts."""
    entry = await set_up(*sims)
    ran = await automate_outages(hass, entry)
    portal.faults.add("status", status=502)
    await restart(hass, entry)
    for _ in range(3):
        await advance_time(hass, freezer, timedelta(seconds=30))
    assert outages_in(ran) == []
    for _ in range(5):
        await advance_time(hass, freezer, timedelta(seconds=90))
    assert entry.state.value == "setup_retry"
    assert outages_in(ran) == ["portal_unreachable"]

    await restart(hass, entry)
    for _ in range(5):
        await advance_time(hass, freezer, timedelta(seconds=90))
    assert outages_in(ran) == []

    portal.faults.clear()
    for _ in range(5):
        await advance_time(hass, freezer, timedelta(seconds=90))
    assert entry.state.value == "loaded"
    assert outages_in(ran) == ["portal_back"]

    await restart(hass, entry)
    assert outages_in(ran) == []


async def test_short_failure_at_a_start(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A network that comes up a minute after Home Assistant is no outage, also when that repeats days later."""
    entry = await set_up(ICCID)
    ran = await automate_outages(hass, entry)
    for _ in range(2):
        portal.faults.add("status", status=502)
        await hass.config_entries.async_reload(entry.entry_id)
        await advance_time(hass, freezer, timedelta(minutes=1))
        assert entry.state.value == "setup_retry"
        portal.faults.clear()
        await advance_time(hass, freezer, timedelta(minutes=1))
        assert entry.state.value == "loaded"
        await advance_time(hass, freezer, timedelta(days=1))
    assert outages_in(ran) == []


@pytest.mark.parametrize("login", ["works", "fails"])
async def test_restart_during_an_outage(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    login: str,
) -> None:
    """An outage runs the automation once, and its end, although Home Assistant is restarted meanwhile."""
    entry = await set_up(ICCID, OTHER_ICCID)
    ran = await automate_outages(hass, entry)
    for route in ("ctdUsage", *(["Login"] if login == "fails" else [])):
        portal.faults.add("status", route=route, status=502)
    await poll(hass, freezer)
    assert outages_in(ran) == ["portal_unreachable"]

    await restart(hass, entry)
    for _ in range(3):
        await poll(hass, freezer)
    assert outages_in(ran) == []

    portal.faults.clear()
    for _ in range(2):
        await poll(hass, freezer)
    assert outages_in(ran) == ["portal_back"]


async def test_credentials_are_refused_at_a_start(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Credentials that the portal itself refuses at a start run the automation at once: nothing is tried again."""
    entry = await set_up(ICCID)
    ran = await automate_outages(hass, entry)
    portal.state.accounts["demo-client"].secret_key = "changed"
    portal.state.revoke_tokens()
    await restart(hass, entry)
    assert entry.state.value == "setup_error"
    assert outages_in(ran) == ["portal_unreachable"]

    hass.config_entries.async_update_entry(entry, data={**entry.data, "secret_key": "changed"})
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert outages_in(ran) == ["portal_back"]


@pytest.mark.parametrize(
    "stored", [{"version": 1, "data": {"accounts": 5}}, {"version": 9, "data": {}}]
)
async def test_stored_outages_cannot_be_read(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
    stored: dict[str, Any],
) -> None:
    """A damaged file of outages prevents nothing."""
    hass_storage[f"{DOMAIN}.outages"] = {**stored, "minor_version": 1, "key": f"{DOMAIN}.outages"}
    entry = await set_up(ICCID)
    ran = await automate_outages(hass, entry)
    portal.faults.add("status", status=502)
    await poll(hass, freezer)
    assert outages_in(ran) == ["portal_unreachable"]


async def test_account_is_removed_during_an_outage(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """Nothing is left of an account that is removed."""
    entry = await set_up(ICCID)
    portal.faults.add("status", status=502)
    await poll(hass, freezer)
    assert hass_storage[f"{DOMAIN}.outages"]["data"] == {"accounts": [entry.entry_id]}

    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert hass_storage[f"{DOMAIN}.outages"]["data"] == {"accounts": []}


@pytest.mark.parametrize("options", [{}, {"outcome": "failed"}])
async def test_bulk_edit_ended(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    reachable: Any,
    freezer: FrozenDateTimeFactory,
    options: dict[str, Any],
) -> None:
    """The report on a bulk edit runs the automation, with its outcome."""
    entry = await set_up(ICCID, OTHER_ICCID)
    ran = await automate(
        hass, trigger_for(hass, entry, "bulk_edit_ended", entry.entry_id, **options)
    )

    response = await edit_sims(hass, entry)
    queue_id = response["accounts"][0]["queue_id"]
    path = URL(sent_bulk_edit(portal)["webhookUrl"]).path
    await report_bulk_edit(hass, reachable, (path, queue_id), status="Completed")

    found = runs(ran)
    assert [run["outcome"] for run in found] == ([] if options else ["finished"])
    assert all(run["sims"] == 2 for run in found)


# --- Data used


async def use(
    hass: HomeAssistant, portal: MockPortal, freezer: FrozenDateTimeFactory, percent: float
) -> None:
    """Set the data usage to a percentage of the allowance, and read the SIM."""
    portal.sims[OTHER_ICCID].data_usage = round(percent * PERCENT)
    await poll(hass, freezer)


async def begin_cycle(
    hass: HomeAssistant, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Begin a billing cycle a while ago, so that its use is not taken for that of the last one."""
    for percent in (1, 2):
        await use(hass, portal, freezer, percent)
    await advance_time(hass, freezer, timedelta(days=2))


@pytest.mark.parametrize(
    ("threshold", "crossed"),
    [
        (above(80), 80),
        (above(80.5), 81),
        (above(400, "MiB"), 80),
        (above(0.42, "GB"), 81),
    ],
)
async def test_data_used(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    threshold: dict[str, Any],
    crossed: float,
) -> None:
    """A limit runs the automation when it is reached, once in a cycle, and again in the next one."""
    entry = await set_up(OTHER_ICCID)
    ran = await automate(
        hass, trigger_for(hass, entry, "data_used_crossed_threshold", threshold=threshold)
    )

    found = []
    # The third is a correction, the fourth is counted again.
    for percent in (79, 80, 76, 81, 92, 93):
        await use(hass, portal, freezer, percent)
        found += runs(ran)
    assert [run["used_percent"] for run in found] == [crossed]
    assert found[0].items() >= of(OTHER_ICCID, hass, entry).items()
    assert found[0]["allowance_mb"] == 524.3
    assert found[0]["used_mb"] == round(crossed * PERCENT / 10**6, 1)

    await begin_cycle(hass, portal, freezer)
    await use(hass, portal, freezer, 95)
    assert [run["used_percent"] for run in runs(ran)] == [95]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        ({"type": "below", "value": {"number": 10, "unit_of_measurement": "%"}}, [2]),
        (
            {
                "type": "between",
                "value_min": {"number": 50, "unit_of_measurement": "%"},
                "value_max": {"number": 70, "unit_of_measurement": "%"},
            },
            [60],
        ),
        (
            {
                "type": "outside",
                "value_min": {"number": 10, "unit_of_measurement": "%"},
                "value_max": {"number": 90, "unit_of_measurement": "%"},
            },
            [95],
        ),
        ({"type": "above", "value": {"entity": "input_number.limit"}}, [60]),
        ({"type": "above", "value": {"entity": "input_number.megabytes"}}, [95]),
        ({"type": "above", "value": {"entity": "input_number.plain"}}, [60]),
        ({"type": "above", "value": {"entity": "input_number.broken"}}, []),
        ({"type": "above", "value": {"entity": "input_number.missing"}}, []),
        ({"type": "above", "value": {"entity": "input_number.kelvin"}}, []),
    ],
)
async def test_thresholds(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    threshold: dict[str, Any],
    expected: list[float],
) -> None:
    """Every kind of threshold that the editor offers is understood."""
    hass.states.async_set("input_number.limit", "55", {"unit_of_measurement": "%"})
    hass.states.async_set("input_number.megabytes", "420", {"unit_of_measurement": "MB"})
    hass.states.async_set("input_number.plain", "55")
    hass.states.async_set("input_number.broken", "unknown", {"unit_of_measurement": "%"})
    hass.states.async_set("input_number.kelvin", "5", {"unit_of_measurement": "K"})
    await set_up(OTHER_ICCID)
    await use(hass, portal, freezer, 20)
    entry = hass.config_entries.async_entries("iot_portal")[0]
    ran = await automate(
        hass, trigger_for(hass, entry, "data_used_crossed_threshold", threshold=threshold)
    )

    for percent in (60, 75, 95, 1, 2):
        await use(hass, portal, freezer, percent)

    assert [run["used_percent"] for run in runs(ran)] == expected


async def test_data_used_without_an_allowance(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM without an allowance has no per cent, but its megabytes count."""
    portal.faults.add("status", route="GetDevice", status=403)
    entry = await set_up(OTHER_ICCID)
    ran = await automate(
        hass,
        [
            trigger_for(hass, entry, "data_used_crossed_threshold", threshold=above(10)),
            trigger_for(hass, entry, "data_used_crossed_threshold", threshold=above(100, "MB")),
        ],
    )

    await use(hass, portal, freezer, 50)

    (run,) = runs(ran)
    assert (run["used_percent"], run["used_mb"], run["allowance_mb"]) == (None, 262.1, None)


async def test_data_used_over_an_outage(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """What is crossed while the use cannot be read, or Home Assistant is stopped, counts once it is read."""
    entry = await set_up(OTHER_ICCID)
    ran = await automate(
        hass, trigger_for(hass, entry, "data_used_crossed_threshold", threshold=above(80))
    )

    portal.faults.add("status", route="ctdUsage", status=500)
    await use(hass, portal, freezer, 85)
    assert runs(ran) == []
    portal.faults.clear()
    await poll(hass, freezer)
    assert len(runs(ran)) == 1

    await begin_cycle(hass, portal, freezer)
    await hass.config_entries.async_unload(entry.entry_id)
    portal.sims[OTHER_ICCID].data_usage = 90 * PERCENT
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [run["used_percent"] for run in runs(ran)] == [90]
    await hass.config_entries.async_reload(entry.entry_id)
    await poll(hass, freezer)
    assert runs(ran) == []


async def test_data_used_over_a_crash(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """A crash while the automation runs does not make it run again."""
    entry = await set_up(OTHER_ICCID)
    ran = await automate(
        hass, trigger_for(hass, entry, "data_used_crossed_threshold", threshold=above(80))
    )
    snapshots, history = (f"{DOMAIN}.{entry.entry_id}.{name}" for name in ("snapshots", "history"))
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    on_disk = {snapshots: deepcopy(hass_storage[snapshots])}

    @callback
    def copy_history(_: Event) -> None:
        on_disk[history] = deepcopy(hass_storage[history])

    hass.bus.async_listen_once(RAN, copy_history)
    await use(hass, portal, freezer, 90)
    assert [run["used_percent"] for run in runs(ran)] == [90]
    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage.update(on_disk)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert runs(ran) == []


async def test_start(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """What happened before a start, and is read before the automations listen, runs them once they do."""
    entry = await set_up(OTHER_ICCID)
    await hass.config_entries.async_unload(entry.entry_id)
    portal.sims[OTHER_ICCID].data_usage = 90 * PERCENT
    portal.sims[OTHER_ICCID].set_status("TEST_READY")
    hass.set_state(CoreState.not_running)
    ran = await automate(
        hass,
        [
            trigger_for(hass, entry, "data_used_crossed_threshold", threshold=above(80)),
            trigger_for(hass, entry, "status_changed"),
        ],
    )

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert runs(ran) == []
    await hass.async_start()
    await hass.async_block_till_done(wait_background_tasks=True)

    assert sorted(run.get("to") or str(run["used_percent"]) for run in runs(ran)) == [
        "90.0",
        "test_ready",
    ]
    await poll(hass, freezer)
    assert runs(ran) == []


async def test_data_used_and_a_new_allowance(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An allowance that is set below the use crosses the limit, without a poll."""
    entry = await set_up(OTHER_ICCID)
    await use(hass, portal, freezer, 50)
    ran = await automate(
        hass, trigger_for(hass, entry, "data_used_crossed_threshold", threshold=above(80))
    )
    (subentry,) = entry.subentries.values()

    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "allowance": 300}
    )
    await hass.async_block_till_done()

    assert [run["used_percent"] for run in runs(ran)] == [83.3]


async def test_projected_overage(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A pace beyond the allowance runs the automation once in a cycle."""
    freezer.move_to("2026-07-06 12:00:00+00:00")
    entry = await set_up(OTHER_ICCID)
    ran = await automate(hass, trigger_for(hass, entry, "projected_overage"))

    found = []
    for percent in (5, 40, 41, 42):
        await use(hass, portal, freezer, percent)
        found += runs(ran)
    # The pace falls below the allowance, and exceeds it again.
    freezer.move_to("2026-07-16 12:00:00+00:00")
    await poll(hass, freezer)
    await use(hass, portal, freezer, 70)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert runs(ran) == []

    (run,) = found
    assert run.items() >= of(OTHER_ICCID, hass, entry).items()
    assert run["projected_mb"] > run["allowance_mb"]


# --- No data session


def no_data_session(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    """Return the trigger for two hours without a session."""
    return {
        "trigger": "iot_portal.no_data_session",
        "target": {"device_id": device_id(hass, entry, OTHER_ICCID)},
        "options": {"for": {"hours": 2}},
    }


async def test_no_data_session(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM without a session for a while runs the automation once, also over a restart, until it had one again."""
    sim = portal.sims[OTHER_ICCID]
    sim.open_session()
    sim.close_session()
    entry = await set_up(OTHER_ICCID)
    ran = await automate(hass, no_data_session(hass, entry))

    await advance_time(hass, freezer, timedelta(minutes=100))
    assert runs(ran) == []
    await advance_time(hass, freezer, timedelta(minutes=36))
    (run,) = runs(ran)
    assert run.items() >= of(OTHER_ICCID, hass, entry).items()
    assert moment(run["session_ended"]) == second(sim.session_ended)
    assert run["hours"] >= 2

    for _ in range(3):
        await advance_time(hass, freezer, timedelta(minutes=30))
    await hass.config_entries.async_reload(entry.entry_id)
    await advance_time(hass, freezer, timedelta(minutes=30))
    assert runs(ran) == []

    sim.open_session()
    await advance_time(hass, freezer, timedelta(minutes=30))
    sim.close_session()
    for _ in range(6):
        await advance_time(hass, freezer, timedelta(minutes=30))
    assert len(runs(ran)) == 1


async def test_no_data_session_passed_while_stopped(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The time that is up while Home Assistant is stopped counts with the first read."""
    sim = portal.sims[OTHER_ICCID]
    sim.open_session()
    sim.close_session()
    entry = await set_up(OTHER_ICCID)
    ran = await automate(hass, no_data_session(hass, entry))

    await hass.config_entries.async_unload(entry.entry_id)
    freezer.tick(timedelta(hours=5))
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert len(runs(ran)) == 1


async def test_no_data_session_for_longer_than_any_date(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A duration that ends after the year 9999 never triggers, and no poll logs an error."""
    portal.sims[OTHER_ICCID].open_session()
    portal.sims[OTHER_ICCID].close_session()
    entry = await set_up(OTHER_ICCID)
    trigger = no_data_session(hass, entry) | {"options": {"for": {"days": 10_000_000}}}
    ran = await automate(hass, trigger)

    for _ in range(2):
        await poll(hass, freezer)

    assert runs(ran) == []
    assert "Exception" not in caplog.text


@pytest.mark.parametrize("sessions", ["open", "never"])
async def test_no_missing_session(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    sessions: str,
) -> None:
    """A session that is open is not missing, nor is one of a SIM that never had any."""
    sim = portal.sims[OTHER_ICCID]
    if sessions == "open":
        sim.open_session()
    else:
        sim.session_started = sim.session_ended = None
    entry = await set_up(OTHER_ICCID)
    ran = await automate(hass, no_data_session(hass, entry))

    for _ in range(5):
        await advance_time(hass, freezer, timedelta(hours=1))

    assert runs(ran) == []


# --- Targets


@pytest.mark.parametrize(
    "kind", ["entity", "device", "area", "floor", "label", "label of an entity", "account"]
)
async def test_target(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    kind: str,
) -> None:
    """A trigger fires for the SIMs that its target names, and for all SIMs of an account that it names."""
    entry = await set_up(ICCID, OTHER_ICCID)
    if kind == "account":
        target = {"device_id": device_id(hass, entry, entry.entry_id)}
    else:
        target = name_sim(hass, entry, OTHER_ICCID, kind)
    ran = await automate(hass, {"trigger": "iot_portal.status_changed", "target": target})

    for iccid in (ICCID, OTHER_ICCID):
        portal.sims[iccid].set_status("TEST_READY")
    await poll(hass, freezer)

    changed = {run["sim_name"] for run in runs(ran)}
    assert changed == {f"SIM {iccid}" for iccid in (ICCID, OTHER_ICCID)[kind != "account" :]}


async def test_account_in_an_area(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The area of an account is not that of its SIMs."""
    entry = await set_up(OTHER_ICCID)
    area = ar.async_get(hass).async_create("Office").id
    account = device_id(hass, entry, entry.entry_id)
    dr.async_get(hass).async_update_device(account, area_id=area)
    ran = await automate(
        hass, {"trigger": "iot_portal.status_changed", "target": {"area_id": area}}
    )

    portal.sims[OTHER_ICCID].set_status("TEST_READY")
    await poll(hass, freezer)

    assert runs(ran) == []


async def test_sims_to_come(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM is covered as soon as it comes under the target, and as long as it stays there."""
    entry = await set_up(ICCID)
    label = lr.async_get(hass).async_create("Cameras").label_id
    ran = await automate(
        hass, {"trigger": "iot_portal.status_changed", "target": {"label_id": label}}
    )

    await add_sims(hass, entry.entry_id, OTHER_ICCID)
    target = name_sim(hass, entry, OTHER_ICCID, "label")
    assert target["label_id"] != label
    set_label(hass, OTHER_ICCID, {label})
    portal.sims[OTHER_ICCID].set_status("TEST_READY")
    await poll(hass, freezer)
    assert [run["iccid_last_digits"] for run in runs(ran)] == [OTHER_ICCID[-4:]]

    set_label(hass, OTHER_ICCID, set())
    portal.sims[OTHER_ICCID].set_status("DEACTIVATED")
    await poll(hass, freezer)
    assert runs(ran) == []


def set_label(hass: HomeAssistant, iccid: str, labels: set[str]) -> None:
    """Give the sensor Status of a SIM labels."""
    registry = er.async_get(hass)
    entity_id = registry.async_get_entity_id("sensor", "iot_portal", f"{iccid}_status")
    assert entity_id is not None
    registry.async_update_entity(entity_id, labels=labels)


async def test_turned_off(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An automation that is turned off runs no more, and runs again once it is turned on."""
    entry = await set_up(OTHER_ICCID)
    ran = await automate(
        hass,
        [
            trigger_for(hass, entry, "status_changed"),
            trigger_for(hass, entry, "data_used_crossed_threshold", threshold=above(80)),
        ],
    )

    for service, percent, status in (("turn_off", 85, "TEST_READY"), ("turn_on", 2, "ACTIVATED")):
        await hass.services.async_call(
            "automation", service, {"entity_id": "automation.fleet"}, blocking=True
        )
        portal.sims[OTHER_ICCID].set_status(status)
        await use(hass, portal, freezer, percent)
        await use(hass, portal, freezer, percent)
    await use(hass, portal, freezer, 95)

    assert [run.get("to") or run["used_percent"] for run in runs(ran)] == ["activated", 95]


@pytest.mark.parametrize(
    "config",
    [
        {"target": {}},
        {},
        {"target": {"device_id": "a"}, "options": {"colour": "red"}},
        {"target": {"device_id": "a"}, "options": {"from": {"a": 1}}},
    ],
)
async def test_bad_config(
    hass: HomeAssistant, set_up: SetUp, caplog: pytest.LogCaptureFixture, config: dict[str, Any]
) -> None:
    """A trigger that cannot work is refused when the automation is set up."""
    await set_up(OTHER_ICCID)

    with pytest.raises(AssertionError):
        await automate(hass, {"trigger": "iot_portal.status_changed", **config})

    assert "failed to setup triggers" in caplog.text


# --- Only the SIM that triggered


@pytest.mark.parametrize("way", ["an action", "a script", "after a delay", "the account"])
async def test_only_the_sim_that_triggered(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    way: str,
) -> None:
    """An action on the whole fleet reaches that SIM only, wherever in the automation it is called."""
    entry = await set_up(ICCID, OTHER_ICCID)
    sims = {"device_id": [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)]}
    data = {"message": "Hello", "only_triggering_sim": True}
    if way == "the account":
        sims = {"device_id": [device_id(hass, entry, entry.entry_id)]}
    send: list[dict[str, Any]] = [{"action": "iot_portal.send_sms", "target": sims, "data": data}]
    if way == "a script":
        assert await _set_up_script(hass, send)
        send = [{"action": "script.send"}]
    elif way == "after a delay":
        send = [{"delay": {"seconds": 30}}, *send]
    ran = await automate(hass, {"trigger": "iot_portal.status_changed", "target": sims}, None, send)

    portal.sims[OTHER_ICCID].set_status("TEST_READY")
    freezer.tick(timedelta(minutes=30))
    await read(hass, OTHER_ICCID)
    await advance_time(hass, freezer, timedelta(minutes=1))

    assert len(runs(ran)) == 1
    portal.journal.assert_called_once("PUT", f"/SendSMS/{OTHER_ICCID}/1")
    portal.journal.assert_not_called("PUT", f"/SendSMS/{ICCID}/1")


async def read(hass: HomeAssistant, iccid: str) -> None:
    """Read a SIM as a poll does, without waiting for what it starts."""
    (entry,) = hass.config_entries.async_entries("iot_portal")
    (sim,) = [sim for sim in entry.runtime_data.sims.values() if sim.iccid == iccid]
    await sim.async_refresh()
    for _ in range(20):
        # Time stands still, so a delay of the automation would never end.
        await asyncio.sleep(0)


async def _set_up_script(hass: HomeAssistant, sequence: list[dict[str, Any]]) -> bool:
    """Set up a script."""
    return await async_setup_component(hass, "script", {"script": {"send": {"sequence": sequence}}})
