"""Which faults `scripts/mutate` plants, and what it says of those that tests notice and of those that none notices."""

from itertools import pairwise
from pathlib import Path
import re
import subprocess
import sys

import pytest

from scripts.hass_process import REPOSITORY
from scripts.mutants import find_mutants

TOY = '''\
"""A toy."""

import logging



def less(number: int) -> int:
    """Return a lower number, while the module is imported."""
    return number - 2


LIMIT: int = less(5)
LOGGER = logging.getLogger(__name__)


class Door:
    """A door."""

    @property
    def is_open(self) -> bool:
        """Return whether it is open."""
        return True


def is_high(level: int, *, is_night: bool = False) -> bool:
    """Return whether a level is high."""
    LOGGER.debug("Level %s", level)
    if is_night and level:
        return True
    while level > 100:
        level -= 100
    return level > LIMIT


def never_called() -> int:
    """Return a number."""
    return 1
'''
TESTS = """\
from toy.door import Door, is_high

def test_high():
    assert is_high(5)
    assert not is_high(1)
    assert is_high(104)

def test_door():
    assert Door().is_open

def test_night():
    assert is_high(1, is_night=True)

def test_that_fails():
    assert not is_high(5)
"""
SURVIVORS = {
    ("-     return number - 2", "+     return number - 3"),
    ("-     if is_night and level:", "+     if is_night:"),
    ("-     while level > 100:", "+     while level >= 100:"),
    ("-     while level > 100:", "+     while level > 101:"),
    ("-     return level > LIMIT", "+     return level >= LIMIT"),
    ("-     return 1", "+     return 2"),
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = b < c", ["b <= c"]),
        ("a = b is not c", ["b is c"]),
        ("a = 0 <= b < 1.5", ["0 < b < 1.5"]),
        ("a = b if c == d else e", ["b if True else e", "b if False else e"]),
        ("a = b and (c or d)", ["b", "(c or d)", "b and (c)", "b and (d)"]),
        ("a = not b", ["b"]),
        ("a = max(b, c + 1)", ["b", "c + 1", "max(b, c - 1)", "max(b, c + 2)"]),
    ],
)
def test_expressions(before: str, after: list[str]) -> None:
    """A part of an expression is left out, or does something else."""
    mutated = {each.mutated.decode() for each in find_mutants("toy.py", before.encode())}
    assert mutated >= {f"a = {each}" for each in after}


def test_statements() -> None:
    """Statements, blocks, arguments by keyword and caught exceptions are left out, but nothing that does not count."""
    source = (
        b"def a(b: int = 1) -> str | None:\n"
        b"    with suppress(ValueError), b:\n"
        b"        c = d(e=f, g='h')\n"
        b"        i.j = c\n"
        b"    try:\n"
        b"        return c\n"
        b"    except KeyError, TypeError:\n"
        b"        raise\n"
        b"type k = l | m\n"
    )
    changes = {str(each) for each in find_mutants("toy.py", source)}
    assert changes == {
        "- def a(b: int = 1) -> str | None:\n+ def a(b: int = 2) -> str | None:",
        "-     with suppress(ValueError), b:\n+     with suppress(), b:",
        "-         c = d(e=f, g='h')\n+         c = d(g='h')",
        "-         c = d(e=f, g='h')\n+         c = d(e=f)",
        "-         i.j = c\n+         pass",
        "-         return c\n+         return None",
        "-     except KeyError, TypeError:\n+     except (KeyError,):",
        "-     except KeyError, TypeError:\n+     except (TypeError,):",
        "-         raise\n+         pass",
    }


def test_run(tmp_path: Path) -> None:
    """Only what no test notices is printed, as a change, with a table; an endless loop has been noticed."""
    for name, text in {
        "toy/__init__.py": "",
        "toy/door.py": TOY,
        "tests/test_door.py": TESTS,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "scripts.mutate", "door.py", "--package=toy", "--tests=tests"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{REPOSITORY}:{tmp_path}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    lines = run.stdout.splitlines()
    assert "tests/test_door.py::test_that_fails fails without a mutant" in lines
    changes = {pair for pair in pairwise(lines) if pair[0].startswith("- ")}
    assert changes == SURVIVORS
    row = re.search(r"toy/door\.py +(\d+) +(\d+) +(\d+) +\d+\.\d%", run.stdout)
    assert row is not None
    total, killed, survived = map(int, row.groups())
    assert (total - killed, survived) == (len(SURVIVORS), len(SURVIVORS))
