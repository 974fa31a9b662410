"""Measure what a poll of a fleet costs Home Assistant, compared with its rest integration and a bare loop.

The mock portal runs in a process of its own and answers after 20 ms. Home Assistant runs with our
integration, its pacer opened wide, reading an idle fleet and then an active one; with a `rest` sensor
in YAML for status, data usage and address of each SIM; and with neither, which is what the memory of
the others is compared with. A round asks for an update of all SIMs at once and waits until it is done.
The baseline is a loop of aiohttp that makes the requests of our integration and parses them.
"""

from argparse import Namespace
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from tempfile import TemporaryDirectory
import time

from aiohttp import ClientSession, TCPConnector

from scripts.develop import PortalProcess

from . import _fleet
from ._home_assistant import PAUSE, VERSIONS, Holding, ProbedHomeAssistant
from ._machine import say
from ._report import as_json, footer, medians, parser, run, table

ANSWER_SECONDS = 0.02

IDLE, ACTIVE, REST = "idle fleet", "active fleet", "`rest`"
BARE_IDLE, BARE_ACTIVE = "bare loop (idle)", "bare loop (active)"
# The requests that the integration makes for a SIM, and the baselines of both contestants.
BARE_ROUTES = {BARE_IDLE: ("ctdUsage",), BARE_ACTIVE: ("ctdUsage", "sessionInfo")}
BASELINES = {IDLE: BARE_IDLE, ACTIVE: BARE_ACTIVE, REST: BARE_IDLE} | {
    name: name for name in BARE_ROUTES
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One round: requests, milliseconds and state writes a SIM; elapsed seconds and longest stall in ms."""

    requests: float
    cpu: float
    seconds: float
    stall: float = 0.0
    changes: float = 0.0
    reports: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """All rounds of a contestant, and the memory that it adds to Home Assistant."""

    samples: Sequence[Sample]
    holding: Holding | None = None


type Results = Mapping[str, Result]


def main() -> None:
    """Run the benchmark and print the results."""
    arguments = parser("poll", __doc__)
    arguments.add_argument("--sims", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    results = run(_measure(options))
    print(as_json(results, options, VERSIONS) if options.json else _as_table(results, options.sims))


async def _measure(options: Namespace) -> Results:
    """Return the results of all contestants, measured one after the other."""
    fleet = _fleet.iccids(options.sims)
    say("Home Assistant without SIMs")
    await _empty()  # compiles Python's modules, which takes memory of its own
    empty = await _empty()
    results: dict[str, Result] = {}
    for name, bare in ((IDLE, BARE_IDLE), (ACTIVE, BARE_ACTIVE), (REST, None)):
        say(f"{name}: {options.sims} SIMs")
        with TemporaryDirectory() as folder:
            async with _fleet.running_portal(
                Path(folder), fleet, seconds=ANSWER_SECONDS, is_active=name == ACTIVE
            ) as portal:
                results[name] = await _polls(
                    Path(folder), portal, fleet, options.rounds, empty, is_rest=name == REST
                )
                if bare is not None:
                    say(bare)
                    samples = [
                        await _bare(portal, fleet, BARE_ROUTES[bare]) for _ in range(options.rounds)
                    ]
                    results[bare] = Result(samples=samples)
    return results


async def _empty() -> Holding:
    """Return what a Home Assistant without SIMs holds."""
    with TemporaryDirectory() as folder:
        hass = ProbedHomeAssistant(Path(folder) / "config")
        hass.prepare_probed()
        async with hass.started():
            return await hass.holding()


async def _polls(
    folder: Path,
    portal: PortalProcess,
    fleet: Sequence[str],
    rounds: int,
    empty: Holding,
    *,
    is_rest: bool,
) -> Result:
    """Measure polls in a new Home Assistant."""
    hass = ProbedHomeAssistant(folder / "config")
    ending, wanted = _fleet.STATUS_ENDING, len(fleet)
    if is_rest:
        ending, wanted = _fleet.REST_ENDING, len(fleet) * len(_fleet.REST_VALUES)
        hass.prepare_probed(configuration=await _fleet.rest_configuration(portal, fleet))
    else:
        hass.prepare_probed(accounts=_fleet.entries(portal.base_url, fleet, _fleet.WIDE_OPEN))
    async with hass.started():
        sensors = await hass.until_read(ending, wanted)
        holding = (await hass.holding()).minus(empty)
        samples = [await _sample(hass, portal, sensors, len(fleet)) for _ in range(rounds)]
    return Result(samples=samples, holding=holding)


async def _sample(
    hass: ProbedHomeAssistant, portal: PortalProcess, sensors: list[str], sims: int
) -> Sample:
    """Update all sensors once and return what it cost."""
    await asyncio.sleep(PAUSE)
    await portal.clear_journal()
    poll = await hass.poll(sensors)
    return Sample(
        requests=await _fleet.requests_made(portal) / sims,
        cpu=poll.cpu / sims * 1000,
        seconds=poll.seconds,
        stall=poll.stall * 1000,
        changes=poll.changes / sims,
        reports=poll.reports / sims,
    )


async def _bare(portal: PortalProcess, fleet: Sequence[str], routes: Sequence[str]) -> Sample:
    """Make the integration's requests for each SIM and parse the responses, and nothing else."""
    headers = {"Authorization": await _fleet.log_in(portal)}
    turns = asyncio.Semaphore(_fleet.MAX_CONCURRENT)
    async with ClientSession(connector=TCPConnector(limit=0)) as session:

        async def read(iccid: str) -> None:
            for route in routes:
                async with (
                    turns,
                    session.get(f"{portal.base_url}/{route}/{iccid}", headers=headers) as response,
                ):
                    json.loads(await response.text())

        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*map(read, fleet))
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    return Sample(requests=len(routes), cpu=cpu / len(fleet) * 1000, seconds=seconds)


def _as_table(results: Results, sims: int) -> str:
    """Return the medians as a Markdown table."""
    columns = [
        *(
            "a poll of",
            "requests per SIM",
            "CPU per SIM",
            "compared with `rest`",
            "compared with the bare loop",
        ),
        *("seconds in total", "longest stall", "state changes per SIM", "state reports per SIM"),
        *("entities per SIM", "memory per SIM", "memory per entity"),
    ]
    middle = {name: medians(result.samples) for name, result in results.items()}
    rows = [
        [
            name,
            f"{one.requests:.2f}",
            f"{one.cpu:.2f} ms",
            f"{one.cpu / middle[REST].cpu:.2f}",
            f"{one.cpu / middle[BASELINES[name]].cpu:.1f}",
            f"{one.seconds:.1f}",
            *_inside_cells(one, results[name].holding, sims),
        ]
        for name, one in middle.items()
    ]
    return f"{table(columns, rows)}\n\n{footer(VERSIONS)}"


def _inside_cells(sample: Sample, holding: Holding | None, sims: int) -> list[str]:
    """Return the cells that apply to Home Assistant only."""
    if holding is None:
        return [""] * 6
    return [
        f"{sample.stall:.0f} ms",
        f"{sample.changes:.2f}",
        f"{sample.reports:.2f}",
        f"{holding.entities / sims:.2f}",
        f"{holding.memory / sims / 1024:.0f} kB",
        f"{holding.memory / holding.entities / 1024:.1f} kB",
    ]


if __name__ == "__main__":
    main()
