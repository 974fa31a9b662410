"""What concerns a whole fleet is done in slices, and other things happen in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
import json
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import ATTR_ENTITY_ID, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockUser

from custom_components.iot_portal import account, slices
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.coordinator import IotPortalSimCoordinator
from custom_components.iot_portal.dashboard import async_generate
from custom_components.iot_portal.sim_reader import SimReader
from custom_components.iot_portal.slices import in_slices
from mock_portal import MockPortal
from mock_portal.sim import Sim

from .conftest import SetUp
from .helpers import call_action, device_id, log_messages, state_of

FLEET = [f"89310800000000001{number:02}" for number in range(6)]


@pytest.fixture(autouse=True)
def fleet(portal: MockPortal) -> None:
    """Add the SIMs to the portal."""
    for iccid in FLEET:
        portal.state.add_sim(Sim(iccid=iccid))


@pytest.fixture
def tiny_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Home Assistant a turn after each SIM."""
    monkeypatch.setattr(slices, "SLICE", 0)


class Turns:
    """The turns of the event loop so far."""

    now = 0


@asynccontextmanager
async def counted_turns() -> AsyncIterator[Turns]:
    """Count the turns of the event loop."""
    turns = Turns()

    async def count_turns() -> None:
        for turns.now in count():
            await asyncio.sleep(0)

    task = asyncio.create_task(count_turns())
    try:
        yield turns
    finally:
        task.cancel()


async def until(is_reached: Callable[[], bool]) -> None:
    """Wait until something is the case, looking in each turn of the event loop."""
    async with asyncio.timeout(10):
        while not is_reached():  # noqa: ASYNC110  nothing else would notice in the same turn
            await asyncio.sleep(0)


def subentry_id(entry: ConfigEntry, iccid: str) -> str:
    """Return the id of the subentry of a SIM."""
    return next(sub.subentry_id for sub in entry.subentries.values() if sub.unique_id == iccid)


def has_applied(sim: IotPortalSimCoordinator, allowance: int) -> bool:
    """Return whether the default allowance of a SIM is so many MB."""
    return sim.data.settings.default_allowance == allowance * 1024**2


