"""Measure what the integration adds to the start of Home Assistant, compared with the rest integration.

The mock portal runs in a process of its own and answers after 200 ms. A start is the time from the
start of the process until Home Assistant says that it has started, less the median of a Home
Assistant that reads no SIM. Ours starts twice in the same folder: for the first time ever, and again
once all SIMs have been read. `rest` has a sensor for status, data usage and address of each SIM. All
contestants take turns in each round; our pacer is opened wide.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
import time

from scripts.develop import PortalProcess

from . import _fleet
from ._home_assistant import VERSIONS, ProbedHomeAssistant
from ._machine import say
from ._report import as_json, footer, medians, parser, run, table

ANSWER_SECONDS = 0.2

EMPTY, REST = "neither", "`rest`"
FIRST, RESTART = "ours, first start ever", "ours, restart"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One start: seconds until Home Assistant had started and until all was read, requests a SIM."""

    started: float
    read: float
    requests: float


type Results = Mapping[str, Sequence[Sample]]


def main() -> None:
    """Run the benchmark and print the results."""
    arguments = parser("startup", __doc__)
    arguments.add_argument("--sims", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    results = run(_measure(options))
    print(as_json(results, options, VERSIONS) if options.json else _as_table(results))


async def _measure(options: Namespace) -> Results:
    """Return the samples of all rounds."""
    results: dict[str, list[Sample]] = {}
    # Round 0 compiles Python's modules and fills the machine's caches; one SIM is enough for that.
    await _round(_fleet.iccids(1), {})
    for number in range(1, options.rounds + 1):
        say(f"Round {number} of {options.rounds}")
        await _round(_fleet.iccids(options.sims), results)
    return results


async def _round(fleet: Sequence[str], results: dict[str, list[Sample]]) -> None:
    """Start each contestant once."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with _fleet.running_portal(folder, fleet, seconds=ANSWER_SECONDS) as portal:
            empty = ProbedHomeAssistant(folder / "empty")
            empty.prepare_probed()
            rest = ProbedHomeAssistant(folder / "rest")
            rest.prepare_probed(configuration=await _fleet.rest_configuration(portal, fleet))
            ours = ProbedHomeAssistant(folder / "ours")
            ours.prepare_probed(accounts=_fleet.entries(portal.base_url, fleet, _fleet.WIDE_OPEN))
            for contestant, hass, ending, sensors in (
                (EMPTY, empty, "", 0),
                (FIRST, ours, _fleet.STATUS_ENDING, 1),
                (RESTART, ours, _fleet.STATUS_ENDING, 1),
                (REST, rest, _fleet.REST_ENDING, len(_fleet.REST_VALUES)),
            ):
                sample = await _sample(hass, portal, fleet, ending, sensors)
                results.setdefault(contestant, []).append(sample)


async def _sample(
    hass: ProbedHomeAssistant,
    portal: PortalProcess,
    fleet: Sequence[str],
    ending: str,
    sensors: int,
) -> Sample:
    """Start Home Assistant once, and stop it when all sensors of all SIMs have been read."""
    await portal.clear_journal()
    began = time.perf_counter()
    async with hass.started() as seconds:
        await hass.until_read(ending, sensors * len(fleet))
        read = time.perf_counter() - began
        requests = await _fleet.requests_made(portal)
    return Sample(started=seconds, read=read, requests=requests / len(fleet))


def _as_table(results: Results) -> str:
    """Return the medians as a Markdown table."""
    columns = ["a start with", "adds", "started after", "all read after", "requests per SIM"]
    middle = {name: medians(samples) for name, samples in results.items()}
    rows = [
        [
            name,
            "" if name == EMPTY else f"{one.started - middle[EMPTY].started:.1f} s",
            f"{one.started:.1f} s",
            "" if name == EMPTY else f"{one.read:.1f} s",
            f"{one.requests:.2f}",
        ]
        for name, one in middle.items()
    ]
    return f"{table(columns, rows)}\n\n{footer(VERSIONS)}"


if __name__ == "__main__":
    main()
