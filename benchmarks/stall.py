"""Measure how long Home Assistant is held up by what concerns a whole fleet at once.

The mock portal runs in a process of its own and answers after 20 ms; our pacer is opened wide. "Longest
work" is the CPU that the event loop used in one turn at most, without Python's garbage collector: it does not
depend on what else the machine does. The collector looks at all objects of Home Assistant, so its longest run
is shown apart. "Longest stall" is the longest delay of a task that sleeps for 5 ms, all included.
"""

from argparse import Namespace
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.develop import PortalProcess

from . import _fleet
from ._home_assistant import PAUSE, VERSIONS, Poll, ProbedHomeAssistant
from ._machine import say
from ._report import as_json, footer, medians, parser, run, table

ANSWER_SECONDS = 0.02

UPDATE = "an update of all SIMs"
UNREACHABLE, BACK = "the same while the portal is away", "the same when it is back"
SETTINGS, OPTION = "`set_sim_settings` for all SIMs", "an option that concerns all SIMs"
INTERVAL, RELOAD = "another poll interval", "a reload"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One measurement: milliseconds of the longest work, stall and garbage collection, and of CPU a SIM."""

    busy: float
    stall: float
    collector: float
    cpu: float


type Results = dict[str, list[Sample]]


def main() -> None:
    """Run the benchmark and print the results."""
    arguments = parser("stall", __doc__)
    arguments.add_argument("--sims", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    results = run(_measure(options))
    print(as_json(results, options, VERSIONS) if options.json else _as_table(results))


async def _measure(options: Namespace) -> Results:
    """Return the samples of all rounds, all in one Home Assistant."""
    fleet = _fleet.iccids(options.sims)
    results: Results = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with _fleet.running_portal(folder, fleet, seconds=ANSWER_SECONDS) as portal:
            hass = ProbedHomeAssistant(folder / "config")
            accounts = _fleet.entries(portal.base_url, fleet, _fleet.WIDE_OPEN)
            hass.prepare_probed(accounts=accounts)
            async with hass.started():
                sensors = await hass.until_read(_fleet.STATUS_ENDING, len(fleet))
                for number in range(1, options.rounds + 1):
                    say(f"Round {number} of {options.rounds}")
                    entry_ids = [account["entry_id"] for account in accounts]
                    round_ = _Round(hass, portal, sensors, entry_ids, number)
                    await round_.run()
                    for what, poll in round_.polls.items():
                        results.setdefault(what, []).append(_sample(poll, len(fleet)))
    return results


class _Round:
    """Measures everything once."""

    def __init__(
        self,
        hass: ProbedHomeAssistant,
        portal: PortalProcess,
        sensors: Sequence[str],
        entry_ids: Sequence[str],
        number: int,
    ) -> None:
        """Start with nothing measured; the number makes the values of a round different."""
        self._hass = hass
        self._portal = portal
        self._sensors = list(sensors)
        self._entry_ids = entry_ids
        self._number = number
        self.polls: dict[str, Poll] = {}

    async def run(self) -> None:
        """Measure one thing after the other."""
        await self._update(UPDATE)
        await self._portal.replace_faults({"kind": "status", "status": 500})
        await self._update(UNREACHABLE)
        await self._portal.replace_faults({"kind": "delay", "seconds": ANSWER_SECONDS})
        await self._update(BACK)
        async with self._measured(SETTINGS):
            await self._hass.action(
                "iot_portal",
                "set_sim_settings",
                {"entity_id": self._sensors, "allowance": 100 + self._number},
            )
        async with self._measured(OPTION):
            await self._hass.change_options({"billing_day": 1 + self._number})
        async with self._measured(INTERVAL):
            await self._hass.change_options({"poll_interval": 1000 + self._number})
        async with self._measured(RELOAD):
            for entry_id in self._entry_ids:
                await self._hass.action(
                    "homeassistant", "reload_config_entry", {"entry_id": entry_id}
                )
            await self._hass.until_read(_fleet.STATUS_ENDING, len(self._sensors))

    async def _update(self, what: str) -> None:
        """Measure an update of all SIMs."""
        await asyncio.sleep(PAUSE)
        self.polls[what] = await self._hass.poll(self._sensors)

    @asynccontextmanager
    async def _measured(self, what: str) -> AsyncIterator[None]:
        """Measure what happens within the context."""
        async with self._hass.measured() as polls:
            yield
        self.polls[what] = polls[0]


def _sample(poll: Poll, sims: int) -> Sample:
    """Return what the table shows of a measurement."""
    return Sample(
        busy=poll.busy * 1000,
        stall=poll.stall * 1000,
        collector=poll.collector * 1000,
        cpu=poll.cpu / sims * 1000,
    )


def _as_table(results: Results) -> str:
    """Return the medians as a Markdown table."""
    columns = [
        *("what happens", "longest work", "longest stall", "longest garbage collection"),
        "CPU per SIM",
    ]
    rows = [
        [
            what,
            f"{middle.busy:.0f} ms",
            f"{middle.stall:.0f} ms",
            f"{middle.collector:.0f} ms",
            f"{middle.cpu:.2f} ms",
        ]
        for what, samples in results.items()
        for middle in (medians(samples),)
    ]
    return f"{table(columns, rows)}\n\n{footer(VERSIONS)}"


if __name__ == "__main__":
    main()
