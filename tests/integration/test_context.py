"""Who did it: what comes of a call shows its user, also hours later, and nothing else does."""

from collections.abc import Callable
from datetime import timedelta
import json
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Context, Event, EventStateChangedData, HomeAssistant, callback
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.diagnostics import async_get_config_entry_diagnostics
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import advance_time, device_id, poll, until_reported

# The key of an entity, its new state or event, and the user in its context.
type Change = tuple[str, str, str | None]


class Changes:
    """The changes of the entities of the first SIM and of the account, as the logbook would tell them."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start to listen."""
        self._seen: list[Change] = []
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._add)

    @callback
    def _add(self, event: Event[EventStateChangedData]) -> None:
        """Add a change."""
        state = event.data["new_state"]
        if state is None or OTHER_ICCID in state.entity_id:
            return
        if state.entity_id.startswith("sensor.demo_client"):
            return
        name = state.entity_id.replace(f"sim_{ICCID}_", "").replace("demo_client_", "")
        shown = state.attributes.get("event_type") or state.state
        self._seen.append((name, str(shown), event.context.user_id))

    def take(self) -> set[Change]:
        """Return the changes since this was called last."""
        seen = set(self._seen)
        self._seen.clear()
        return seen


@pytest.fixture
def user(hass: HomeAssistant) -> MockUser:
    """Return a person."""
    return MockUser(id="anna", is_owner=True).add_to_hass(hass)


@pytest.fixture
def ben(hass: HomeAssistant) -> MockUser:
    """Return another person."""
    return MockUser(id="ben", is_owner=True).add_to_hass(hass)


@pytest.fixture
def act(hass: HomeAssistant) -> Callable[..., Any]:
    """Return a function that calls an action as a person does."""

    async def act(user: MockUser, action: str, **data: Any) -> None:
        domain, _, name = action.partition(".")
        await hass.services.async_call(
            domain, name, data, blocking=True, context=Context(user_id=user.id)
        )
        await hass.async_block_till_done(wait_background_tasks=True)

    return act


def sim_of(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, str]:
    """Return the target of an action for the first SIM."""
    return {"device_id": device_id(hass, entry, ICCID)}


def stored(hass_storage: dict[str, Any], entry: MockConfigEntry) -> str:
    """Return the file of the account's writes."""
    return json.dumps(hass_storage[f"{DOMAIN}.{entry.entry_id}"]["data"])


async def test_status_at_once(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
    user: MockUser,
    act: Callable[..., Any],
) -> None:
    """A status that takes effect at once shows who requested it; an outage after it does not."""
    entry = await set_up(ICCID)
    changes = Changes(hass)

    await act(user, f"{DOMAIN}.request_status_change", **sim_of(hass, entry), status="activated")

    assert changes.take() == {
        ("binary_sensor.change_pending", "on", "anna"),
        ("binary_sensor.change_pending", "off", "anna"),
        ("sensor.status", "activated", "anna"),
        ("switch.active", "on", "anna"),
        ("event.sim_event", "status_change_confirmed", "anna"),
    }

    portal.faults.add("status", status=500)
    await poll(hass, freezer)

    assert {user_id for _, _, user_id in changes.take()} == {None}


@pytest.mark.parametrize("is_restarted", [False, True], ids=["running", "restarted"])
async def test_status_hours_later(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
    user: MockUser,
    act: Callable[..., Any],
    is_restarted: bool,
) -> None:
    """What a poll confirms hours later still shows who requested it, but what else it reads does not."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    changes = Changes(hass)
    await act(user, f"{DOMAIN}.edit_device", **sim_of(hass, entry), changes={"status": "ACTIVATED"})
    assert changes.take() == {("binary_sensor.change_pending", "on", "anna")}
    if is_restarted:
        await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
    await advance_time(hass, freezer, timedelta(hours=3))
    changes.take()

    portal.sims[ICCID].set_status("ACTIVATED")
    portal.sims[ICCID].sms_usage += 3
    await poll(hass, freezer)

    assert changes.take() == {
        ("binary_sensor.change_pending", "off", "anna"),
        ("sensor.status", "activated", "anna"),
        ("switch.active", "on", "anna"),
        ("event.sim_event", "status_change_confirmed", "anna"),
        ("sensor.sms_usage", str(portal.sims[ICCID].sms_usage), None),
    }

    portal.sims[ICCID].set_status("DEACTIVATED")
    await poll(hass, freezer)

    assert {user_id for _, _, user_id in changes.take()} == {None}


async def test_change_by_somebody_else(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
    user: MockUser,
    act: Callable[..., Any],
) -> None:
    """What changes at the portal in the seconds after a call does not look like its effect."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    await act(user, "switch.turn_on", entity_id=f"switch.sim_{ICCID}_active")
    changes = Changes(hass)

    portal.sims[ICCID].set_status("TEST_READY")
    (sim,) = entry.runtime_data.sims.values()
    await sim.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)

    assert ("sensor.status", "test_ready", None) in changes.take()


