"""Measure what it costs Home Assistant to generate the dashboard, whenever it is opened.

The mock portal runs in a process of its own. The dashboard is generated for an administrator, once before it is
measured, as Home Assistant then loads the translations. "Longest work" is the CPU that the event loop used in one
turn at most, without Python's garbage collector. Bytes are those of the JSON that goes to the browser.
"""

from argparse import Namespace
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from . import _fleet
from ._home_assistant import VERSIONS, ProbedHomeAssistant
from ._machine import say
from ._report import as_json, fleet_sizes, footer, medians, parser, run, table

ANSWER_SECONDS = 0.02
# Between two of them, so that each is generated alone.
PAUSE = 1


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One dashboard: milliseconds of CPU and of the longest work, elapsed milliseconds, and bytes."""

    cpu: float
    busy: float
    elapsed: float
    size: float


type Results = Mapping[int, Sequence[Sample]]


def main() -> None:
    """Run the benchmark and print the results."""
    arguments = parser("dashboard", __doc__)
    arguments.add_argument("--sims", type=fleet_sizes, default=fleet_sizes("64,1000"))
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    results = run(_measure(options))
    print(as_json(results, options, VERSIONS) if options.json else _as_table(results))


async def _measure(options: Namespace) -> Results:
    """Return the samples of each fleet."""
    return {size: await _measure_size(size, options.rounds) for size in options.sims}


async def _measure_size(size: int, rounds: int) -> list[Sample]:
    """Generate the dashboard of one fleet several times."""
    say(f"{size} SIMs")
    fleet = _fleet.iccids(size)
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with _fleet.running_portal(folder, fleet, seconds=ANSWER_SECONDS) as portal:
            hass = ProbedHomeAssistant(folder / "config")
            # What the dashboard shows beside the list needs them.
            hass.prepare_probed(
                accounts=_fleet.entries(portal.base_url, fleet, _fleet.WIDE_OPEN),
                configuration="frontend:\nrecorder:\n",
            )
            async with hass.started():
                await hass.until_read(_fleet.STATUS_ENDING, size)
                await hass.generate_dashboard()
                return [await _sample(hass) for _ in range(rounds)]


async def _sample(hass: ProbedHomeAssistant) -> Sample:
    """Generate the dashboard once."""
    await asyncio.sleep(PAUSE)
    cost, size = await hass.generate_dashboard()
    return Sample(
        cpu=cost.cpu * 1000, busy=cost.busy * 1000, elapsed=cost.seconds * 1000, size=size
    )


def _as_table(results: Results) -> str:
    """Return the medians as a Markdown table."""
    columns = ["SIMs", "CPU", "longest work", "ready after", "size"]
    rows = [
        [
            f"{sims:,}",
            f"{middle.cpu:.0f} ms",
            f"{middle.busy:.0f} ms",
            f"{middle.elapsed:.0f} ms",
            f"{middle.size / 1024:.0f} kB",
        ]
        for sims, samples in results.items()
        for middle in (medians(samples),)
    ]
    return f"{table(columns, rows)}\n\n{footer(VERSIONS)}"


if __name__ == "__main__":
    main()
