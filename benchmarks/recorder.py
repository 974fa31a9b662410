"""Measure the rows that the recorder writes for a SIM, compared with those of the rest integration.

The mock portal runs in a process of its own. A real recorder writes to SQLite. All SIMs are updated several times, and
the rows that this adds to the tables `states` and `state_attributes` are counted. A day has 96 polls, one every 15
minutes, which is the default; the `rest` sensors are counted as if they were read as often. An active SIM uses data in
an open session. Statistics do not depend on polls, so they are not counted.
"""

from argparse import Namespace
import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
import sqlite3
from tempfile import TemporaryDirectory

from scripts.develop import PortalProcess

from . import _fleet
from ._home_assistant import PAUSE, SETTLING_SECONDS, VERSIONS, ProbedHomeAssistant
from ._machine import say
from ._report import as_json, footer, medians, parser, run, table

ANSWER_SECONDS = 0.02
POLLS_A_DAY = 96

IDLE, ACTIVE = "idle fleet", "active fleet"
REST_IDLE, REST_ACTIVE = "`rest`, idle fleet", "`rest`, active fleet"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The rows of one poll: of each SIM and of its account in `states`, and in `state_attributes`."""

    states: float
    account_states: float
    attributes: float


type Results = Mapping[str, Sequence[Sample]]


def main() -> None:
    """Run the benchmark and print the results."""
    arguments = parser("recorder", __doc__)
    arguments.add_argument("--sims", type=int, default=50)
    arguments.add_argument("--rounds", type=int, default=4)
    options = arguments.parse_args()
    results = run(_measure(options))
    print(as_json(results, options, VERSIONS) if options.json else _as_table(results))


async def _measure(options: Namespace) -> Results:
    """Return the samples of all contestants, measured one after the other."""
    results = {}
    for name in (IDLE, ACTIVE, REST_IDLE, REST_ACTIVE):
        say(name)
        fleet = _fleet.iccids(options.sims)
        is_active = name in (ACTIVE, REST_ACTIVE)
        with TemporaryDirectory() as folder:
            async with _fleet.running_portal(
                Path(folder), fleet, seconds=ANSWER_SECONDS, is_active=is_active
            ) as portal:
                is_rest = name in (REST_IDLE, REST_ACTIVE)
                results[name] = await _polls(
                    Path(folder) / "config", portal, fleet, options.rounds, is_rest=is_rest
                )
    return results


async def _polls(
    config: Path, portal: PortalProcess, fleet: Sequence[str], rounds: int, *, is_rest: bool
) -> list[Sample]:
    """Count the rows of polls in a new Home Assistant."""
    hass = ProbedHomeAssistant(config)
    recorder = "recorder:\n  commit_interval: 1\n"
    ending, wanted = _fleet.STATUS_ENDING, len(fleet)
    if is_rest:
        ending, wanted = _fleet.REST_ENDING, len(fleet) * len(_fleet.REST_VALUES)
        rest = await _fleet.rest_configuration(portal, fleet)
        hass.prepare_probed(configuration=f"{recorder}{rest}")
    else:
        accounts = _fleet.entries(portal.base_url, fleet, _fleet.WIDE_OPEN)
        hass.prepare_probed(accounts=accounts, configuration=recorder)
    async with hass.started():
        sensors = await hass.until_read(ending, wanted)
        return [await _sample(hass, sensors, len(fleet)) for _ in range(rounds)]


async def _sample(hass: ProbedHomeAssistant, sensors: list[str], sims: int) -> Sample:
    """Update all sensors once, and count the rows of that."""
    await asyncio.sleep(PAUSE)
    before = await asyncio.to_thread(_rows, hass.config_dir)
    await hass.poll(sensors)
    await asyncio.sleep(SETTLING_SECONDS)
    after = await asyncio.to_thread(_rows, hass.config_dir)
    return Sample(
        states=(after.states - before.states) / sims,
        account_states=after.account_states - before.account_states,
        attributes=(after.attributes - before.attributes) / sims,
    )


def _rows(config: Path) -> Sample:
    """Return how many rows the database has."""
    with closing(sqlite3.connect(config / "home-assistant_v2.db")) as database:
        ((of_sims, of_accounts),) = database.execute(
            "SELECT COUNT(*) FILTER (WHERE states_meta.entity_id LIKE ?),"
            " COUNT(*) FILTER (WHERE states_meta.entity_id LIKE ?)"
            " FROM states JOIN states_meta USING (metadata_id)",
            (f"%{_fleet.iccids(1)[0][:-6]}%", "%.bench_0_%"),
        )
        ((attributes,),) = database.execute("SELECT COUNT(*) FROM state_attributes")
    return Sample(states=of_sims, account_states=of_accounts, attributes=attributes)


def _as_table(results: Results) -> str:
    """Return the medians, for a day, as a Markdown table."""
    columns = ["a day of", "states per SIM and poll", "states per SIM", "attributes per SIM"]
    columns += ["states of the account"]
    rows = [
        [
            name,
            f"{middle.states:.2f}",
            f"{middle.states * POLLS_A_DAY:.0f}",
            f"{middle.attributes * POLLS_A_DAY:.0f}",
            f"{middle.account_states * POLLS_A_DAY:.0f}",
        ]
        for name, samples in results.items()
        for middle in (medians(samples),)
    ]
    return f"{table(columns, rows)}\n\n{footer(VERSIONS)}"


if __name__ == "__main__":
    main()
