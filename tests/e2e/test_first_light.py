"""The main job on real parts: a Home Assistant process, a socket, the mock portal."""

import asyncio
from pathlib import Path
import time
from typing import Any

from aiohttp.test_utils import unused_port
import pytest

from mock_portal import MockPortal
from scripts.hass_process import HomeAssistantProcess

ICCID = "8931082322089353632"
CONFIGURATION = """
config:
logger:
  default: info
"""
WAIT = 30


async def wait_for(hass: HomeAssistantProcess, key: str, state: str) -> dict[str, Any]:
    """Wait until a sensor of the SIM has a state, and return all of them."""
    until = time.monotonic() + WAIT
    while (sensors := (await hass.states()).get(ICCID, {})).get(key, {}).get("state") != state:
        assert time.monotonic() < until, sensors
        await asyncio.sleep(0.2)
    return sensors


@pytest.mark.timeout(240)
async def test_first_light(tmp_path: Path, socket_enabled: None) -> None:
    """A SIM from the portal, an SMS back, and a status that changes, as a user would do it."""
    hass = HomeAssistantProcess(tmp_path, port=unused_port())
    hass.prepare(CONFIGURATION)
    async with MockPortal("documented") as portal, hass:
        await hass.create_user("demo", "demo")
        account = await hass.add_account(
            portal.url, client_id="demo-client", secret_key="demo-secret"
        )
        await hass.add_sims(account["result"]["entry_id"], [ICCID])

        sensors = await wait_for(hass, "status", "inventory")
        assert float(sensors["data_usage"]["state"]) == 0
        assert sensors["last_ip"]["state"] == "100.126.61.98"

        sim = (await hass.device_ids())[ICCID]
        sent = await hass.call_action(
            "iot_portal", "send_sms", {"device_id": sim, "message": "Hello"}
        )
        assert sent["sims"][0]["sms_id"]
        portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")

        await hass.call_action(
            "iot_portal", "request_status_change", {"device_id": sim, "status": "activated"}
        )
        await wait_for(hass, "status", "activated")

    log = hass.log_file.read_text()
    ours = [line for line in log.splitlines() if "iot_portal" in line]
    assert not [
        line
        for line in ours
        if (" WARNING " in line or " ERROR " in line) and "has not been tested" not in line
    ]
    assert "demo-secret" not in log
    # What set-up installed is all that a start needs.
    assert "Attempting install" not in log
