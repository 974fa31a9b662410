"""SMS to and from a SIM: each is read no more often than needed, and told once."""

import asyncio
from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.const import CONF_WATCH_SMS, DOMAIN
from custom_components.iot_portal.coordinator import IotPortalSimCoordinator
from mock_portal import MockPortal

from .conftest import OTHER_ICCID, SetUp
from .helpers import (
    SeenEvents,
    advance_time,
    exists,
    log_messages,
    poll,
    record_events,
    send_sms,
    state_of,
)


def stored(hass_storage: dict[str, Any], entry: MockConfigEntry) -> Any:
    """Return what is stored of the writes to the SIM."""
    return hass_storage[f"{DOMAIN}.{entry.entry_id}"]["data"]["sims"][OTHER_ICCID]


def sim_of(entry: MockConfigEntry) -> IotPortalSimCoordinator:
    """Return the coordinator of the only SIM."""
    sim: IotPortalSimCoordinator = next(iter(entry.runtime_data.sims.values()))
    return sim


def ids(events: SeenEvents) -> list[tuple[str, str]]:
    """Return the type and the SMS id of each event."""
    return [(event, attributes["sms_id"]) for event, attributes in events]


def add_answer(portal: MockPortal, **answer: object) -> None:
    """Answer the next request for an SMS in the place of the portal."""
    portal.faults.add("status", route="GetSMS", status=200, body=answer, times=1)


@pytest.fixture
async def watched(hass: HomeAssistant, set_up: SetUp) -> MockConfigEntry:
    """Return an account that notices received SMS, and has seen none."""
    return await set_up(OTHER_ICCID, options={CONF_WATCH_SMS: True})


