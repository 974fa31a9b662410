"""A disk that cannot be written: nothing is sent, a user reads why, and nothing is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
import json
from pathlib import Path
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import (
    ATTR_ENTITY_ID,
    EVENT_HOMEASSISTANT_FINAL_WRITE,
    STATE_OFF,
    STATE_ON,
)
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util.async_ import get_scheduled_timer_handles
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.storage import SAVE_RETRY_DELAY, UNSAVED
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    advance_time,
    bulk_edit_event,
    call_action,
    device_id,
    edit_sims,
    find_issue,
    poll,
    record_events,
    request_status_change,
    send_sms,
    state_of,
)

RETRY = timedelta(seconds=SAVE_RETRY_DELAY + 1)
CANNOT_SAVE = "Nothing was sent for demo-client because Home Assistant could not save the request"

type Write = Callable[[HomeAssistant, MockConfigEntry], Awaitable[object]]


@pytest.fixture
def hass_storage() -> None:
    """Do not replace the disk, which is tested here."""


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Return a temporary configuration folder."""
    return hass_tmp_config_dir


class Disk:
    """Files of an account that can be made impossible to write, also for root; what they held stays aside."""

    def __init__(self, folder: Path, entry: MockConfigEntry) -> None:
        """Start with a working disk."""
        self.requests = folder / f"{DOMAIN}.{entry.entry_id}"
        self.files = [
            self.requests,
            *(folder / f"{self.requests.name}.{kind}" for kind in ("history", "snapshots")),
        ]

    def fill(self) -> None:
        """Put folders where the files are: a file cannot be renamed to one."""
        for file in self.files:
            if file.exists():
                file.rename(file.with_name(f"{file.name}.aside"))
            file.mkdir()

    def free(self) -> None:
        """Restore the files as they were."""
        for file in self.files:
            file.rmdir()
            if (aside := file.with_name(f"{file.name}.aside")).exists():
                aside.rename(file)

    def stored(self, iccid: str) -> Any:
        """Return what is stored of the writes to a SIM."""
        return json.loads(self.requests.read_text())["data"]["sims"].get(iccid)