async def test_replaced(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    user: MockUser,
    ben: MockUser,
    act: Callable[..., Any],
) -> None:
    """A request that another person replaces ends because of that person."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    sim = sim_of(hass, entry)
    await act(user, f"{DOMAIN}.request_status_change", **sim, status="activated")
    changes = Changes(hass)

    await act(ben, f"{DOMAIN}.request_status_change", **sim, status="deactivated")

    assert changes.take() == {
        ("binary_sensor.change_pending", "on", "ben"),
        ("event.sim_event", "status_change_replaced", "ben"),
    }


async def test_timed_out(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    hass_storage: dict[str, Any],
    freezer: FrozenDateTimeFactory,
    user: MockUser,
    act: Callable[..., Any],
) -> None:
    """A status that never comes shows who requested it."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    await act(user, f"{DOMAIN}.request_status_change", **sim_of(hass, entry), status="activated")
    for _ in range(7):
        await advance_time(hass, freezer, timedelta(minutes=10))
    changes = Changes(hass)

    await advance_time(hass, freezer, timedelta(hours=24))

    assert {
        ("binary_sensor.change_pending", "off", "anna"),
        ("event.sim_event", "status_change_timed_out", "anna"),
    } <= changes.take()
    await advance_time(hass, freezer, timedelta(seconds=1))
    # The request is kept, as the portal may still report the status, but nothing shows the user any more.
    assert '"ACTIVATED"' in stored(hass_storage, entry)
    assert "anna" not in stored(hass_storage, entry)

    portal.sims[ICCID].set_status("ACTIVATED")
    await poll(hass, freezer)

    assert {user_id for _, _, user_id in changes.take()} == {None}


@pytest.mark.parametrize("by", ["action", "entity"])
async def test_sms(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    hass_storage: dict[str, Any],
    freezer: FrozenDateTimeFactory,
    all_entities: None,
    user: MockUser,
    act: Callable[..., Any],
    by: str,
) -> None:
    """An SMS shows who sent it, from its first status to its delivery."""
    portal.sims[ICCID].set_status("ACTIVATED")
    entry = await set_up(ICCID)
    changes = Changes(hass)

    if by == "action":
        await act(user, f"{DOMAIN}.send_sms", **sim_of(hass, entry), message="Hello")
    else:
        entity_id = f"notify.sim_{ICCID}_send_sms"
        await act(user, "notify.send_message", entity_id=entity_id, message="Hello")
    assert "anna" in stored(hass_storage, entry)
    seen = changes.take()
    assert {
        ("event.sms_event", "sms_sent", "anna"),
        ("sensor.last_sent_sms", "unknown", "anna"),
    } <= seen
    portal.clock.advance(3600)
    await advance_time(hass, freezer, timedelta(seconds=6))
    await advance_time(hass, freezer, timedelta(seconds=20))

    assert changes.take() == {
        ("event.sms_event", "sms_delivered", "anna"),
        ("sensor.last_sent_sms", "delivered", "anna"),
    }
    await advance_time(hass, freezer, timedelta(seconds=1))
    # The SMS is kept for the sensor, but without its sender.
    assert '"delivered"' in stored(hass_storage, entry).lower()
    assert "anna" not in stored(hass_storage, entry)


async def test_bulk_edit(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    reachable: Any,
    user: MockUser,
    act: Callable[..., Any],
) -> None:
    """An edit of many SIMs shows who requested it: on each SIM, and on the event of its end."""
    entry = await set_up(ICCID, OTHER_ICCID)
    changes = Changes(hass)
    sims = [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)]

    await act(
        user, f"{DOMAIN}.bulk_edit_devices", device_id=sims, changes={"status": "DEACTIVATED"}
    )

    assert changes.take() == {("binary_sensor.change_pending", "on", "anna")}
    await until_reported(hass, portal)
    assert changes.take() == {
        ("event.bulk_edit", "finished", "anna"),
        ("event.sim_event", "status_change_confirmed", "anna"),
        ("binary_sensor.change_pending", "off", "anna"),
        ("sensor.status", "deactivated", "anna"),
    }


async def test_refresh(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    user: MockUser,
    act: Callable[..., Any],
) -> None:
    """Who presses Refresh has not changed what is read then."""
    await set_up(ICCID)
    portal.sims[ICCID].set_status("ACTIVATED")
    changes = Changes(hass)

    await act(user, "button.press", entity_id=f"button.sim_{ICCID}_refresh")

    seen = changes.take()
    assert {
        ("sensor.status", "activated", None),
        ("event.sim_event", "status_changed", None),
    } <= seen
    assert {user_id for name, _, user_id in seen if name == "button.refresh"} == {"anna"}


async def test_diagnostics(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    user: MockUser,
    act: Callable[..., Any],
) -> None:
    """Diagnostics do not name the user."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    await act(user, f"{DOMAIN}.request_status_change", **sim_of(hass, entry), status="activated")
    await act(user, f"{DOMAIN}.send_sms", **sim_of(hass, entry), message="Hello")

    diagnostics = await async_get_config_entry_diagnostics(hass, entry)

    assert "ACTIVATED" in str(diagnostics)
    assert "anna" not in str(diagnostics)
    assert "context" not in str(diagnostics)


async def test_change_while_another_acts(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    ben: MockUser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change that is being saved while somebody acts on the SIM does not become theirs."""
    entry = await set_up(ICCID)
    (sim,) = entry.runtime_data.sims.values()
    histories = entry.runtime_data.account.histories
    keep = histories.async_keep

    async def act_and_keep(*args: Any) -> None:
        sim.async_writes_changed(Context(user_id=ben.id))
        await keep(*args)

    monkeypatch.setattr(histories, "async_keep", act_and_keep)
    changes = Changes(hass)
    portal.sims[ICCID].set_status("DEACTIVATED")

    await poll(hass, freezer)

    assert ("sensor.status", "deactivated", None) in changes.take()
