"""Data that were read are restored after a restart and not requested again."""

import asyncio
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import (
    EVENT_HOMEASSISTANT_FINAL_WRITE,
    EVENT_STATE_CHANGED,
    EVENT_STATE_REPORTED,
    STATE_UNAVAILABLE,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.iot_portal.const import DEVICE_INTERVAL, DOMAIN
from custom_components.iot_portal.evidence import MAX_REFUSED_INTERVAL
from custom_components.iot_portal.models import SimData
from custom_components.iot_portal.storage import SNAPSHOT_SAVE_DELAY, HistoryStore, SnapshotStore
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    advance_time,
    exists,
    find_issue,
    log_messages,
    poll,
    record_events,
    state_of,
    wait_for_requests,
)


def file_of(entry: MockConfigEntry) -> str:
    """Return the file with the last reads of an account."""
    return f"{DOMAIN}.{entry.entry_id}.snapshots"


async def restart(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set an account up again from its files."""
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


def routes(portal: MockPortal, iccid: str) -> list[str | None]:
    """Return the routes that were requested for a SIM."""
    return [call.route for call in portal.journal if call.iccid == iccid]


@pytest.fixture
def idle(portal: MockPortal) -> str:
    """Return a SIM without an open session."""
    portal.sims[OTHER_ICCID].session_count = 3
    portal.sims[OTHER_ICCID].open_session("10.1.2.3")
    portal.sims[OTHER_ICCID].close_session()
    return OTHER_ICCID


async def test_restart_asks_nothing_twice(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, idle: str
) -> None:
    """After a restart only the usage of an idle SIM is requested; all other data are restored."""
    entry = await set_up(idle)
    portal.journal.clear()

    await restart(hass, entry)

    assert routes(portal, idle) == ["ctdUsage"]
    assert state_of(hass, idle, "last_ip") == "10.1.2.3"
    assert state_of(hass, idle, "rate_plan") == "Mock EU 500MB"


async def test_idle_polls_do_not_write(
    hass: HomeAssistant,
    set_up: SetUp,
    idle: str,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """A poll that finds nothing new does not write to the disk what was told, which would wear out a card."""
    entry = await set_up(idle)
    await poll(hass, freezer)
    history = f"{DOMAIN}.{entry.entry_id}.history"
    hass_storage.pop(history, None)

    await poll(hass, freezer)

    assert history not in hass_storage


async def test_restart_asks_for_what_has_changed(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle: str,
) -> None:
    """After a restart a new session is read, and plan and owner if they are old."""
    entry = await set_up(idle)
    await hass.config_entries.async_unload(entry.entry_id)
    portal.sims[idle].open_session("10.9.9.9")
    portal.journal.clear()
    freezer.tick(DEVICE_INTERVAL)

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert routes(portal, idle) == ["ctdUsage", "sessionInfo", "GetDevice"]
    assert state_of(hass, idle, "last_ip") == "10.9.9.9"


async def test_known_entities_are_there_at_once(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Entities from before a restart are unavailable until their data are read."""
    entry = await set_up(OTHER_ICCID)
    portal.faults.add("status", status=500, iccid=OTHER_ICCID)

    await restart(hass, entry)

    for key in ("status", "data_usage", "last_ip", "rate_plan", "allowance_used"):
        assert state_of(hass, OTHER_ICCID, key) == STATE_UNAVAILABLE
        state = hass.states.get(
            er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{OTHER_ICCID}_{key}") or ""
        )
        assert state is not None
        assert "restored" not in state.attributes

    portal.faults.clear()
    await poll(hass, freezer)

    assert state_of(hass, OTHER_ICCID, "status") == "activated"
    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 1.5


async def test_known_entities_do_not_wait_for_the_portal(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Entities from before a restart are there while the first read still waits for its answer."""
    entry = await set_up(OTHER_ICCID)
    portal.faults.add("hang", route="ctdUsage")

    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()

    state = hass.states.get(f"sensor.sim_{OTHER_ICCID}_rate_plan")
    assert state is not None
    assert "restored" not in state.attributes
    await hass.config_entries.async_unload(entry.entry_id)


async def test_refusals_outlast_a_restart(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Refused requests are not repeated after a restart, and the repair issue remains."""
    portal.state.accounts["demo-client"].refused_routes = frozenset({"sessionInfo"})
    entry = await set_up(OTHER_ICCID)
    found = find_issue(hass, "route_refused", entry)
    assert found is not None
    # Home Assistant does not store the issue itself.
    ir.async_delete_issue(hass, DOMAIN, found.issue_id)
    portal.journal.clear()

    await restart(hass, entry)

    assert routes(portal, OTHER_ICCID) == ["ctdUsage"]
    assert not exists(hass, OTHER_ICCID, "last_ip")
    assert find_issue(hass, "route_refused", entry) is not None

    portal.state.accounts["demo-client"].refused_routes = frozenset()
    freezer.tick(MAX_REFUSED_INTERVAL)
    await poll(hass, freezer)
    assert exists(hass, OTHER_ICCID, "last_ip")
    assert find_issue(hass, "route_refused", entry) is None


async def test_refresh_reads_everything(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle: str,
) -> None:
    """A refresh also makes refused requests, and those that are only due every few hours; the polls after it do not."""
    portal.sims[idle].refused_routes = frozenset({"sessionInfo"})
    await set_up(idle)
    portal.sims[idle].refused_routes = frozenset()
    portal.sims[idle].device["ratePlan"] = "Another"

    await hass.services.async_call(
        "button", "press", {"entity_id": f"button.sim_{idle}_refresh"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, idle, "last_ip") == "10.1.2.3"
    assert state_of(hass, idle, "rate_plan") == "Another"

    portal.journal.clear()
    await poll(hass, freezer)
    assert routes(portal, idle) == ["ctdUsage"]


async def test_refresh_during_a_poll(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, idle: str
) -> None:
    """A refresh that waits for the end of a poll reads everything after it."""
    await set_up(idle)
    portal.sims[idle].device["ratePlan"] = "Another"
    portal.faults.add("delay", route="ctdUsage", seconds=0.2, times=1)
    portal.journal.clear()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=24))
    await wait_for_requests(portal, f"GET /ctdUsage/{idle}")

    await hass.services.async_call(
        "button", "press", {"entity_id": f"button.sim_{idle}_refresh"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, idle, "rate_plan") == "Another"


async def test_refresh_that_fails(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle: str,
) -> None:
    """What a failed refresh was to read is read by the next poll."""
    await set_up(idle)
    portal.sims[idle].device["ratePlan"] = "Another"
    portal.faults.add("status", status=500, iccid=idle)
    with pytest.raises(HomeAssistantError, match="HTTP status 500"):
        await hass.services.async_call(
            "button", "press", {"entity_id": f"button.sim_{idle}_refresh"}, blocking=True
        )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, idle, "rate_plan") == STATE_UNAVAILABLE

    portal.faults.clear()
    await poll(hass, freezer)

    assert state_of(hass, idle, "rate_plan") == "Another"


async def test_disabled_entities_cost_nothing(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart no disabled entity is registered again."""
    entry = await set_up(OTHER_ICCID)
    entities = er.async_get(hass)
    registered = er.async_entries_for_config_entry(entities, entry.entry_id)
    added: list[str] = []
    usual = er.EntityRegistry.async_get_or_create

    def note(registry: er.EntityRegistry, *args: Any, **kwargs: Any) -> er.RegistryEntry:
        added.append(args[2])
        return usual(registry, *args, **kwargs)

    monkeypatch.setattr(er.EntityRegistry, "async_get_or_create", note)

    await restart(hass, entry)

    own = [item for item in registered if item.unique_id.startswith(OTHER_ICCID)]
    assert any(item.disabled for item in own)
    assert {key for key in added if key.startswith(OTHER_ICCID)} == {
        item.unique_id for item in own if not item.disabled
    }


async def test_polls_without_entities(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM is polled as usual while all of its entities are disabled: triggers hear of it."""
    entry = await set_up(OTHER_ICCID)
    entities = er.async_get(hass)
    for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
        entities.async_update_entity(entity.entity_id, disabled_by=er.RegistryEntryDisabler.USER)
    await restart(hass, entry)
    portal.journal.clear()

    await poll(hass, freezer)

    portal.journal.assert_called("GET", f"/ctdUsage/{OTHER_ICCID}")


async def test_changes_during_a_restart_are_told_once(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle: str,
) -> None:
    """What changed while Home Assistant was stopped is told by the first read, and not again by the next start."""
    entry = await set_up(idle)
    happened = record_events(hass, "sim_event", idle)
    await hass.config_entries.async_unload(entry.entry_id)
    portal.sims[idle].set_status("DEACTIVATED")
    portal.sims[idle].swap_imei("356938035643809")

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, idle, "status") == "deactivated"
    assert [event for event, _ in happened] == ["status_changed", "moved_to_another_device"]
    assert happened[0][1]["from"] == "activated"

    await restart(hass, entry)
    await poll(hass, freezer)
    assert len(happened) == 2


async def test_told_before_a_crash(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
    idle: str,
) -> None:
    """What was told is on the disk when it is told, so that it is not told again after a crash."""
    entry = await set_up(idle)
    await restart(hass, entry)
    happened = record_events(hass, "sim_event", idle)
    sim = portal.sims[idle]
    sim.data_usage = 400_000_000
    await poll(hass, freezer)
    before = deepcopy(hass_storage[file_of(entry)])
    sim.set_status("DEACTIVATED")
    sim.data_usage = 1_000_000
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert [event for event, _ in happened] == ["status_changed", "billing_cycle_ended"]
    on_disk = deepcopy(hass_storage[f"{DOMAIN}.{entry.entry_id}.history"])

    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage[file_of(entry)] = before
    hass_storage[f"{DOMAIN}.{entry.entry_id}.history"] = on_disk
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await poll(hass, freezer)

    assert len(happened) == 2
    assert state_of(hass, idle, "status") == "deactivated"
    assert float(state_of(hass, idle, "data_usage")) == 1


async def test_a_new_sim_tells_nothing(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """What is known for the first time has not happened."""
    portal.sims[OTHER_ICCID].open_session("10.1.2.3")
    await set_up(OTHER_ICCID)
    await poll(hass, freezer)

    assert hass.states.is_state(f"event.sim_{OTHER_ICCID}_sim_event", "unknown")


@pytest.mark.parametrize(
    "kept",
    [
        [],
        {ICCID: []},
        {ICCID: {"status": 7}},
        {ICCID: {"status": None, "usage": None, "session": None, "device": None}},
        {
            ICCID: {
                "status": "ACTIVATED",
                "usage": {"ctdDataUsage": {}, "iccid": []},
                "session": {"dateSessionStarted": "yesterday"},
                "device": {},
                "device_read_at": "2026-11-01T00:00:00+00:00",
                "failing": {"MakeTea": {}},
            }
        },
    ],
)
async def test_damaged_file(
    hass: HomeAssistant, set_up: SetUp, hass_storage: dict[str, Any], kept: Any
) -> None:
    """A damaged file costs a few requests."""
    entry = await set_up(ICCID)
    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage[file_of(entry)]["data"] = kept

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, ICCID, "status") == "inventory"
    assert state_of(hass, ICCID, "last_ip") == "100.126.61.98"


async def test_file_is_written_seldom(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    hass_storage: dict[str, Any],
    freezer: FrozenDateTimeFactory,
) -> None:
    """The file is written rarely, but at the latest when Home Assistant stops."""
    entry = await set_up(OTHER_ICCID)
    assert file_of(entry) not in hass_storage

    freezer.tick(SNAPSHOT_SAVE_DELAY + 1)
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass_storage[file_of(entry)]["data"][OTHER_ICCID]["status"] == "ACTIVATED"

    portal.sims[OTHER_ICCID].set_status("DEACTIVATED")
    await poll(hass, freezer)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass_storage[file_of(entry)]["data"][OTHER_ICCID]["status"] == "DEACTIVATED"


async def test_file_is_written_while_much_is_read(
    hass: HomeAssistant, hass_storage: dict[str, Any], freezer: FrozenDateTimeFactory
) -> None:
    """Frequent reads do not postpone the writing of the file."""
    reads = SnapshotStore(hass, "1")
    for status in ("ACTIVATED", "DEACTIVATED", "RETIRED"):
        reads.async_keep(ICCID, SimData(status=status))
        freezer.tick(SNAPSHOT_SAVE_DELAY / 2 + 1)
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)

    assert hass_storage[f"{DOMAIN}.1.snapshots"]["data"][ICCID]["status"] == "DEACTIVATED"


