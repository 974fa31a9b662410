"""A write whose caller has gone: never sent later, and followed if it may have been sent."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
import json
from pathlib import Path
from typing import Any, override

from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util, file as file_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.iot_portal import client_factory
from custom_components.iot_portal.api.pacing import Pacer
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.follow_up import QUICK_CHECKS
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    call_action,
    device_id,
    edit_sims,
    record_events,
    request_status_change,
    send_sms,
    wait_for_requests,
)

WRITES = {
    "send_sms": (send_sms, f"PUT /SendSMS/{OTHER_ICCID}/1"),
    "request_status_change": (request_status_change, f"PUT /RequestStatusChange/{ICCID}"),
    "bulk_edit_devices": (edit_sims, "PUT /BulkEditDevice"),
}


async def cancel(write: Coroutine[Any, Any, Any]) -> None:
    """Start a write, and cancel it while it waits."""
    task = asyncio.ensure_future(write)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def pending(hass: HomeAssistant, iccid: str = ICCID) -> str:
    """Return the state of the binary sensor for a pending status change."""
    state = hass.states.get(f"binary_sensor.sim_{iccid}_change_pending")
    assert state is not None
    return state.state


def stored(hass_storage: dict[str, Any], entry: MockConfigEntry) -> Any:
    """Return the stored writes of an account."""
    return hass_storage[f"{DOMAIN}.{entry.entry_id}"]["data"]


class GatedPacer(Pacer):
    """A pacer whose requests wait until its gate is open."""

    def __init__(self, **_: Any) -> None:
        """Start with an open gate."""
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    @override
    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for the gate."""
        await self.gate.wait()
        yield


@pytest.fixture
async def paused(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch, reachable: Any
) -> tuple[MockConfigEntry, asyncio.Event]:
    """Return an account whose requests wait, and what lets them go."""
    monkeypatch.setattr(client_factory, "Pacer", GatedPacer)
    entry = await set_up(ICCID, OTHER_ICCID)
    gate: asyncio.Event = entry.runtime_data.account.client.pacer.gate
    gate.clear()
    return entry, gate


@pytest.mark.parametrize("action", WRITES)
async def test_waiting(
    hass: HomeAssistant,
    paused: tuple[MockConfigEntry, asyncio.Event],
    portal: MockPortal,
    hass_storage: dict[str, Any],
    action: str,
) -> None:
    """A write that is cancelled before it was sent leaves nothing: no request, no record, no event."""
    events = [
        record_events(hass, key, sim) for key in ("sms_event", "sim_event") for sim in portal.sims
    ]
    entry, gate = paused
    write, path = WRITES[action]

    await cancel(write(hass, entry))
    await hass.async_block_till_done()

    assert [pending(hass, sim) for sim in (ICCID, OTHER_ICCID)] == [STATE_OFF, STATE_OFF]
    assert stored(hass_storage, entry) == {"sims": {}, "bulk_edits": []}
    assert not hass.data.get("webhook")
    gate.set()
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not any(events)
    portal.journal.assert_not_called(*path.split())


async def test_waiting_for_the_log_in(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, hass_storage: dict[str, Any]
) -> None:
    """An SMS that is cancelled while the account logs in again was not sent."""
    entry = await set_up(OTHER_ICCID)
    events = record_events(hass, "sms_event", OTHER_ICCID)
    portal.state.revoke_tokens()
    portal.faults.add("delay", route="Login", seconds=1)
    portal.journal.clear()
    task = asyncio.ensure_future(send_sms(hass, entry))
    await wait_for_requests(portal, "POST /Login")

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await hass.async_block_till_done()

    assert stored(hass_storage, entry) == {"sims": {}, "bulk_edits": []}
    assert not events


async def test_waiting_behind_another_status(
    hass: HomeAssistant, paused: tuple[MockConfigEntry, asyncio.Event], portal: MockPortal
) -> None:
    """A status request that is cancelled while a later one waits too is not told as replaced."""
    portal.dialects["status_change"] = "never"
    entry, gate = paused
    events = record_events(hass, "sim_event")
    first = asyncio.ensure_future(request_status_change(hass, entry, "activated"))
    await asyncio.sleep(0.05)
    second = asyncio.ensure_future(request_status_change(hass, entry, "deactivated"))
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    gate.set()
    await second

    assert not events
    assert pending(hass) == STATE_ON
    portal.journal.assert_called_once("PUT", f"/RequestStatusChange/{ICCID}")


