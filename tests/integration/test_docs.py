"""The automations in examples.md are valid and work as described."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
import re
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
    async_get_persistent_notifications,
)
import yaml
from yarl import URL

from custom_components.iot_portal import PLATFORMS
from custom_components.iot_portal.const import CONF_WATCH_SMS, DOMAIN
from custom_components.iot_portal.services import ACTIONS
from mock_portal import MockPortal

from .conftest import ICCID, SetUp
from .helpers import add_sims, advance_time, edit_sims, poll, report_bulk_edit, sent_bulk_edit

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "examples.md").read_text()
# The examples by their description, which is the line before each.
EXAMPLES = dict(re.findall(r"^(\S[^\n]*):\n\n```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
AUTOMATION = "automation.example"
# The user's other entities in the examples.
PING, DOOR = "binary_sensor.router_ping", "binary_sensor.pump_house_door"
BOAT = "device_tracker.boat"
PUMP, TRACKER = "8931082322204500026", "8931082322204500034"
MB = 1_000_000


@pytest.fixture
async def portal() -> AsyncIterator[MockPortal]:
    """Return the portal of scripts/develop, with the SIM of the examples activated."""
    async with MockPortal("demo") as portal:
        portal.sims[ICCID].set_status("ACTIVATED")
        yield portal


@pytest.fixture
async def demo(
    hass: HomeAssistant,
    portal: MockPortal,
    set_up: SetUp,
    all_entities: None,
    freezer: FrozenDateTimeFactory,
) -> AsyncIterator[None]:
    """Set up the account and SIMs of scripts/develop, and the other entities of the examples.

    Time stands still from the beginning: to stop it later is a jump.
    """
    entry = await set_up(options={CONF_WATCH_SMS: True}, title="Demo")
    await add_sims(hass, entry.entry_id, " ".join(portal.sims))
    await hass.async_block_till_done(wait_background_tasks=True)
    hass.states.async_set(PING, STATE_ON)
    hass.states.async_set(DOOR, STATE_OFF)
    hass.states.async_set(BOAT, "home")
    yield
    # An automation with a time trigger would never end otherwise.
    if hass.services.has_service("automation", "turn_off"):
        await hass.services.async_call(
            "automation", "turn_off", {"entity_id": AUTOMATION}, blocking=True
        )


async def automate(hass: HomeAssistant, does: str) -> None:
    """Set up the example with this description."""
    (text,) = (text for words, text in EXAMPLES.items() if words.startswith(does))
    config = {"id": "example", "alias": "Example", **yaml.safe_load(text)}
    assert await async_setup_component(hass, "persistent_notification", {})
    assert await async_setup_component(hass, "automation", {"automation": config})
    # An invalid automation is unavailable.
    assert hass.states.is_state(AUTOMATION, STATE_ON)


def notes(hass: HomeAssistant) -> list[str]:
    """Return the messages of the notifications."""
    return [note["message"] for note in async_get_persistent_notifications(hass).values()]


async def use(
    hass: HomeAssistant, portal: MockPortal, freezer: FrozenDateTimeFactory, megabytes: int
) -> None:
    """Set the data usage of a SIM, and read it."""
    portal.sims[ICCID].data_usage = megabytes * MB
    await poll(hass, freezer)


def test_examples_are_tried() -> None:
    """Every example has a test, and every action and kind of entity has an example."""
    assert [words.split()[0].lower() for words in EXAMPLES] == [
        *("warn", "restart", "deactivate", "tell"),
        *(
            "notify",
            "read",
            "note",
            "ask",
            "forward",
            "look",
            "switch",
            "get",
            "write",
            "turn",
            "show",
        ),
        *("raise", "change", "report"),
    ]
    assert PAGE.count("```yaml") == len(EXAMPLES)
    for name in ACTIONS:
        assert f"action: iot_portal.{name}\n" in PAGE
    for platform in PLATFORMS:
        assert re.search(rf"entity_id: {platform}\.\w+\n", PAGE)


@pytest.mark.parametrize("does", EXAMPLES)
async def test_names(hass: HomeAssistant, demo: None, does: str) -> None:
    """Home Assistant accepts the example, and the demo has all entities in it."""
    await automate(hass, does)
    named = set(
        re.findall(
            r"\b(?:sensor|binary_sensor|event|switch|notify\.\w+_sms|button)\.\w+", EXAMPLES[does]
        )
    ) - {"button.press", "switch.turn_on"}
    assert named
    assert {entity_id for entity_id in named if hass.states.get(entity_id) is None} == set()


async def test_warn(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that has used 450 MB is reported once."""
    await automate(hass, "Warn")
    await use(hass, portal, freezer, 449)
    assert notes(hass) == []
    await use(hass, portal, freezer, 451)
    await use(hass, portal, freezer, 460)
    assert notes(hass) == ["Pangea test SIM has used 451.0 MB."]