async def _switch(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Switch a SIM off."""
    data = {ATTR_ENTITY_ID: f"switch.sim_{OTHER_ICCID}_active"}
    await hass.services.async_call("switch", "turn_off", data, blocking=True)


async def _notify(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Send a message with the notify entity."""
    data = {ATTR_ENTITY_ID: f"notify.sim_{OTHER_ICCID}_send_sms", "message": "Hello"}
    await hass.services.async_call("notify", "send_message", data, blocking=True)


def _edit(**changes: str) -> Write:
    """Return a function that edits a SIM."""

    async def edit(hass: HomeAssistant, entry: MockConfigEntry) -> None:
        data = {"device_id": device_id(hass, entry, OTHER_ICCID), "changes": changes}
        await call_action(hass, "edit_device", data)

    return edit


WRITES: dict[str, Write] = {
    "send_sms": send_sms,
    "request_status_change": request_status_change,
    "switch": _switch,
    "notify": _notify,
    "edit_device": _edit(simNotes="Spare"),
    "edit_device with a status": _edit(status="deactivated"),
    "bulk_edit_devices": edit_sims,
}


@pytest.mark.parametrize("write", WRITES)
async def test_nothing_is_sent(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    folder: Path,
    all_entities: None,
    reachable: Any,
    freezer: FrozenDateTimeFactory,
    write: str,
) -> None:
    """What cannot be written to the disk is refused and forgotten; once it can be, the same write is sent."""
    entry = await set_up(ICCID, OTHER_ICCID)
    events = [
        record_events(hass, key, sim) for key in ("sms_event", "sim_event") for sim in portal.sims
    ]
    disk = Disk(folder, entry)
    disk.fill()

    with pytest.raises(HomeAssistantError, match=CANNOT_SAVE):
        await WRITES[write](hass, entry)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert not [call for call in portal.journal if call.method == "PUT"]
    for sim in (ICCID, OTHER_ICCID):
        assert hass.states.is_state(f"binary_sensor.sim_{sim}_change_pending", STATE_OFF)
        assert entry.runtime_data.account.pending_writes.of(sim).sent_sms == []
    assert not hass.data.get("webhook")
    issue = find_issue(hass, "cannot_save", entry)
    assert issue is not None
    assert issue.translation_placeholders == {
        "account": "demo-client",
        "file": str(disk.requests),
    }
    await poll(hass, freezer)
    assert not any(events)

    disk.free()
    await WRITES[write](hass, entry)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert len([call for call in portal.journal if call.method == "PUT"]) == 1
    assert find_issue(hass, "cannot_save", entry) is None


async def test_request_before_stays(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    folder: Path,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A status change under way is followed when another one could not be written to the disk."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID)
    events = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    disk = Disk(folder, entry)
    disk.fill()

    with pytest.raises(HomeAssistantError, match=CANNOT_SAVE):
        await request_status_change(hass, entry, "deactivated")
    portal.sims[ICCID].set_status("ACTIVATED")
    await advance_time(hass, freezer, timedelta(seconds=5))

    assert [event for event, _ in events] == ["status_change_confirmed"]


@pytest.mark.parametrize("is_a_file", [False, True], ids=["removed", "replaced"])
async def test_folder_is_gone(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, folder: Path, is_a_file: bool
) -> None:
    """A removed storage folder is created again; where it cannot be, nothing is sent and nothing crashes."""
    entry = await set_up(ICCID, OTHER_ICCID)
    await hass.async_add_executor_job(folder.rename, folder.with_name("elsewhere"))
    if is_a_file:
        await hass.async_add_executor_job(folder.touch)
        with pytest.raises(HomeAssistantError, match=CANNOT_SAVE):
            await send_sms(hass, entry)
        portal.journal.assert_not_called("PUT", f"/SendSMS/{OTHER_ICCID}/1")
        await hass.async_add_executor_job(folder.unlink)

    await send_sms(hass, entry)

    assert Disk(folder, entry).stored(OTHER_ICCID)["sent_sms"][0]["sms_id"]


async def test_followed_in_memory(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    folder: Path,
    freezer: FrozenDateTimeFactory,
) -> None:
    """What was sent before is told on a full disk too; all is stored once the disk has room, also after a reload."""
    portal.dialects["status_change"] = "after_seconds"
    entry = await set_up(ICCID, OTHER_ICCID)
    sms, lifecycle = record_events(hass, "sms_event", OTHER_ICCID), record_events(hass, "sim_event")
    await send_sms(hass, entry)
    await request_status_change(hass, entry)
    disk = Disk(folder, entry)
    disk.fill()

    portal.sims[ICCID].swap_imei("356938035643809")
    for seconds in (5, 10, 15, 30):
        await advance_time(hass, freezer, timedelta(seconds=seconds))
    await poll(hass, freezer)

    told = [[event for event, _ in events] for events in (sms, lifecycle)]
    assert told == [
        ["sms_sent", "sms_delivered"],
        ["status_change_confirmed", "moved_to_another_device"],
    ]
    assert find_issue(hass, "cannot_save", entry) is not None

    # The file on the disk is older than what was told.
    disk.free()
    assert not disk.stored(OTHER_ICCID)["sent_sms"][0]["has_ended"]
    disk.fill()
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await poll(hass, freezer)
    assert [[event for event, _ in events] for events in (sms, lifecycle)] == told
    assert state_of(hass, ICCID, "status") == "activated"

    disk.free()
    await advance_time(hass, freezer, RETRY)
    assert disk.stored(OTHER_ICCID)["sent_sms"][0]["has_ended"]
    assert disk.stored(ICCID) is None
    history, snapshots = (json.loads(file.read_text())["data"] for file in disk.files[1:])
    assert history[ICCID]["imei"]["value"] == "356938035643809"
    assert snapshots[ICCID]["status"] == "ACTIVATED"
    assert find_issue(hass, "cannot_save", entry) is None


async def test_removed_on_a_full_disk(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, folder: Path
) -> None:
    """An account that is removed on a full disk leaves no issue, and nothing for an account with its id."""
    entry = await set_up(ICCID)
    disk = Disk(folder, entry)
    disk.fill()
    with pytest.raises(HomeAssistantError, match=CANNOT_SAVE):
        await request_status_change(hass, entry)
    await hass.config_entries.async_unload(entry.entry_id)
    disk.free()

    await hass.config_entries.async_remove(entry.entry_id)

    assert find_issue(hass, "cannot_save", entry) is None
    assert not any(file.exists() for file in disk.files)
    assert not hass.data.get(UNSAVED)


async def test_nothing_is_sent_while_home_assistant_stops(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, folder: Path
) -> None:
    """Files are not written while Home Assistant stops, so nothing is sent any more."""
    entry = await set_up(ICCID, OTHER_ICCID)
    hass.set_state(CoreState.stopping)

    with pytest.raises(HomeAssistantError, match=CANNOT_SAVE):
        await send_sms(hass, entry)

    portal.journal.assert_not_called("PUT", f"/SendSMS/{OTHER_ICCID}/1")
    hass.set_state(CoreState.running)


async def test_no_save_after_the_last_one(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What changes after Home Assistant has written its files for the last time starts no save."""
    entry = await set_up(ICCID, OTHER_ICCID)
    portal.dialects["status_change"] = "never"
    sim = next(iter(entry.runtime_data.sims.values()))
    # A save that is scheduled by then is made.
    sim.async_writes_changed()
    hass.set_state(CoreState.final_write)
    hass.bus.async_fire_internal(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await hass.async_block_till_done()
    assert "Unable to remove" not in caplog.text
    snapshots = Disk(folder, entry).files[2]
    assert json.loads(snapshots.read_text())["data"][ICCID]["status"] == "INVENTORY"
    before = _save_timers(hass)

    sim.async_writes_changed()
    await sim.async_refresh()
    portal.sims[ICCID].set_status("DEACTIVATED")
    await sim.async_refresh()
    with pytest.raises(HomeAssistantError, match=CANNOT_SAVE):
        await send_sms(hass, entry)

    assert _save_timers(hass) == before
    assert state_of(hass, ICCID, "status") == "deactivated"
    hass.set_state(CoreState.running)


def _save_timers(hass: HomeAssistant) -> int:
    """Return how many delayed saves of the integration's files are scheduled."""
    timers: list[Any] = get_scheduled_timer_handles(hass.loop)
    left = [timer._callback for timer in timers if not timer.cancelled()]  # noqa: SLF001
    stores = [getattr(callback, "__self__", None) for callback in left]
    return sum(str(getattr(store, "key", "")).startswith(DOMAIN) for store in stores)


async def test_bulk_edit_before_stays(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, folder: Path, reachable: Any
) -> None:
    """A bulk edit under way still waits for its report when another one could not be written to the disk."""
    portal.dialects["bulk_webhook"] = "silent"
    entry = await set_up(ICCID, OTHER_ICCID)
    await edit_sims(hass, entry)
    disk = Disk(folder, entry)
    disk.fill()

    with pytest.raises(HomeAssistantError, match=CANNOT_SAVE):
        await edit_sims(hass, entry)

    (edit,) = entry.runtime_data.account.pending_writes.bulk_edits.values()
    await reachable.post(f"/api/webhook/{edit.webhook_id}", json={"queueId": edit.queue_id})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert bulk_edit_event(hass)["queue_id"] == edit.queue_id
    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_change_pending", STATE_ON)


async def test_another_save_just_before(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A save that succeeds does not count for a request that comes while it is under way and finds the disk full."""
    entry = await set_up(OTHER_ICCID)
    disk = Disk(folder, entry)
    write = Store._async_write_data  # noqa: SLF001
    has_begun, go_on = asyncio.Event(), asyncio.Event()

    async def write_slowly(store: Store[Any], data: dict[str, Any]) -> None:
        is_first = not has_begun.is_set()
        has_begun.set()
        await go_on.wait()
        await write(store, data)
        if is_first:
            disk.fill()

    monkeypatch.setattr(Store, "_async_write_data", write_slowly)
    entry.runtime_data.account.pending_writes.async_schedule_save()
    await has_begun.wait()
    sending = asyncio.ensure_future(send_sms(hass, entry))
    for _ in range(20):
        await asyncio.sleep(0)
    go_on.set()

    with pytest.raises(HomeAssistantError, match=CANNOT_SAVE):
        await sending

    portal.journal.assert_not_called("PUT", f"/SendSMS/{OTHER_ICCID}/1")
    disk.free()


async def test_while_home_assistant_stops(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Home Assistant writes no file while it stops, so nothing is sent, whatever was saved before."""
    entry = await set_up(OTHER_ICCID)
    await send_sms(hass, entry)
    hass.set_state(CoreState.stopping)

    with pytest.raises(HomeAssistantError, match=CANNOT_SAVE):
        await send_sms(hass, entry)

    hass.set_state(CoreState.running)
    portal.journal.assert_called_once("PUT", f"/SendSMS/{OTHER_ICCID}/1")
