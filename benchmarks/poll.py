"""What a poll of a fleet costs a real Home Assistant, beside its own rest integration and a bare loop.

The mock portal runs in a process of its own and answers after 20 ms. Home Assistant runs once with
our integration, its pacer opened wide, and once with a `rest` sensor in YAML for status, data usage
and address of each SIM. A round asks for an update of all sensors at once and waits until it is
done. The floor is a loop of aiohttp that makes the requests of our integration and parses them.
"""

from argparse import ArgumentParser, Namespace
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from statistics import median
import sys
from tempfile import TemporaryDirectory
import time
from typing import Any

from aiohttp import ClientSession, TCPConnector
from aiohttp.test_utils import unused_port

from scripts.develop import Portal
from scripts.hass_process import HomeAssistantProcess

from ._machine import cpu_seconds, machine, say

ANSWER_SECONDS = 0.02
WIDTH = 50
# Home Assistant puts requests for an update off that come sooner after the one before.
PAUSE = 11
READ_TIMEOUT = 180
ENTRY_ID = "01JD00000000000000000BENCH"

IDLE, ACTIVE, REST, BARE = "idle fleet", "active fleet", "`rest`", "bare loop (idle)"

PROBE = '''\
"""Measures how late the event loop is."""
import asyncio, time
from homeassistant.core import SupportsResponse
from homeassistant.helpers import config_validation as cv
CONFIG_SCHEMA = cv.empty_config_schema("bench_probe")
async def async_setup(hass, config):
    worst = [0.0]
    async def watch():
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            worst[0] = max(worst[0], time.perf_counter() - before - 0.005)
    async def take(call):
        late, worst[0] = worst[0], 0.0
        return {"late": late}
    hass.async_create_background_task(watch(), "bench_probe")
    hass.services.async_register("bench_probe", "take", take, supports_response=SupportsResponse.ONLY)
    return True
'''


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One round: requests and milliseconds of CPU for each SIM, seconds in all, longest stall in ms."""

    requests: float
    cpu: float
    seconds: float
    stall: float


def main() -> None:
    """Measure, and print the results."""
    parser = ArgumentParser(prog="scripts/bench poll", description=__doc__)
    parser.add_argument("--sims", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print all samples as JSON")
    options = parser.parse_args()
    results = asyncio.run(_measure(options))
    print(_as_json(results, options) if options.json else _as_table(results))


async def _measure(options: Namespace) -> dict[str, list[Sample]]:
    """Take all samples, one contestant after the other."""
    iccids = [str(8931080000000000000 + number) for number in range(options.sims)]
    results: dict[str, list[Sample]] = {}
    for name in (IDLE, ACTIVE, REST):
        say(f"{name}: {options.sims} SIMs")
        with TemporaryDirectory() as folder:
            async with _portal(Path(folder), iccids, is_active=name == ACTIVE) as portal:
                results[name] = await _home_assistant(
                    Path(folder), portal, iccids, options.rounds, is_rest=name == REST
                )
                if name == IDLE:
                    say(BARE)
                    results[BARE] = [await _bare(portal, iccids) for _ in range(options.rounds)]
    return results


@asynccontextmanager
async def _portal(folder: Path, iccids: list[str], *, is_active: bool) -> AsyncIterator[Portal]:
    """Run a portal with a fleet: idle SIMs, or ones that use data in an open session."""
    sim: dict[str, object] = {"session_count": 3, "session_started": "-3h", "session_ended": "-2h"}
    if is_active:
        sim = {"session_count": 3, "session_started": "-3h", "bytes_per_second": 20000}
    scenario = folder / "fleet.json"
    scenario.write_text(
        json.dumps(
            {
                "extends": "documented",
                "sims": dict.fromkeys(iccids, sim),
                "faults": [{"kind": "delay", "seconds": ANSWER_SECONDS}],
            }
        )
    )
    portal = Portal(unused_port(), scenario=str(scenario))
    async with portal.running():
        yield portal


async def _home_assistant(
    folder: Path, portal: Portal, iccids: list[str], rounds: int, *, is_rest: bool
) -> list[Sample]:
    """Measure polls in a Home Assistant of its own."""
    hass = HomeAssistantProcess(folder / "config", port=unused_port())
    token = await _token(portal)
    hass.prepare(
        "config:\nbench_probe:\n" + (_rest_configuration(portal, iccids, token) if is_rest else "")
    )
    probe = folder / "config" / "custom_components" / "bench_probe"
    probe.mkdir(parents=True)
    (probe / "__init__.py").write_text(PROBE)
    (probe / "manifest.json").write_text(
        json.dumps({"domain": "bench_probe", "name": "Probe", "version": "1", "codeowners": []})
    )
    if not is_rest:
        hass.store("core.config_entries", 1, 5, {"entries": [_entry(portal, iccids)]})
    async with hass:
        await hass.create_user("demo", "demo")
        sensors = await _until_read(hass, len(iccids) * 3 if is_rest else len(iccids), is_rest)
        return [await _sample(hass, portal, sensors, len(iccids)) for _ in range(rounds)]


async def _until_read(hass: HomeAssistantProcess, wanted: int, is_rest: bool) -> list[str]:  # noqa: FBT001
    """Wait until all SIMs have been read, and return the sensors to update."""
    until = time.monotonic() + READ_TIMEOUT
    while time.monotonic() < until:
        states = await hass.request("GET", "/api/states")
        read = [
            state["entity_id"]
            for state in states
            if state["entity_id"].startswith("sensor.")
            and state["entity_id"].endswith(("_bench",) if is_rest else ("_status",))
            and state["state"] not in ("unavailable", "unknown")
        ]
        if len(read) == wanted:
            return read
        await asyncio.sleep(1)
    msg = f"only {len(read)} of {wanted} sensors were read within {READ_TIMEOUT} s"
    raise SystemExit(msg)


async def _sample(
    hass: HomeAssistantProcess, portal: Portal, sensors: list[str], sims: int
) -> Sample:
    """Update all sensors once and tell what it cost."""
    await asyncio.sleep(PAUSE)
    await portal.clear_journal()
    await hass.call_action("bench_probe", "take", {})
    cpu, began = cpu_seconds(hass.pid), time.perf_counter()
    await hass.request("POST", "/api/services/homeassistant/update_entity", {"entity_id": sensors})
    seconds = time.perf_counter() - began
    cpu = cpu_seconds(hass.pid) - cpu
    late = (await hass.call_action("bench_probe", "take", {}))["late"]
    requests = len((await portal.control("journal"))["exchanges"])
    return Sample(
        requests=requests / sims, cpu=cpu / sims * 1000, seconds=seconds, stall=late * 1000
    )


async def _bare(portal: Portal, iccids: list[str]) -> Sample:
    """Make the one request of an idle SIM for each, and parse it, with nothing around it."""
    token = await _token(portal)
    turns = asyncio.Semaphore(WIDTH)
    async with ClientSession(connector=TCPConnector(limit=0)) as session:

        async def read(iccid: str) -> None:
            async with (
                turns,
                session.get(
                    f"{portal.base_url}/ctdUsage/{iccid}", headers={"Authorization": token}
                ) as response,
            ):
                json.loads(await response.text())

        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*map(read, iccids))
    return Sample(
        requests=1.0,
        cpu=(time.process_time() - cpu) / len(iccids) * 1000,
        seconds=time.perf_counter() - began,
        stall=0.0,
    )


async def _token(portal: Portal) -> str:
    """Log in at the portal by hand."""
    login = {"clientId": "demo-client", "secretKey": "demo-secret"}
    async with (
        ClientSession() as session,
        session.post(f"{portal.base_url}/Login", json=login) as answer,
    ):
        token: str = (await answer.json())["data"]["token"]
    return token


def _entry(portal: Portal, iccids: list[str]) -> dict[str, Any]:
    """Return the account as Home Assistant stores it, its pacer opened wide."""
    moment = "2026-11-01T00:00:00+00:00"
    return {
        "created_at": moment,
        "data": {
            "base_url": portal.base_url,
            "client_id": "demo-client",
            "secret_key": "demo-secret",
        },
        "discovery_keys": {},
        "disabled_by": None,
        "domain": "iot_portal",
        "entry_id": ENTRY_ID,
        "minor_version": 1,
        "modified_at": moment,
        "options": {"poll_interval": 1440, "request_rate": 1_000_000, "request_width": WIDTH},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [
            {
                "data": {"iccid": iccid},
                "subentry_id": f"01JD{iccid:0>22}",
                "subentry_type": "sim",
                "title": f"SIM {iccid}",
                "unique_id": iccid,
            }
            for iccid in iccids
        ],
        "title": "demo-client",
        "unique_id": f"demo-client@{portal.base_url}",
        "version": 1,
    }


def _rest_configuration(portal: Portal, iccids: list[str], token: str) -> str:
    """Return `rest` sensors for the same three values, as a user would write them."""
    routes = (
        ("ctdUsage", "{{ value_json[0].ctdDataUsage }}"),
        ("getStatus", "{{ value }}"),
        ("sessionInfo", "{{ value_json.ipAddress or 'none' }}"),
    )
    resources = [
        {
            "resource": f"{portal.base_url}/{route}/{iccid}",
            "headers": {"Authorization": token},
            "scan_interval": 86400,
            "sensor": [{"name": f"{iccid} {route} bench", "value_template": template}],
        }
        for iccid in iccids
        for route, template in routes
    ]
    return f"rest: {json.dumps(resources)}\n"


def _median(samples: Sequence[Sample]) -> Sample:
    """Return the medians."""
    return Sample(
        requests=median(sample.requests for sample in samples),
        cpu=median(sample.cpu for sample in samples),
        seconds=median(sample.seconds for sample in samples),
        stall=median(sample.stall for sample in samples),
    )


def _as_table(results: dict[str, list[Sample]]) -> str:
    """Return the medians, as a table in Markdown."""
    rest, bare = _median(results[REST]), _median(results[BARE])
    rows = [
        "| a poll of | requests a SIM | CPU a SIM | of `rest` | of the bare loop | seconds in all | longest stall |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, samples in results.items():
        one = _median(samples)
        stall = f"{one.stall:.0f} ms" if one.stall else ""
        rows.append(
            f"| {name} | {one.requests:.2f} | {one.cpu:.2f} ms | {one.cpu / rest.cpu:.2f} |"
            f" {one.cpu / bare.cpu:.1f} | {one.seconds:.1f} | {stall} |"
        )
    return "\n".join([*rows, "", ", ".join(f"{key} {value}" for key, value in machine().items())])


def _as_json(results: dict[str, list[Sample]], options: Namespace) -> str:
    """Return everything, as JSON."""
    contestants = {
        name: {
            "median": asdict(_median(samples)),
            "samples": [asdict(sample) for sample in samples],
        }
        for name, samples in results.items()
    }
    return json.dumps(
        {"machine": machine(), "options": vars(options), "contestants": contestants}, indent=2
    )


if __name__ == "__main__":
    sys.exit(main())
