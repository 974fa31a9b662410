"""Home Assistant dies in the middle of a write: nothing is sent twice, and the user is told."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiohttp import ClientError
from aiohttp.test_utils import unused_port
import pytest

from mock_portal import MockPortal
from scripts.hass_process import HomeAssistantProcess

ICCID = "8931082322089353632"
WAIT = 90


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(WAIT):
        while not is_so():  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.05)


async def until_told(hass: HomeAssistantProcess, key: str, event_type: str) -> None:
    """Wait until an event entity of the SIM tells something."""
    told = None
    async with asyncio.timeout(WAIT):
        while told != event_type:
            state = (await hass.states()).get(ICCID, {}).get(key, {"attributes": {}})
            told = state["attributes"].get("event_type")
            await asyncio.sleep(0.2)


def sent(portal: MockPortal) -> list[str]:
    """Return what was written to the portal."""
    return sorted(call.path for call in portal.journal if call.method == "PUT")


@pytest.mark.timeout(240)
async def test_killed_between_request_and_answer(tmp_path: Path, socket_enabled: None) -> None:
    """An SMS is told as not confirmed after the crash, a status change is waited for; each is sent once."""
    port = unused_port()
    hass = HomeAssistantProcess(tmp_path, port=port)
    hass.prepare("config:\n")
    async with MockPortal("documented") as portal:
        portal.dialects["status_change"] = "after_seconds"
        async with hass:
            await hass.create_user("demo", "demo")
            account = await hass.add_account(
                portal.url, client_id="demo-client", secret_key="demo-secret"
            )
            await hass.add_sims(account["result"]["entry_id"], [ICCID])
            entries = tmp_path / ".storage" / "core.config_entries"
            # Home Assistant writes down a new account a second later, and who its SIMs are.
            await until(lambda: entries.exists() and ICCID in entries.read_text())
            sim = (await hass.device_ids())[ICCID]
            # The portal acts on the request, and the answer comes when nobody waits for it any more.
            portal.faults.add("delay", method="PUT", seconds=60)
            writes = [
                asyncio.create_task(
                    hass.call_action("iot_portal", action, {"device_id": sim, **data})
                )
                for action, data in (
                    ("send_sms", {"message": "Hello"}),
                    ("request_status_change", {"status": "activated"}),
                )
            ]
            await until(lambda: len(sent(portal)) == len(writes))
            await hass.kill()
            for outcome in await asyncio.gather(*writes, return_exceptions=True):
                assert isinstance(outcome, ClientError)
        portal.faults.clear()
        portal.clock.advance(60)

        async with hass:
            await until_told(hass, "sms_event", "unconfirmed")
            await until_told(hass, "lifecycle_event", "status_change_confirmed")

        assert [path.removeprefix("/api") for path in sent(portal)] == [
            f"/RequestStatusChange/{ICCID}",
            f"/SendSMS/{ICCID}/1",
        ]
