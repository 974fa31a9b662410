"""The supported versions of Home Assistant, each with a Python that runs it."""

import fcntl
from pathlib import Path
import subprocess
import tomllib

import pytest

from scripts.hass_process import REPOSITORY

GROUPS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
OLDEST, NEXT = (
    GROUPS[group][0].removeprefix("homeassistant==")
    for group in ("homeassistant", "homeassistant-next")
)


def next_python() -> Path:
    """Return the Python of the next version of Home Assistant, and install it if necessary."""
    tools = REPOSITORY / ".tools"
    # Tests may run in parallel, and both would install it.
    with (tools / "homeassistant-next.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = subprocess.run(  # noqa: S603
            [REPOSITORY / "scripts" / "setup-next"], capture_output=True, text=True, check=False
        )
    if result.returncode:
        pytest.skip(f"Home Assistant {NEXT} cannot be installed here:\n{result.stderr[-2000:]}")
    return Path(result.stdout.strip())


def version(python: Path) -> str:
    """Return the version of Home Assistant that a Python runs."""
    return subprocess.run(  # noqa: S603
        [python, "-m", "homeassistant", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
