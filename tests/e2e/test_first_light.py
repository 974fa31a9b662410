"""The main job with real parts: a Home Assistant process, a socket, the mock portal."""

from pathlib import Path

from aiohttp.test_utils import unused_port
import pytest

from mock_portal import MockPortal
from scripts.hass_process import HomeAssistantProcess

from .common import DOCUMENTED, add_demo, complaints, wait_for

CONFIGURATION = """
config:
logger:
  default: info
"""


@pytest.mark.timeout(240)
async def test_first_light(tmp_path: Path, socket_enabled: None) -> None:
    """A user adds a SIM, sends an SMS and changes a status."""
    hass = HomeAssistantProcess(tmp_path, port=unused_port())
    hass.prepare(CONFIGURATION)
    async with MockPortal("documented") as portal, hass:
        await add_demo(hass, portal, DOCUMENTED)

        sensors = await wait_for(hass, DOCUMENTED, "status", "inventory")
        assert float(sensors["data_usage"]["state"]) == 0
        assert sensors["last_ip"]["state"] == "100.126.61.98"

        sim = (await hass.device_ids())[DOCUMENTED]
        sent = await hass.call_action(
            "iot_portal", "send_sms", {"device_id": sim, "message": "Hello"}
        )
        assert sent["sims"][0]["sms_id"]
        portal.journal.assert_called_once("PUT", f"/SendSMS/{DOCUMENTED}/1")

        await hass.call_action(
            "iot_portal", "request_status_change", {"device_id": sim, "status": "activated"}
        )
        await wait_for(hass, DOCUMENTED, "status", "activated")

    assert not complaints(hass, "iot_portal")
    log = hass.log_file.read_text()
    assert "demo-secret" not in log
    # A start needs no packages but those that scripts/setup installed.
    assert "Attempting install" not in log
