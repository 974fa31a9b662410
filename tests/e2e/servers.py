"""Servers of other projects that a test runs for itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import signal
import subprocess
import time
from typing import Any

import pytest

from .common import WAIT

PASSWORD = "only-for-this-test"


def find_program(name: str, packages: str, *places: Path) -> Path:
    """Return the path of a program on the PATH or in further folders; skip the test if it is not installed."""
    search = os.pathsep.join([os.environ["PATH"], *map(str, places)])
    found = shutil.which(name, path=search)
    if found is None:
        pytest.skip(f"{name} is not installed; on Debian: apt-get install {packages}")
    return Path(found)


@contextmanager
def running_server(
    command: list[str | Path],
    *,
    folder: Path,
    is_ready: Callable[[], bool],
    stop_signal: signal.Signals = signal.SIGTERM,
    account: dict[str, Any] | None = None,
) -> Iterator[None]:
    """Run a program as long as the context lasts, from when it is ready; its output goes to a file in its folder."""
    log_file = folder / "log"
    with log_file.open("wb") as log:
        server = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            **(account or {}),
        )
    try:
        until = time.monotonic() + WAIT
        while not is_ready():
            assert server.poll() is None, log_file.read_text()
            assert time.monotonic() < until, log_file.read_text()
            time.sleep(0.1)
        yield
    finally:
        server.send_signal(stop_signal)
        server.wait(WAIT)
