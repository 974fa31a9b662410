"""Options, errors, medians and output formats that all benchmarks share."""

from argparse import ArgumentParser, Namespace
import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
import json
import os
import signal
from statistics import median
import sys
from typing import TYPE_CHECKING, Any

from scripts.develop import DemoError
from scripts.hass_process import HomeAssistantError

from ._machine import machine

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class BenchmarkError(Exception):
    """The benchmark is not possible; the message says why."""


def parser(name: str, description: str | None) -> ArgumentParser:
    """Return an argument parser with the options that all benchmarks have."""
    options = ArgumentParser(prog=f"scripts/bench {name}", description=description)
    options.add_argument("--json", action="store_true", help="print all samples as JSON")
    return options


def fleet_sizes(text: str) -> list[int]:
    """Return the fleet sizes of a comma-separated list."""
    return sorted({int(size) for size in text.split(",")})


def run[ResultT](measure: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a benchmark; print an error as one line, and stop what was started in any case."""
    # Compile Python's modules once, as pip would have done it, not at each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        return asyncio.run(_ended_by_signal(measure))
    except (BenchmarkError, DemoError, HomeAssistantError) as err:
        sys.exit(f"bench: {err}")
    except asyncio.CancelledError, KeyboardInterrupt:
        sys.exit("bench: interrupted")


async def _ended_by_signal[ResultT](measure: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Handle SIGTERM like Ctrl-C."""
    task = asyncio.ensure_future(measure)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def medians[SampleT: DataclassInstance](samples: Sequence[SampleT]) -> SampleT:
    """Return the median of each field; all fields are numbers."""
    names = [field.name for field in fields(samples[0])]
    middle = {name: median(getattr(sample, name) for sample in samples) for name in names}
    return type(samples[0])(**middle)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first hold numbers."""
    rule = f"|---|{'---:|' * (len(columns) - 1)}"
    head, *lines = (f"| {' | '.join(cells)} |" for cells in (columns, *rows))
    return "\n".join([head, rule, *lines])


def footer(versions: Mapping[str, str] | None = None) -> str:
    """Return a line that describes the machine and the versions."""
    return ", ".join(f"{key} {value}" for key, value in {**machine(), **(versions or {})}.items())


def as_json(results: object, options: Namespace, versions: Mapping[str, str] | None = None) -> str:
    """Return all results as JSON."""
    return json.dumps(
        {
            "machine": {**machine(), **(versions or {})},
            "options": vars(options),
            "results": results,
        },
        indent=2,
        default=_plain,
    )


def _plain(value: object) -> Any:
    """Return a dataclass as a value that JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    msg = f"{value!r} cannot be written as JSON"
    raise TypeError(msg)
