"""The interface for triggers, conditions and targets in each supported version, in a real Home Assistant.

What each use of it is for, tests/integration/test_automation_interface.py says.
"""

import asyncio
from pathlib import Path
import subprocess
import time
from typing import Any

from aiohttp.test_utils import unused_port
import pytest

from mock_portal import MockPortal
from scripts.hass_process import HomeAssistantProcess
from tests.automation_interface import SIM_ACTIONS, USES, ours
from tests.versions import NEXT

from .common import WAIT, add_demo, complaints, read_again, wait_for

CAMERA, PUMP, GATE = "8931082322204500018", "8931082322204500026", "8931082322204500034"
CONFIGURATION = """
automation: !include automations.yaml
config:
logger:
  default: info
"""
PERCENT = 5 * 1024**2
NOTHING_USED = {"data_usage": 0, "bytes_per_second": 0}
SCENARIO = {"extends": "demo", "sims": dict.fromkeys((CAMERA, PUMP, GATE), NOTHING_USED)}
KINDS = ("triggers", "conditions", "services")


def automation(watched: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """Return an automation as the editor saves it, with one target of its trigger and one of the rest."""
    value = {"active_choice": "number", "number": 80, "unit_of_measurement": "%"}
    return {
        "alias": "Cameras over 80 percent",
        "mode": "parallel",
        "triggers": [
            {
                "trigger": "iot_portal.data_used_crossed_threshold",
                "target": watched,
                "options": {"threshold": {"type": "above", "value": value}},
            }
        ],
        "conditions": [
            {
                "condition": "iot_portal.data_session_is_open",
                "target": target,
                "options": {"behavior": "any", "only_triggering_sim": True},
            }
        ],
        "actions": [
            {
                "action": "iot_portal.send_sms",
                "target": target,
                "data": {
                    "message": "{{ trigger.sim_name }} has used {{ trigger.used_percent }} %",
                    "only_triggering_sim": True,
                },
            }
        ],
    }


async def use(hass: HomeAssistantProcess, portal: MockPortal, percent: int, *iccids: str) -> None:
    """Use so much of the allowance in an open session, and read the SIMs."""
    for iccid in iccids:
        portal.sims[iccid].open_session()
        portal.sims[iccid].data_usage = percent * PERCENT
        states = await hass.states()
        await read_again(hass, states[iccid]["status"]["entity_id"])


async def offered(hass: HomeAssistantProcess, target: dict[str, Any]) -> dict[str, set[str]]:
    """Return what the editor offers of this integration for a target."""
    return {
        kind: ours(await hass.command(f"get_{kind}_for_target", target=target)) for kind in KINDS
    }


async def sent_sms(portal: MockPortal, count: int) -> list[tuple[str, str]]:
    """Wait until so many SMS have been sent, and return each ICCID and text, in order."""
    until = time.monotonic() + WAIT
    while len(sent := portal.journal.find("PUT", "/SendSMS/*")) < count:
        assert time.monotonic() < until, sent
        await asyncio.sleep(0.1)
    return sorted((exchange.path.split("/")[-2], str(exchange.body)) for exchange in sent)


@pytest.mark.timeout(900)  # the first run may install another Home Assistant
def test_uses(python: Path) -> None:
    """Each name that the integration imports from the interface exists."""
    imports = [f"from {module} import {', '.join(sorted(names))}" for module, names in USES.items()]
    subprocess.run([python, "-c", "\n".join(imports)], check=True)  # noqa: S603


@pytest.mark.timeout(900)
async def test_automations(tmp_path: Path, socket_enabled: None, python: Path) -> None:
    """The editor offers everything by target, and an automation for a label reaches the SIM that triggered it."""
    hass = HomeAssistantProcess(tmp_path, port=unused_port(), python=python)
    hass.prepare(CONFIGURATION)
    async with MockPortal(SCENARIO) as portal, hass:
        await add_demo(hass, portal, CAMERA, PUMP, GATE)
        states = await wait_for(hass, GATE, "status", "activated")
        devices = await hass.device_ids()
        label = (await hass.command("config/label_registry/create", name="cameras"))["label_id"]
        area = (await hass.command("config/area_registry/create", name="Yard"))["area_id"]
        for iccid in (CAMERA, GATE):
            await hass.command(
                "config/device_registry/update",
                device_id=devices[iccid],
                labels=[label],
                area_id=area,
            )
        (account,) = [
            device["id"]
            for device in await hass.command("config/device_registry/list")
            if device["name"] == "demo-client"
        ]

        of_sim = await offered(hass, {"device_id": [devices[GATE]]})
        assert {kind: len(names) for kind, names in of_sim.items()} == dict(
            zip(KINDS, (15, 5, len(SIM_ACTIONS)), strict=True)
        )
        for target in (
            {"entity_id": [states["status"]["entity_id"]]},
            {"area_id": [area]},
            {"label_id": [label]},
        ):
            assert await offered(hass, target) == of_sim
        assert await offered(hass, {"device_id": [account]}) == of_sim | {"services": set()}

        watched: dict[str, Any] = {"label_id": label}
        expected = [(CAMERA, "Weather station"), (GATE, "Boat tracker")]
        if await version(hass) == NEXT:
            # From this version on a part of the target can be excluded.
            watched = {"device_id": account, "exclude": {"device_id": devices[GATE]}}
            del expected[1]
        await save(hass, automation(watched, {"label_id": label}))
        for percent in (85, 90):
            await use(hass, portal, percent, GATE, PUMP, CAMERA)
        sent = await sent_sms(portal, len(expected))
        assert [iccid for iccid, _ in sent] == [iccid for iccid, _ in expected]
        for (_, text), (_, name) in zip(sent, expected, strict=True):
            assert f"{name} has used 85.0 %" in text

    assert not complaints(hass, "iot_portal")


async def save(hass: HomeAssistantProcess, config: dict[str, Any]) -> None:
    """Save the automation as the editor does, and wait until it is on."""
    await hass.request("POST", "/api/config/automation/config/1", config)
    until = time.monotonic() + WAIT
    while True:
        found = await hass.request("GET", "/api/states")
        states = [each for each in found if each["entity_id"].startswith("automation.")]
        if states and states[0]["state"] == "on":
            return
        assert time.monotonic() < until, states
        await asyncio.sleep(0.1)


async def version(hass: HomeAssistantProcess) -> str:
    """Return the version of Home Assistant."""
    return str((await hass.request("GET", "/api/config"))["version"])
