"""Measure how the cost of a SIM grows with the number of SIMs in a real Home Assistant.

The mock portal runs in a process of its own and answers after 20 ms; our pacer is opened wide. Fleets
of more than 1,000 SIMs are shared out among accounts, as Home Assistant allows 10,000 entities each.
Small fleets may show more of each SIM than large ones: what the largest does not show is disabled in
the others, so that like is compared with like. Memory is what Home Assistant holds more than with an
account that has no SIMs.
"""

from argparse import Namespace
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.develop import PortalProcess

from . import _fleet
from ._home_assistant import PAUSE, VERSIONS, Holding, ProbedHomeAssistant
from ._machine import say
from ._report import as_json, fleet_sizes, footer, medians, parser, run, table

ANSWER_SECONDS = 0.02
# Growth is relative to the size closest to this.
REFERENCE = 100

type Kind = tuple[str, str]
"""A kind of entity: its platform, and its key in our integration."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One poll of an idle fleet: requests and milliseconds of CPU a SIM, longest stall in ms."""

    requests: float
    cpu: float
    stall: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """All polls of a fleet, and what it adds to Home Assistant."""

    samples: Sequence[Sample]
    holding: Holding


type Results = Mapping[int, Result]


def main() -> None:
    """Run the benchmark and print the results."""
    arguments = parser("scale", __doc__)
    arguments.add_argument("--sims", type=fleet_sizes, default=fleet_sizes("10,100,1000,3000"))
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    results = run(_measure(options))
    print(as_json(results, options, VERSIONS) if options.json else _as_table(results))


async def _measure(options: Namespace) -> Results:
    """Measure every size, the largest first, as it determines the entities of the others."""
    say("An account without SIMs")
    await _empty()  # compiles Python's modules, which takes memory of its own
    empty = await _empty()
    results: dict[int, Result] = {}
    shown: set[Kind] | None = None
    for size in reversed(options.sims):
        say(f"{size} SIMs")
        results[size], shown = await _measure_size(size, options.rounds, empty, shown)
    return dict(sorted(results.items()))


async def _empty() -> Holding:
    """Return what a Home Assistant with an account without SIMs holds."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with _fleet.running_portal(folder, (), seconds=ANSWER_SECONDS) as portal:
            hass = _prepared(folder, portal, ())
            async with hass.started():
                return await hass.holding()


async def _measure_size(
    size: int, rounds: int, empty: Holding, shown: set[Kind] | None
) -> tuple[Result, set[Kind]]:
    """Measure one size; return the entity kinds of a SIM, too."""
    fleet = _fleet.iccids(size)
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with _fleet.running_portal(folder, fleet, seconds=ANSWER_SECONDS) as portal:
            hass = _prepared(folder, portal, fleet)
            if shown is not None:
                async with hass.started():
                    await hass.until_read(_fleet.STATUS_ENDING, size)
                    await _disable_all_but(hass, fleet, shown)
            async with hass.started():
                sensors = await hass.until_read(_fleet.STATUS_ENDING, size)
                holding = (await hass.holding()).minus(empty)
                samples = [await _sample(hass, portal, sensors, size) for _ in range(rounds)]
                kinds = set((await _enabled(hass, fleet)).values())
    return Result(samples=samples, holding=holding), kinds


def _prepared(folder: Path, portal: PortalProcess, fleet: Sequence[str]) -> ProbedHomeAssistant:
    """Return a Home Assistant with the configuration of a fleet."""
    hass = ProbedHomeAssistant(folder / "config")
    hass.prepare_probed(accounts=_fleet.entries(portal.base_url, fleet, _fleet.WIDE_OPEN))
    return hass


async def _enabled(hass: ProbedHomeAssistant, fleet: Sequence[str]) -> dict[str, Kind]:
    """Return the enabled entities of the SIMs."""
    known = set(fleet)
    enabled = {}
    for entity in await hass.command("config/entity_registry/list"):
        owner, _, key = entity["unique_id"].partition("_")
        if owner in known and entity["disabled_by"] is None:
            enabled[entity["entity_id"]] = (entity["entity_id"].partition(".")[0], key)
    return enabled


async def _disable_all_but(
    hass: ProbedHomeAssistant, fleet: Sequence[str], shown: set[Kind]
) -> None:
    """Disable the entities of the SIMs that are of other kinds."""
    for entity_id, kind in (await _enabled(hass, fleet)).items():
        if kind not in shown:
            await hass.command(
                "config/entity_registry/update", entity_id=entity_id, disabled_by="user"
            )


async def _sample(
    hass: ProbedHomeAssistant, portal: PortalProcess, sensors: list[str], size: int
) -> Sample:
    """Poll all SIMs once and return what it cost."""
    await asyncio.sleep(PAUSE)
    await portal.clear_journal()
    poll = await hass.poll(sensors)
    return Sample(
        requests=await _fleet.requests_made(portal) / size,
        cpu=poll.cpu / size * 1000,
        stall=poll.stall * 1000,
    )


def _as_table(results: Results) -> str:
    """Return the medians, and their ratio to those of the reference, as a Markdown table."""
    reference = min(results, key=lambda size: abs(size - REFERENCE))
    columns = ["SIMs", "requests per SIM", "CPU per SIM", "longest stall", "entities per SIM"]
    columns += ["memory per SIM", "memory in total"]
    base = _figures(reference, results[reference])
    rows = [
        [
            f"{size:,}",
            *(
                f"{form.format(figure)} (x{figure / first:.2f})"
                for (form, figure), (_, first) in zip(_figures(size, result), base, strict=True)
            ),
            f"{result.holding.memory / 2**20:.0f} MB",
        ]
        for size, result in results.items()
    ]
    return f"{table(columns, rows)}\n\n(x…): times that of the fleet of {reference:,}. {footer(VERSIONS)}"


def _figures(size: int, result: Result) -> list[tuple[str, float]]:
    """Return the figures in the table, each with its format."""
    middle = medians(result.samples)
    return [
        ("{:.2f}", middle.requests),
        ("{:.2f} ms", middle.cpu),
        ("{:.0f} ms", middle.stall),
        ("{:.2f}", result.holding.entities / size),
        ("{:.0f} kB", result.holding.memory / size / 1024),
    ]


if __name__ == "__main__":
    main()
