"""The output of benchmarks."""

from argparse import Namespace
from dataclasses import dataclass
import json

from benchmarks._report import as_json, fleet_sizes, medians, table


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The results of a round."""

    cpu: float
    stall: float


def test_medians() -> None:
    """The median is taken for each field alone."""
    samples = [Sample(cpu=1, stall=30), Sample(cpu=3, stall=10), Sample(cpu=2, stall=20)]
    assert medians(samples) == Sample(cpu=2, stall=20)


def test_table() -> None:
    """A table is in Markdown, with numbers aligned to the right."""
    assert table(["a poll of", "CPU"], [["idle fleet", "1 ms"], ["`rest`", "3 ms"]]) == (
        "| a poll of | CPU |\n|---|---:|\n| idle fleet | 1 ms |\n| `rest` | 3 ms |"
    )


def test_json() -> None:
    """The JSON has all samples, with the options and the measured versions."""
    results = {"idle fleet": [Sample(cpu=1, stall=2)]}
    told = json.loads(as_json(results, Namespace(sims=1), {"Home Assistant": "2026.10.4"}))
    assert told["results"] == {"idle fleet": [{"cpu": 1, "stall": 2}]}
    assert told["options"] == {"sims": 1}
    assert told["machine"]["Home Assistant"] == "2026.10.4"


def test_sizes() -> None:
    """Each size is measured once, whatever their order."""
    assert fleet_sizes("1000,10,100,10") == [10, 100, 1000]