async def test_removed_sims_and_accounts_are_forgotten(
    hass: HomeAssistant, set_up: SetUp, hass_storage: dict[str, Any]
) -> None:
    """Stored data are deleted with their SIM, and the file with its account."""
    entry = await set_up(ICCID, OTHER_ICCID)
    removed = next(sub for sub in entry.subentries.values() if sub.unique_id == ICCID)
    hass.config_entries.async_remove_subentry(entry, removed.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    await hass.config_entries.async_unload(entry.entry_id)
    assert hass_storage[file_of(entry)]["data"].keys() == {OTHER_ICCID}

    await hass.config_entries.async_remove(entry.entry_id)
    assert file_of(entry) not in hass_storage


async def test_removed_sim_leaves_the_files(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """Nothing of a SIM that was removed stays in the files of its account, without waiting for another change."""
    entry = await set_up(ICCID, OTHER_ICCID)
    portal.sims[ICCID].set_status("TEST_READY")
    await poll(hass, freezer)
    await restart(hass, entry)
    # What is to be saved of the other SIM is on the disk, too.
    for _ in range(3):
        await advance_time(hass, freezer, timedelta(seconds=SNAPSHOT_SAVE_DELAY + 1))
    files = [f"{DOMAIN}.{entry.entry_id}.{name}" for name in ("snapshots", "history")]
    assert all(ICCID in str(hass_storage[file]) for file in files)

    removed = next(sub for sub in entry.subentries.values() if sub.unique_id == ICCID)
    hass.config_entries.async_remove_subentry(entry, removed.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await advance_time(hass, freezer, timedelta(seconds=SNAPSHOT_SAVE_DELAY + 1))

    assert not any(ICCID in str(hass_storage[file]) for file in files)


async def test_sims_share_a_write(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of SIMs with something to tell at once, most are on the disk with the write of others."""
    iccids = [f"89310800000000002{number:02}" for number in range(20)]
    portal.load({"extends": "documented", "sims": {iccid: {} for iccid in iccids}})
    entry = await set_up(*iccids)
    for iccid in iccids:
        portal.sims[iccid].set_status("TEST_READY")
    writes = 0
    save = HistoryStore.async_save

    async def count_and_save(store: HistoryStore) -> bool:
        nonlocal writes
        writes += 1
        await asyncio.sleep(0)
        return await save(store)

    monkeypatch.setattr(HistoryStore, "async_save", count_and_save)
    await asyncio.gather(*(sim.async_refresh() for sim in entry.runtime_data.sims.values()))

    assert 0 < writes <= len(iccids) / 2


@pytest.mark.parametrize("answer", ["usual", "refused", "unknown"])
async def test_sim_removed_while_it_is_read(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    answer: str,
) -> None:
    """A SIM that is removed during a read leaves nothing behind, whatever the response."""
    entry = await set_up(ICCID, OTHER_ICCID)
    removed = next(sub for sub in entry.subentries.values() if sub.unique_id == OTHER_ICCID)
    sim = entry.runtime_data.sims[removed.subentry_id]
    if answer == "refused":
        portal.sims[OTHER_ICCID].refused_routes = frozenset({"ctdUsage", "getStatus"})
    elif answer == "unknown":
        portal.load("documented")
    portal.faults.add("delay", seconds=0.2, iccid=OTHER_ICCID, unknown_sim=True)
    portal.journal.clear()
    reading = hass.async_create_task(sim.async_refresh())
    await wait_for_requests(portal, f"GET /ctdUsage/{OTHER_ICCID}")

    hass.config_entries.async_remove_subentry(entry, removed.subentry_id)
    await reading
    await hass.async_block_till_done(wait_background_tasks=True)

    account = entry.runtime_data.account
    account.async_update()
    assert account.data.sims_active == 0
    assert account.data.data_used == 0
    assert log_messages(caplog) == []
    assert find_issue(hass, "route_refused", entry) is None
    await hass.config_entries.async_unload(entry.entry_id)
    assert hass_storage[file_of(entry)]["data"].keys() == {ICCID}


@pytest.fixture
def written(hass: HomeAssistant) -> Iterator[dict[str, list[str]]]:
    """Return lists of the entities whose state is written, by whether it changes."""
    written: dict[str, list[str]] = {str(EVENT_STATE_CHANGED): [], str(EVENT_STATE_REPORTED): []}

    @callback
    def note(event: Any) -> None:
        name = event.data["entity_id"].split(".")[1]
        if not name.startswith("demo"):
            written[event.event_type].append(name.removeprefix(f"sim_{OTHER_ICCID}_"))

    stop = [
        hass.bus.async_listen(EVENT_STATE_CHANGED, note),
        hass.bus.async_listen(EVENT_STATE_REPORTED, note, event_filter=callback(lambda _: True)),
    ]
    yield written
    for each in stop:
        each()


async def test_states_are_written_when_they_change(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle: str,
    written: dict[str, list[str]],
) -> None:
    """The poll of an idle SIM writes no state; a change and an outage write what changes, once."""
    freezer.move_to("2026-03-16T00:00:00+00:00")
    await set_up(idle)
    await poll(hass, freezer)
    changed, reported = written.values()
    changed.clear()
    reported.clear()

    await poll(hass, freezer)
    assert changed == reported == []

    portal.sims[idle].data_usage += 5_000_000
    await poll(hass, freezer)
    assert sorted(changed) == ["allowance_used", "data_remaining", "data_usage", "data_used_today"]
    assert len(reported) == len({*reported})
    changed.clear()

    portal.faults.add("status", status=500)
    await poll(hass, freezer)
    portal.faults.clear()
    assert {"status", "data_usage", "last_ip_address", "data_session"} <= {*changed}
    assert len(changed) == len({*changed})