async def test_too_long(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """A message that is too long for the portal is not sent by the notify entity either."""
    await set_up(OTHER_ICCID)
    data = {ATTR_ENTITY_ID: f"notify.sim_{OTHER_ICCID}_send_sms", "message": "x" * 2000}

    with pytest.raises(ServiceValidationError):
        await hass.services.async_call("notify", "send_message", data, blocking=True)

    assert not portal.journal.find(route="SendSMS")


async def test_ended(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An SMS that has ended is not read again: not soon, not by a poll, and not after a restart."""
    entry = await set_up(OTHER_ICCID)
    events = record_events(hass, "sms_event", OTHER_ICCID)
    await send_sms(hass, entry)
    await advance_time(hass, freezer, timedelta(seconds=6))
    portal.journal.clear()

    await advance_time(hass, freezer, timedelta(seconds=10))
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await advance_time(hass, freezer, timedelta(seconds=15))
    await poll(hass, freezer)

    assert ids(events) == [("sms_sent", "4711"), ("sms_delivered", "4711")]
    assert not portal.journal.find(route="GetSMS")


async def test_unloaded(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An SMS is not read after its account was unloaded."""
    entry = await set_up(OTHER_ICCID)
    await send_sms(hass, entry)

    await hass.config_entries.async_unload(entry.entry_id)
    await advance_time(hass, freezer, timedelta(seconds=6))

    assert not portal.journal.find(route="GetSMS")


async def test_read_by_polls(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Polls read an SMS only once the quick checks are over, ten minutes after it was sent."""
    portal.state.timings.sms_seconds = 3 * 3600
    entry = await set_up(OTHER_ICCID)
    await send_sms(hass, entry)
    reads = []

    for minutes in (0, 9, 1):
        await advance_time(hass, freezer, timedelta(minutes=minutes))
        portal.journal.clear()
        await sim_of(entry).async_refresh()
        reads.append(len(portal.journal.find(route="GetSMS")))

    assert reads == [0, 0, 1]


async def test_two_checks_at_once(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An SMS that is read twice at the same time ends once, whatever the second answer says."""
    entry = await set_up(OTHER_ICCID)
    events = record_events(hass, "sms_event", OTHER_ICCID)
    await send_sms(hass, entry)
    for status in ("Delivered", "Failed"):
        add_answer(portal, smsMsgId=4711, status=status)
    freezer.tick(timedelta(minutes=11))
    check = sim_of(entry).sms.async_check_old

    await asyncio.gather(check(), check())
    await hass.async_block_till_done()

    assert len(events) == 2


async def test_two_under_way(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """Of two SMS each is told by its own id; once both have ended only the last is kept."""
    portal.state.timings.sms_seconds = 3 * 3600
    entry = await set_up(OTHER_ICCID)
    events = record_events(hass, "sms_event", OTHER_ICCID)
    for _ in range(2):
        await send_sms(hass, entry)
        freezer.tick(timedelta(seconds=1))
    portal.state.find_sms("4712").status = "Delivered"

    await advance_time(hass, freezer, timedelta(seconds=6))
    assert ids(events) == [("sms_sent", "4711"), ("sms_sent", "4712"), ("sms_delivered", "4712")]
    assert [sms["sms_id"] for sms in stored(hass_storage, entry)["sent_sms"]] == ["4711", "4712"]
    portal.state.find_sms("4711").status = "Failed"
    await advance_time(hass, freezer, timedelta(seconds=15))
    await advance_time(hass, freezer, timedelta(seconds=1))

    assert ids(events)[3:] == [("sms_failed", "4711")]
    assert [sms["sms_id"] for sms in stored(hass_storage, entry)["sent_sms"]] == ["4712"]


async def test_list_with_more_pages(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A list of SMS that has more pages is logged once, until a list was complete again."""
    logged = []
    for number, is_last in enumerate((True, False, False, True, False)):
        body: dict[str, object] = {"smsMsgIds": [], "lastPage": is_last}
        portal.faults.add("status", route="GetSMSIds", status=200, body=body, times=1)
        if number:
            await poll(hass, freezer)
        else:
            await set_up(OTHER_ICCID, options={CONF_WATCH_SMS: True})
        logged.append(sum("lists only some of the SMS" in text for text in log_messages(caplog)))

    assert logged == [0, 1, 1, 1, 2]


async def test_seen_are_stored(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """Which SMS were seen is stored at once, as a crash may follow, and only when it has changed."""
    await advance_time(hass, freezer, timedelta(seconds=1))
    assert stored(hass_storage, watched)["seen_sms_ids"] == []

    portal.state.receive_sms(OTHER_ICCID, "One")
    await poll(hass, freezer)
    await advance_time(hass, freezer, timedelta(seconds=1))
    assert stored(hass_storage, watched)["seen_sms_ids"] == ["4711"]

    file = hass_storage.pop(f"{DOMAIN}.{watched.entry_id}")
    await poll(hass, freezer)
    await advance_time(hass, freezer, timedelta(seconds=1))
    assert f"{DOMAIN}.{watched.entry_id}" not in hass_storage
    hass_storage[f"{DOMAIN}.{watched.entry_id}"] = file


async def test_many_at_once(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A poll reads 20 new SMS at most; the next one reads the others."""
    for number in range(25):
        portal.state.receive_sms(OTHER_ICCID, f"Number {number}")
    reads = []

    for _ in range(3):
        await poll(hass, freezer)
        reads.append(len(portal.journal.find(route="GetSMS")))

    assert reads == [20, 25, 25]


async def test_sent_by_somebody_else(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An SMS to the SIM that was not sent here is not told as received."""
    events = record_events(hass, "sms_event", OTHER_ICCID)
    portal.state.send_sms(portal.sims[OTHER_ICCID], "From the portal's page", "somebody")

    await poll(hass, freezer)

    assert portal.journal.find("GET", "/GetSMS/4711")
    assert not events


SENT, RECEIVED = "2026-11-24T08:00:00Z", "2026-11-24T08:00:05Z"


@pytest.mark.parametrize(
    ("dates", "received_at"),
    [
        ({"dateSent": SENT, "dateReceived": RECEIVED}, RECEIVED),
        ({"dateSent": SENT}, SENT),
        ({"dateReceived": RECEIVED}, RECEIVED),
    ],
    ids=["both", "sent", "received"],
)
async def test_received_in_any_status(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    dates: dict[str, str],
    received_at: str,
) -> None:
    """An SMS from the SIM is told whatever its status is, with the best of its dates."""
    events = record_events(hass, "sms_event", OTHER_ICCID)
    portal.state.receive_sms(OTHER_ICCID, "One")
    add_answer(portal, smsMsgId=4711, msgType="MO", status="Delivered", messageText="One", **dates)

    await poll(hass, freezer)

    ((event, attributes),) = events
    assert (event, attributes["message"]) == ("sms_received", "One")
    assert attributes["received_at"].isoformat() == received_at.replace("Z", "+00:00")


async def test_last_received(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
) -> None:
    """The sensor shows the last SMS from the SIM with its id and time, also after a restart."""
    assert not exists(hass, OTHER_ICCID, "last_received_sms")
    portal.state.receive_sms(OTHER_ICCID, "Battery low")
    await poll(hass, freezer)
    assert state_of(hass, OTHER_ICCID, "last_received_sms") == "Battery low"
    portal.state.receive_sms(OTHER_ICCID, "Battery\nempty")
    await poll(hass, freezer)
    await send_sms(hass, watched)

    await hass.config_entries.async_reload(watched.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await poll(hass, freezer)

    state = hass.states.get(f"sensor.sim_{OTHER_ICCID}_last_received_sms")
    assert state is not None
    assert state.state == state.attributes["message"] == "Battery empty"
    assert state.attributes["sms_id"] == "4712"
    assert state.attributes["received_at"] is not None


async def test_last_received_is_shown_when_its_event_comes(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
) -> None:
    """An automation that is started by the event finds the text in the sensor."""
    seen: list[str] = []

    @callback
    def look(event: Event[EventStateChangedData]) -> None:
        seen.append(state_of(hass, OTHER_ICCID, "last_received_sms"))

    async_track_state_change_event(hass, f"event.sim_{OTHER_ICCID}_sms_event", look)
    portal.state.receive_sms(OTHER_ICCID, "Battery low")
    await poll(hass, freezer)

    assert seen == ["Battery low"]


async def test_last_received_that_is_long(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
) -> None:
    """A state holds 255 characters; the attribute has the whole text."""
    portal.state.receive_sms(OTHER_ICCID, "x" * 600)

    await poll(hass, freezer)

    state = hass.states.get(f"sensor.sim_{OTHER_ICCID}_last_received_sms")
    assert state is not None
    assert state.state == "x" * 254 + "…"
    assert state.attributes["message"] == "x" * 600


@pytest.mark.parametrize(
    ("times", "last"),
    [
        (("2026-01-02", "2026-01-01"), "4711"),
        (("2026-01-01", None), "4711"),
        ((None, None), "4712"),
    ],
    ids=["newest first", "one without a time", "no times"],
)
async def test_last_of_several_received(
    hass: HomeAssistant,
    watched: MockConfigEntry,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
    times: tuple[str | None, str | None],
    last: str,
) -> None:
    """Of several new SMS the sensor shows the one with the latest time, whatever their order is."""
    for sms_id, received in zip(("4711", "4712"), times, strict=True):
        portal.state.receive_sms(OTHER_ICCID, sms_id)
        date = received and f"{received} 10:00:00.000+0000"
        add_answer(portal, smsMsgId=sms_id, msgType="MO", messageText=sms_id, dateReceived=date)

    await poll(hass, freezer)

    assert state_of(hass, OTHER_ICCID, "last_received_sms") == last
