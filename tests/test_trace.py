"""What `scripts/trace` counts and prints."""

import asyncio
from pathlib import Path
import re
import runpy
import subprocess
import sys

import pytest

from scripts.call_tree import CallTree, Figures
from scripts.hass_process import REPOSITORY

SAMPLE = """
import asyncio
from homeassistant.util.async_ import create_eager_task

class Thing:
    @property
    def value(self):
        return sum(int(each) for each in "12")

async def outer():
    before()
    before()
    child = create_eager_task(task())
    await inner()
    await child

def before():
    [(lambda: each)() for each in range(3)]

async def inner():
    await asyncio.sleep(0)
    return Thing().value

async def task():
    await asyncio.sleep(0)
    before()
"""
TREE = """\
sample.outer: 1
  sample.before: 2
  sample.inner: 1
    sample.Thing.value: 1
sample.task: 1
  sample.before: 1
sample.inner: 1
  sample.Thing.value: 1"""


async def test_tree(tmp_path: Path) -> None:
    """A call belongs to those who wait for it, also after a wait of their own, and a task to nobody."""
    (tmp_path / "sample.py").write_text(SAMPLE)
    sample = runpy.run_path(str(tmp_path / "sample.py"))
    tree = CallTree(tmp_path)
    await sample["outer"]()
    with tree.recording():
        await asyncio.gather(sample["outer"](), sample["inner"]())
    sample["before"]()
    assert str(tree) == TREE
    assert tree.figures == Figures(functions=5, modules=1, calls=9, depth=3)


@pytest.mark.parametrize("path", ["poll", "change", "send_sms"])
def test_paths(path: str) -> None:
    """Every path comes to its end, and its figures are of a size that a poll or a write can have."""
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "scripts.trace", "--summary", path],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    figures = re.fullmatch(
        rf"{path}: (\d+) functions, (\d+) modules, (\d+) calls, depth (\d+)\n", run.stdout
    )
    assert figures, run.stderr
    functions, modules, calls, depth = map(int, figures.groups())
    assert 20 <= functions <= calls <= 5000
    assert 3 <= modules <= 40
    assert 4 <= depth <= 30
