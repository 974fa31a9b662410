"""One automation for a fleet of 1,000 SIMs in a real Home Assistant: each SIM runs it once, and nothing stalls."""

import asyncio
from itertools import batched
from pathlib import Path
import re
import time

import pytest

from benchmarks import _fleet
from benchmarks._home_assistant import ProbedHomeAssistant
from mock_portal import MockPortal

from .common import WAIT, complaints

SIMS = 1000
CROSSING = 100
STALL_SECONDS = 0.1
PERCENT = 5 * 1024**2
CONFIGURATION = """
system_log:
automation:
  - id: fleet
    alias: Fleet
    mode: parallel
    max: 1000
    triggers:
      - trigger: iot_portal.data_used_crossed_threshold
        target:
          label_id: cameras
        options:
          threshold:
            type: above
            value:
              number: 80
              unit_of_measurement: "%"
    actions:
      - action: system_log.write
        data:
          level: warning
          message: "Ran for {{ trigger.sim_name }}"
"""


def runs(hass: ProbedHomeAssistant) -> list[str]:
    """Return the ICCID of each run in the log."""
    return re.findall(r"Ran for SIM (\d+)", hass.log_file.read_text())


async def until_read(portal: MockPortal, times: int) -> None:
    """Wait until the portal has reported the use of each SIM so many times."""
    until = time.monotonic() + WAIT
    while len(portal.journal.find(route="ctdUsage")) < times * SIMS:
        assert time.monotonic() < until
        await asyncio.sleep(0.1)


async def poll(hass: ProbedHomeAssistant, sensors: list[str]) -> float:
    """Read all SIMs, so many at a time as an account asks the portal for; return the longest work in one go."""
    polls = [
        await hass.poll(list(chunk))
        for chunk in batched(sensors, _fleet.MAX_CONCURRENT, strict=False)
    ]
    return max(each.busy for each in polls)


async def label_all(hass: ProbedHomeAssistant, label: str) -> None:
    """Give all SIMs a label."""
    created = await hass.command("config/label_registry/create", name=label)
    assert created["label_id"] == label
    kind = "config/device_registry/update"
    await hass.commands(
        *(
            {"type": kind, "device_id": device_id, "labels": [label]}
            for device_id in (await hass.device_ids()).values()
        )
    )


async def until_saved(storage: Path, iccid: str, label: str) -> None:
    """Wait until Home Assistant has saved its registries, which for a fleet takes it half a second in one go."""
    until = time.monotonic() + WAIT
    for name, expected in (("entity", iccid), ("device", label)):
        file = storage / f"core.{name}_registry"
        while not file.exists() or expected not in file.read_text():
            assert time.monotonic() < until
            await asyncio.sleep(0.5)


@pytest.mark.timeout(300)
async def test_fleet(tmp_path: Path, socket_enabled: None) -> None:
    """In a poll 100 of 1,000 SIMs cross a threshold: 100 runs, none twice, and no stall of the event loop.

    What counts as a stall is the CPU that the event loop used in one, as its length depends on other processes, too. Python
    collects garbage in the whole of Home Assistant now and then, which takes half a second by itself and is left out.
    """
    fleet = _fleet.iccids(SIMS)
    crossing = fleet[:: SIMS // CROSSING]
    scenario = {
        "extends": "documented",
        "accounts": {"bench-0": {"secret_key": _fleet.SECRET_KEY, "api_token": "token"}},
        "sims": {iccid: {"status": "ACTIVATED"} for iccid in fleet},
    }
    hass = ProbedHomeAssistant(tmp_path)
    async with MockPortal(scenario) as portal:
        accounts = _fleet.entries(portal.url, fleet, _fleet.WIDE_OPEN)
        hass.prepare_probed(accounts=accounts, configuration=CONFIGURATION)
        async with hass.started():
            sensors = await hass.until_read(_fleet.STATUS_ENDING, SIMS)
            await label_all(hass, "cameras")
            await until_saved(tmp_path / ".storage", fleet[-1], "cameras")
            portal.journal.clear()

            for iccid in crossing:
                portal.sims[iccid].data_usage = 85 * PERCENT
            busy = await poll(hass, sensors)
            for iccid in crossing:
                portal.sims[iccid].data_usage = 90 * PERCENT
            await poll(hass, sensors)
            await until_read(portal, 2)
    assert sorted(runs(hass)) == crossing
    assert busy < STALL_SECONDS
    assert not complaints(hass, "[custom_components.iot_portal")
