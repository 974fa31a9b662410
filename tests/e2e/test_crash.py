"""Home Assistant is killed during writes, or its disk is full: nothing is sent twice, the user learns the outcome."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
import resource
from typing import Any

from aiohttp import ClientError
from aiohttp.test_utils import unused_port
import pytest

from mock_portal import MockPortal
from scripts.hass_process import HomeAssistantError, HomeAssistantProcess

from .common import WAIT, add_demo, read_again, stored_requests, wait_for

ICCID = "8931082322089353632"
EDITED, IN_BULK = "8931080000000000011", "8931080000000000029"
SIMS = [ICCID, EDITED, IN_BULK]
SCENARIO = {
    "extends": "documented",
    "sims": {iccid: {"status": "INVENTORY"} for iccid in (EDITED, IN_BULK)},
    # The portal carries out a bulk edit only after Home Assistant has been started again.
    "timings": {"bulk_seconds": 90},
}


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(WAIT):
        while not condition():  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.05)


async def wait_for_event(hass: HomeAssistantProcess, iccid: str, key: str, event_type: str) -> None:
    """Wait until an event entity of a SIM shows an event type."""
    told = None
    async with asyncio.timeout(WAIT):
        while told != event_type:
            state = (await hass.states()).get(iccid, {}).get(key, {"attributes": {}})
            told = state["attributes"].get("event_type")
            await asyncio.sleep(0.2)


def written_paths(portal: MockPortal) -> list[str]:
    """Return the paths of all writes that the portal received."""
    return sorted(call.path for call in portal.journal if call.method == "PUT")


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    """Keep a process from writing another byte to any file, which works for root and without a disk of its own."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


async def repairs(hass: HomeAssistantProcess) -> list[str]:
    """Return the kinds of the integration's repairs."""
    issues = (await hass.command("repairs/list_issues"))["issues"]
    return [issue["translation_key"] for issue in issues if issue["domain"] == "iot_portal"]


async def kill_during(
    hass: HomeAssistantProcess, portal: MockPortal, *actions: tuple[str, str, dict[str, Any]]
) -> None:
    """Call actions for SIMs, and kill Home Assistant before any of them is answered."""
    before = len(written_paths(portal))
    devices = await hass.device_ids()
    # The portal carries out the request, and answers after Home Assistant was killed.
    portal.faults.add("delay", method="PUT", seconds=60)
    writes = [
        asyncio.create_task(
            hass.call_action("iot_portal", action, {"device_id": devices[iccid], **data})
        )
        for action, iccid, data in actions
    ]
    await wait_until(lambda: len(written_paths(portal)) == before + len(writes))
    await hass.kill()
    for outcome in await asyncio.gather(*writes, return_exceptions=True):
        assert isinstance(outcome, ClientError)
    portal.faults.clear()
    portal.clock.advance(60)


@pytest.mark.timeout(300)
async def test_killed_between_request_and_answer(tmp_path: Path, socket_enabled: None) -> None:
    """After the crash an SMS is unconfirmed, status changes are followed, and each write was sent once."""
    port = unused_port()
    hass = HomeAssistantProcess(tmp_path, port=port)
    hass.prepare("config:\n")
    status = {"status": "activated"}
    async with MockPortal(SCENARIO) as portal:
        portal.dialects["status_change"] = "after_seconds"
        async with hass:
            await add_demo(hass, portal, *SIMS)
            entries = tmp_path / ".storage" / "core.config_entries"
            # Home Assistant stores a new account and its SIMs a second later.
            await wait_until(
                lambda: entries.exists() and all(iccid in entries.read_text() for iccid in SIMS)
            )
            await kill_during(
                hass,
                portal,
                ("send_sms", ICCID, {"message": "Hello"}),
                ("request_status_change", ICCID, status),
            )

        async with hass:
            await wait_for_event(hass, ICCID, "sms_event", "sms_unconfirmed")
            await wait_for_event(hass, ICCID, "sim_event", "status_change_confirmed")
            await wait_for(hass, IN_BULK, "status", "inventory")
            await kill_during(
                hass,
                portal,
                ("edit_device", EDITED, {"changes": status}),
                ("bulk_edit_devices", IN_BULK, {"changes": status}),
            )

        async with hass:
            await wait_for_event(hass, EDITED, "sim_event", "status_change_confirmed")
            # Only a poll would notice the bulk edit, and the next one is far away.
            states = await wait_for(hass, IN_BULK, "change_pending", "on")
            portal.clock.advance(120)
            await read_again(hass, states["status"]["entity_id"])
            await wait_for_event(hass, IN_BULK, "sim_event", "status_change_confirmed")

        assert [path.removeprefix("/api") for path in written_paths(portal)] == [
            "/BulkEditDevice",
            f"/EditDevice/{EDITED}",
            f"/RequestStatusChange/{ICCID}",
            f"/SendSMS/{ICCID}/1",
        ]


@pytest.mark.timeout(300)
async def test_full_disk_and_killed_with_a_queue(tmp_path: Path, socket_enabled: None) -> None:
    """On a full disk nothing is sent; of more writes than fit on the wire none is sent later, or told as done."""
    async with MockPortal(SCENARIO) as portal:
        # The portal has its port already; it must not get the one of Home Assistant.
        hass = HomeAssistantProcess(tmp_path, port=unused_port())
        hass.prepare("config:\n")
        portal.dialects["status_change"] = "never"
        async with hass:
            await add_demo(hass, portal, *SIMS)
            entries = tmp_path / ".storage" / "core.config_entries"
            await wait_until(
                lambda: entries.exists() and all(iccid in entries.read_text() for iccid in SIMS)
            )
            devices = await hass.device_ids()
            sms = {"device_id": list(devices.values()), "message": "Hello"}
            with full_disk(hass.pid):
                with pytest.raises(HomeAssistantError, match="Nothing was sent for demo-client"):
                    await hass.command(
                        "call_service", domain="iot_portal", service="send_sms", service_data=sms
                    )
                assert await repairs(hass) == ["cannot_save"]
            assert written_paths(portal) == []
            portal.faults.add("delay", method="PUT", seconds=60)
            calls = [
                asyncio.create_task(
                    hass.call_action("iot_portal", action, {"device_id": devices[iccid], **data})
                )
                for iccid in SIMS
                for action, data in (
                    ("send_sms", {"message": "Hello"}),
                    ("request_status_change", {"status": "activated"}),
                )
            ]
            await wait_until(lambda: stored_requests(tmp_path).count('"sent_at"') == len(SIMS))
            await wait_until(lambda: len(written_paths(portal)) == 2)
            assert await repairs(hass) == []
            await hass.kill()
            await asyncio.gather(*calls, return_exceptions=True)
            portal.faults.clear()
            sent = written_paths(portal)

        async with hass:
            for iccid in SIMS:
                await wait_for_event(hass, iccid, "sms_event", "sms_unconfirmed")
                states = await wait_for(hass, iccid, "change_pending", "on")
                assert states["sim_event"]["state"] == "unknown"

        assert len(sent) == len(set(sent)) == 2
        assert written_paths(portal) == sent