async def test_restart(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A router that has not answered for ten minutes gets an SMS."""
    await automate(hass, "Restart")
    hass.states.async_set(PING, STATE_OFF)
    await advance_time(hass, freezer, timedelta(minutes=9))
    assert portal.journal.find("PUT", f"/SendSMS/{ICCID}/1") == []
    await advance_time(hass, freezer, timedelta(minutes=1))
    (sent,) = portal.journal.find("PUT", f"/SendSMS/{ICCID}/1")
    assert sent.body == {"messageText": "reboot"}


async def test_deactivate(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that has used 98 % of its allowance is deactivated once."""
    await automate(hass, "Deactivate")
    portal.sims[ICCID].data_usage = 1003 * 1024**2
    await poll(hass, freezer)
    assert portal.sims[ICCID].status == "ACTIVATED"
    portal.sims[ICCID].data_usage = 1004 * 1024**2
    await poll(hass, freezer)
    assert portal.sims[ICCID].status == "DEACTIVATED"
    await use(hass, portal, freezer, 0)
    await use(hass, portal, freezer, 1100)
    portal.journal.assert_called_once("PUT", f"/RequestStatusChange/{ICCID}")


async def test_deactivate_what_is_off(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that has another status is left alone."""
    await automate(hass, "Deactivate")
    portal.sims[ICCID].set_status("TEST_READY")
    await use(hass, portal, freezer, 1100)
    portal.journal.assert_not_called("PUT", f"/RequestStatusChange/{ICCID}")


async def test_tell(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An SMS that failed is reported with its ID; one that was delivered is not."""
    await automate(hass, "Tell")
    for status in ("ACTIVATED", "DEACTIVATED"):
        portal.sims[ICCID].set_status(status)
        await hass.services.async_call(
            "notify",
            "send_message",
            {"entity_id": "notify.pangea_test_sim_send_sms", "message": "Hello"},
            blocking=True,
        )
        portal.clock.advance(60)
        await advance_time(hass, freezer, timedelta(seconds=60))
    assert notes(hass) == ["SMS 4712 to Pangea test SIM has not arrived: failed."]


async def at(hass: HomeAssistant, freezer: FrozenDateTimeFactory, moment: str) -> None:
    """Set the time."""
    freezer.move_to(
        dt_util.as_utc(
            datetime.fromisoformat(moment).replace(tzinfo=dt_util.get_default_time_zone())
        )
    )
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_notify(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that is projected to exceed its allowance is reported once."""
    portal.sims[PUMP].data_usage = MB
    await poll(hass, freezer)
    await poll(hass, freezer)
    await automate(hass, "Notify")
    # Not so soon that it could be the old count again.
    freezer.tick(timedelta(days=1))
    await poll(hass, freezer)
    portal.sims[PUMP].data_usage = 499 * 1024**2
    await poll(hass, freezer)
    await advance_time(hass, freezer, timedelta(minutes=1))
    assert notes(hass) == ["Pump house will exceed its allowance: 99.8 % is used already."]


async def test_raise(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The allowance of the tracker is raised on the first of June, without a request."""
    await automate(hass, "Raise")
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    (sim,) = [sub for sub in entry.subentries.values() if sub.unique_id == TRACKER]
    await at(hass, freezer, "2027-05-31T03:00:00")
    assert "allowance" not in sim.data
    await at(hass, freezer, "2027-06-01T03:00:00")
    assert sim.data["allowance"] == 2000


async def test_read(hass: HomeAssistant, demo: None, portal: MockPortal) -> None:
    """A SIM is read when its router is back online."""
    await automate(hass, "Read")
    hass.states.async_set(PING, STATE_OFF)
    await hass.async_block_till_done(wait_background_tasks=True)
    portal.journal.clear()
    hass.states.async_set(PING, STATE_ON)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert {call.iccid for call in portal.journal} == {ICCID}


async def test_note(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """On a Monday morning the data are written to the notes, on a Tuesday they are not."""
    await automate(hass, "Note")
    await at(hass, freezer, "2027-03-02T07:00:00")
    assert notes(hass) == []
    await at(hass, freezer, "2027-03-08T07:00:00")
    used = portal.sims[PUMP].data_usage
    assert notes(hass) == [f"{PUMP} is {portal.sims[PUMP].status} and has used {used} bytes."]


async def test_ask(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A tracker that has been out of a session for six hours gets an SMS."""
    await automate(hass, "Ask")
    portal.sims[TRACKER].close_session()
    await poll(hass, freezer)
    await advance_time(hass, freezer, timedelta(hours=5))
    assert portal.journal.find("PUT", f"/SendSMS/{TRACKER}/1") == []
    await advance_time(hass, freezer, timedelta(hours=1))
    (sent,) = portal.journal.find("PUT", f"/SendSMS/{TRACKER}/1")
    assert sent.body == {"messageText": "position?"}


async def test_forward(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An SMS from a SIM is reported, one to a SIM is not."""
    await poll(hass, freezer)
    await automate(hass, "Forward")
    data = {"entity_id": "notify.boat_tracker_send_sms", "message": "position?"}
    await hass.services.async_call("notify", "send_message", data, blocking=True)
    portal.state.receive_sms(TRACKER, "52.37 N 4.90 E")
    await poll(hass, freezer)
    assert notes(hass) == ["The tracker says: 52.37 N 4.90 E"]


async def test_look(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """In the evening the status of the last SMS is looked up, if there is one."""
    await automate(hass, "Look")
    await at(hass, freezer, "2027-03-02T20:00:00")
    assert notes(hass) == []
    portal.state.receive_sms(TRACKER, "Hello")
    await at(hass, freezer, "2027-03-03T20:00:00")
    assert notes(hass) == ["The last SMS is Received."]


async def test_switch(hass: HomeAssistant, demo: None, portal: MockPortal) -> None:
    """The SIM of the pump house is activated when its door is opened."""
    portal.sims[PUMP].set_status("DEACTIVATED")
    await automate(hass, "Switch")
    hass.states.async_set(DOOR, STATE_ON)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert portal.sims[PUMP].status == "ACTIVATED"


async def test_get(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A status change by somebody else is reported with the previous status, one from here is not."""
    await automate(hass, "Get")
    data = {"entity_id": "sensor.boat_tracker_status", "status": "deactivated"}
    await hass.services.async_call(DOMAIN, "request_status_change", data, blocking=True)
    await poll(hass, freezer)
    assert portal.sims[TRACKER].status == "DEACTIVATED"
    assert notes(hass) == []
    portal.sims[PUMP].set_status("DEACTIVATED")
    await poll(hass, freezer)
    assert notes(hass) == ["Pump house went from activated to deactivated."]


async def test_write(hass: HomeAssistant, demo: None, portal: MockPortal) -> None:
    """The position of the boat is written to the portal."""
    await automate(hass, "Write")
    hass.states.async_set(BOAT, "harbour")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert portal.sims[TRACKER].device["simNotes"] == "harbour"


async def test_turn(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Once a year the seasonal SIMs are deactivated."""
    await automate(hass, "Turn")
    await at(hass, freezer, "2027-10-31T03:00:00")
    assert portal.journal.find("PUT", "/BulkEditDevice") == []
    await at(hass, freezer, "2027-11-01T03:00:00")
    (sent,) = portal.journal.find("PUT", "/BulkEditDevice")
    assert isinstance(sent.body, dict)
    assert sent.body["iccids"] == [TRACKER, PUMP]
    assert sent.body["update"] == {"status": "DEACTIVATED"}


async def test_show(hass: HomeAssistant, demo: None, portal: MockPortal, reachable: Any) -> None:
    """The end of a bulk edit is reported."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await automate(hass, "Show")
    portal.dialects["bulk_webhook"] = "silent"
    await edit_sims(hass, entry, (PUMP, TRACKER))
    body = sent_bulk_edit(portal)
    await report_bulk_edit(hass, reachable, (URL(body["webhookUrl"]).path, body["queueId"]))
    assert notes(hass) == ["The edit of 2 SIMs has finished."]


async def test_change(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A rule is changed when all SIMs together have used too much."""
    await automate(hass, "Change")
    await use(hass, portal, freezer, 2001)
    await advance_time(hass, freezer, timedelta(seconds=5))
    (sent,) = portal.journal.find(route="RuleUpdate")
    assert sent.body == {"name": "all SIMs", "active": True}


async def test_report(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An outage of the portal that lasts an hour is reported."""
    await automate(hass, "Report")
    portal.faults.add("status", status=503)
    await poll(hass, freezer)
    # The sums of an account are updated with a delay.
    await advance_time(hass, freezer, timedelta(seconds=5))
    await advance_time(hass, freezer, timedelta(minutes=30))
    assert notes(hass) == []
    await advance_time(hass, freezer, timedelta(minutes=45))
    assert notes(hass) == ["The portal has been unreachable for an hour."]