@pytest.mark.parametrize("is_timeout", [False, True], ids=["cancelled", "timed out"])
async def test_sent_sms(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, is_timeout: bool
) -> None:
    """An SMS whose caller has gone after it was sent is unconfirmed."""
    entry = await set_up(OTHER_ICCID)
    events = record_events(hass, "sms_event", OTHER_ICCID)
    portal.faults.add("delay", route="SendSMS", seconds=1)
    task = asyncio.ensure_future(send_sms(hass, entry))
    if is_timeout:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await task
    else:
        await wait_for_requests(portal, f"PUT /SendSMS/{OTHER_ICCID}/1")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await hass.async_block_till_done()

    assert [event for event, _ in events] == ["sms_unconfirmed"]
    portal.journal.assert_called_once("PUT", f"/SendSMS/{OTHER_ICCID}/1")


@pytest.mark.parametrize("action", ["request_status_change", "edit_device", "bulk_edit_devices"])
async def test_sent_status(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    reachable: Any,
    action: str,
) -> None:
    """A status change whose caller has gone after it was sent is followed."""
    portal.dialects["bulk_webhook"] = "silent"
    entry = await set_up(ICCID, OTHER_ICCID)
    events = record_events(hass, "sim_event")
    portal.faults.add("delay", method="PUT", seconds=0.5)
    data = {"device_id": device_id(hass, entry, ICCID), "changes": {"status": "activated"}}
    write = (
        request_status_change(hass, entry)
        if action == "request_status_change"
        else call_action(hass, action, data)
    )
    task = asyncio.ensure_future(write)
    await wait_for_requests(portal, "PUT *")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await hass.async_block_till_done()
    assert pending(hass) == STATE_ON
    assert bool(hass.data.get("webhook")) is (action == "bulk_edit_devices")

    await asyncio.sleep(0.6)
    portal.clock.advance(portal.state.timings.bulk_seconds + 1)
    # A quick check, or the next poll.
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=1))
    await hass.async_block_till_done(wait_background_tasks=True)

    assert [event for event, _ in events] == ["status_change_confirmed"]
    assert len([call for call in portal.journal if call.method == "PUT"]) == 1


async def test_answered_sms(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An SMS whose caller has gone while its id is being saved is told as sent, and followed."""
    entry = await set_up(OTHER_ICCID)
    events = record_events(hass, "sms_event", OTHER_ICCID)
    store = entry.runtime_data.account.pending_writes
    save, saves = store.async_save, 0

    async def save_slowly() -> bool:
        nonlocal saves
        saves += 1
        if saves > 1:
            await asyncio.sleep(0.5)
        return bool(await save())

    monkeypatch.setattr(store, "async_save", save_slowly)
    task = asyncio.ensure_future(send_sms(hass, entry))
    async with asyncio.timeout(5):
        while saves < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    portal.clock.advance(60)
    async_fire_time_changed(hass, dt_util.utcnow() + QUICK_CHECKS[0] + timedelta(seconds=1))
    await hass.async_block_till_done(wait_background_tasks=True)

    assert [event for event, _ in events] == ["sms_sent", "sms_delivered"]


class TestOnTheDisk:
    """What is on the disk after a caller has gone while its request was being saved."""

    @pytest.fixture
    def hass_storage(self) -> None:
        """Do not replace the disk, which is tested here."""

    @pytest.fixture
    def hass_config_dir(self, hass_tmp_config_dir: str) -> str:
        """Return a temporary configuration folder."""
        return hass_tmp_config_dir

    async def test_an_older_write_overtakes_none(
        self,
        hass: HomeAssistant,
        set_up: SetUp,
        portal: MockPortal,
        hass_config_dir: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A save that goes on in its thread after its caller has gone does not undo a later one."""
        entry = await set_up(ICCID, OTHER_ICCID)
        write_file, is_slow = file_util.write_utf8_file_atomic, True

        def write_slowly(*args: Any, **options: Any) -> None:
            nonlocal is_slow
            if is_slow and str(args[0]).endswith(entry.entry_id):
                is_slow = False
                hass.loop.call_soon_threadsafe(started.set)
                asyncio.run_coroutine_threadsafe(released.wait(), hass.loop).result(5)
            write_file(*args, **options)

        started, released = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr("homeassistant.helpers.storage.write_utf8_file_atomic", write_slowly)
        task = asyncio.ensure_future(request_status_change(hass, entry))
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        later = asyncio.ensure_future(send_sms(hass, entry))
        # It waits for the older one.
        assert not (await asyncio.wait([later], timeout=0.3))[0]
        released.set()
        await later
        await hass.async_block_till_done()

        file = Path(hass_config_dir) / ".storage" / f"{DOMAIN}.{entry.entry_id}"
        sims = json.loads(file.read_text())["data"]["sims"]
        assert sims[OTHER_ICCID]["sent_sms"][0]["sms_id"]
        assert ICCID not in sims
        portal.journal.assert_not_called("PUT", f"/RequestStatusChange/{ICCID}")