async def test_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice ends when it has taken its time, not before."""
    async with counted_turns() as turns:
        monkeypatch.setattr(slices, "SLICE", 0)
        assert len({turns.now async for _ in in_slices(range(5))}) == 5
        monkeypatch.setattr(slices, "SLICE", 3600)
        assert len({turns.now async for _ in in_slices(range(5))}) == 1


@pytest.mark.parametrize("action", ["update_entity", "press"])
async def test_reads_at_once(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """Of reads that are asked for at once, few begin in one turn of the event loop; all are made."""
    monkeypatch.setattr(account, "READS_PER_TURN", 2)
    await async_setup_component(hass, "homeassistant", {})
    entry = await set_up(*FLEET)
    domain, platform, key = (
        ("homeassistant", "sensor", "status")
        if action == "update_entity"
        else ("button", "button", "refresh")
    )
    registry = er.async_get(hass)
    entities = [registry.async_get_entity_id(platform, DOMAIN, f"{iccid}_{key}") for iccid in FLEET]
    began: list[int] = []
    read = SimReader.async_read
    async with counted_turns() as turns:

        async def async_read(self: SimReader) -> Any:
            began.append(turns.now)
            return await read(self)

        monkeypatch.setattr(SimReader, "async_read", async_read)
        await hass.services.async_call(domain, action, {ATTR_ENTITY_ID: entities}, blocking=True)
    assert len(began) == len(FLEET)
    assert max(Counter(began).values()) == 2
    assert entry.state is ConfigEntryState.LOADED


@pytest.mark.usefixtures("tiny_slices")
async def test_unload(hass: HomeAssistant, set_up: SetUp) -> None:
    """While Home Assistant removes the entities of an account, other things happen."""
    entry = await set_up(*FLEET)
    sensors = [
        entity
        for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        if entity.domain == "sensor" and entity.config_subentry_id and not entity.disabled
    ]
    async with counted_turns() as turns:
        begun = turns.now
        assert await hass.config_entries.async_unload(entry.entry_id)
    # Platforms are unloaded at the same time.
    assert turns.now - begun >= len(sensors) > len(FLEET)


@pytest.mark.usefixtures("tiny_slices")
async def test_sim_is_removed_meanwhile(hass: HomeAssistant, set_up: SetUp) -> None:
    """Settings of many SIMs are changed while one of them is removed."""
    entry = await set_up(*FLEET)
    devices = [device_id(hass, entry, iccid) for iccid in FLEET]
    removed = subentry_id(entry, FLEET[3])
    task = hass.async_create_task(
        call_action(hass, "set_sim_settings", {"device_id": devices, "allowance": 3})
    )
    await until(lambda: "allowance" in entry.subentries[subentry_id(entry, FLEET[0])].data)
    hass.config_entries.async_remove_subentry(entry, removed)
    answer = await task
    await hass.async_block_till_done(wait_background_tasks=True)

    left = [iccid for iccid in FLEET if iccid != FLEET[3]]
    assert [sim["iccid"] for sim in answer["sims"]] == FLEET
    assert [sim["iccid"] for sim in answer["sims"] if "settings" in sim] == left
    assert "removed from Home Assistant in the meantime" in answer["sims"][3]["error"]
    assert [sub.data["allowance"] for sub in entry.subentries.values()] == [3] * len(left)
    assert removed not in entry.runtime_data.sims


@pytest.mark.usefixtures("tiny_slices")
async def test_setting_is_changed_meanwhile(hass: HomeAssistant, set_up: SetUp) -> None:
    """A setting that is changed elsewhere in the meantime is kept."""
    entry = await set_up(*FLEET)
    devices = [device_id(hass, entry, iccid) for iccid in FLEET]
    task = hass.async_create_task(
        call_action(hass, "set_sim_settings", {"device_id": devices, "allowance": 3})
    )
    await until(lambda: "allowance" in entry.subentries[subentry_id(entry, FLEET[0])].data)
    last = entry.subentries[subentry_id(entry, FLEET[-1])]
    hass.config_entries.async_update_subentry(entry, last, data={**last.data, "billing_day": 7})
    await task

    data = entry.subentries[last.subentry_id].data
    assert (data["allowance"], data["billing_day"]) == (3, 7)


@pytest.mark.usefixtures("tiny_slices")
@pytest.mark.parametrize("return_response", [True, False])
async def test_setting_that_does_not_fit_is_changed_meanwhile(
    hass: HomeAssistant, set_up: SetUp, *, return_response: bool
) -> None:
    """A SIM that can no longer have the settings keeps its own, an error names it, and all others have them."""
    entry = await set_up(*FLEET)
    devices = [device_id(hass, entry, iccid) for iccid in FLEET]
    cycle = {"cycle_days": 28, "cycle_start": "2026-01-05"}
    await call_action(hass, "set_sim_settings", {"device_id": devices, **cycle})
    task = hass.async_create_task(
        call_action(
            hass,
            "set_sim_settings",
            {"device_id": devices, "cycle_days": 30},
            return_response=return_response,
        )
    )
    first, middle = (entry.subentries[subentry_id(entry, FLEET[n])] for n in (0, 3))
    await until(lambda: entry.subentries[first.subentry_id].data["cycle_days"] == 30)
    own = {"iccid": FLEET[3]}
    hass.config_entries.async_update_subentry(entry, middle, data=own)
    told = f"settings of SIM …{FLEET[3][-4:]} were left as they were"
    if return_response:
        answer = await task
        assert [told in sim.get("error", "") for sim in answer["sims"]] == [
            iccid == FLEET[3] for iccid in FLEET
        ]
    else:
        with pytest.raises(HomeAssistantError, match=f"1 of 6 SIMs failed.*{told}"):
            await task

    for iccid in FLEET:
        data = entry.subentries[subentry_id(entry, iccid)].data
        assert data == (own if iccid == FLEET[3] else {"iccid": iccid, **cycle, "cycle_days": 30})


async def test_sim_is_removed_before_its_turn(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """An action on a fleet sends nothing for a SIM that is removed in the meantime, and goes on with the others."""
    entry = await set_up(*FLEET)
    devices = [device_id(hass, entry, iccid) for iccid in FLEET]
    task = hass.async_create_task(
        call_action(hass, "send_sms", {"device_id": devices, "message": "Hello"})
    )
    await until(lambda: any(sim.data.writes.sent_sms for sim in entry.runtime_data.sims.values()))
    hass.config_entries.async_remove_subentry(entry, subentry_id(entry, FLEET[-1]))
    answer = await task

    assert ["sms_id" in sim for sim in answer["sims"]] == [True] * 5 + [False]
    assert "removed from Home Assistant in the meantime" in answer["sims"][-1]["error"]
    assert len(portal.journal.find(route="SendSMS")) == len(FLEET) - 1


@pytest.mark.usefixtures("tiny_slices")
async def test_options_are_changed_meanwhile(hass: HomeAssistant, set_up: SetUp) -> None:
    """Options that change again while they are applied apply to all SIMs in the end."""
    entry = await set_up(*FLEET)
    sims = entry.runtime_data.sims
    first = sims[subentry_id(entry, FLEET[0])]
    for allowance in (10, 20, 30):
        hass.config_entries.async_update_entry(entry, options={"default_allowance": allowance})
        await until(partial(has_applied, first, allowance))
    await hass.async_block_till_done()
    assert {sim.data.settings.default_allowance for sim in sims.values()} == {30 * 1024**2}


@pytest.mark.usefixtures("tiny_slices")
async def test_account_is_unloaded_meanwhile(hass: HomeAssistant, set_up: SetUp) -> None:
    """Changes that are being applied end with the account, and apply when it is loaded again."""
    entry = await set_up(*FLEET)
    before = entry.runtime_data
    first = before.sims[subentry_id(entry, FLEET[0])]
    hass.config_entries.async_update_entry(entry, options={"default_allowance": 10})
    await until(partial(has_applied, first, 10))
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert entry.runtime_data is not before
    known = {sim.data.settings.default_allowance for sim in entry.runtime_data.sims.values()}
    assert known == {10 * 1024**2}
    assert STATE_UNAVAILABLE not in {state_of(hass, iccid, "status") for iccid in FLEET}


@pytest.mark.usefixtures("tiny_slices")
async def test_sim_is_removed_while_options_are_applied(hass: HomeAssistant, set_up: SetUp) -> None:
    """A SIM that is removed in the meantime is not written again."""
    entry = await set_up(*FLEET)
    first, last = (entry.runtime_data.sims[subentry_id(entry, FLEET[n])] for n in (0, -1))
    hass.config_entries.async_update_entry(entry, options={"default_allowance": 10})
    await until(partial(has_applied, first, 10))
    hass.config_entries.async_remove_subentry(entry, last.subentry.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert last.data.settings.default_allowance is None
    devices = dr.async_get(hass)
    identifier = (DOMAIN, FLEET[-1])
    assert devices.async_get_device_by_identifier(identifier, entry.entry_id) is None


@pytest.mark.parametrize("work", ["async_start", "async_apply_subentry"])
async def test_error_of_one_sim(
    hass: HomeAssistant,
    set_up: SetUp,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    work: str,
) -> None:
    """An error of one SIM is logged, and the others are started, and get their options and settings."""
    do = getattr(IotPortalSimCoordinator, work)

    def fail(sim: IotPortalSimCoordinator) -> None:
        if sim.iccid == FLEET[1]:
            msg = "no"
            raise RuntimeError(msg)
        do(sim)

    monkeypatch.setattr(IotPortalSimCoordinator, work, fail)
    entry = await set_up(*FLEET)
    hass.config_entries.async_update_entry(entry, options={"default_allowance": 7})
    await hass.async_block_till_done(wait_background_tasks=True)
    await call_action(
        hass,
        "set_sim_settings",
        {"device_id": [device_id(hass, entry, FLEET[0])], "billing_day": 3},
    )

    sims = {sim.iccid: sim for sim in entry.runtime_data.sims.values()}
    assert all(sims[iccid].is_current for iccid in FLEET if iccid != FLEET[1])
    assert all(has_applied(sims[iccid], 7) for iccid in FLEET if iccid != FLEET[1])
    assert "An error of SIM …0101; the other SIMs are not affected" in log_messages(caplog)


async def test_damaged_settings_of_one_sim(
    hass: HomeAssistant, set_up: SetUp, caplog: pytest.LogCaptureFixture
) -> None:
    """A SIM whose stored settings cannot be read is left out, and the account works without it."""
    entry = await set_up(*FLEET)
    subentry = entry.subentries[subentry_id(entry, FLEET[1])]
    await hass.config_entries.async_unload(entry.entry_id)
    damaged = {**subentry.data, "cycle_days": 28, "cycle_start": "soon"}
    hass.config_entries.async_update_subentry(entry, subentry, data=damaged)

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert entry.state is ConfigEntryState.LOADED
    assert {sim.iccid for sim in entry.runtime_data.sims.values()} == {*FLEET} - {FLEET[1]}
    assert state_of(hass, FLEET[2], "status") == "activated"
    assert "An error of SIM …0101; the other SIMs are not affected" in log_messages(caplog)


@pytest.mark.usefixtures("tiny_slices")
async def test_sim_is_removed_while_the_dashboard_is_generated(
    hass: HomeAssistant, set_up: SetUp, hass_admin_user: MockUser
) -> None:
    """The dashboard has the SIMs that are left."""
    entry = await set_up(*FLEET)
    async with counted_turns() as turns:
        task = hass.async_create_task(async_generate(hass, "en", hass_admin_user))
        begun = turns.now
        await until(lambda: turns.now > begun + 3 * len(FLEET))
        hass.config_entries.async_remove_subentry(entry, subentry_id(entry, FLEET[-1]))
        dashboard = json.dumps(await task)
    assert f"SIM {FLEET[0]}" in dashboard
    assert f"SIM {FLEET[-1]}" not in dashboard
