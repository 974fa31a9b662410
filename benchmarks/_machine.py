"""Measurements of processes, a description of the machine, and output for the terminal."""

from math import nan
import os
from pathlib import Path
import platform
import sys


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used, or NaN without /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return nan
    user, system = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> float:
    """Return the bytes of memory that a process holds, or NaN without /proc."""
    for line in _read_lines(Path(f"/proc/{pid}/status")):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return nan


def machine() -> dict[str, str]:
    """Return a description of the machine."""
    models = [
        line.partition(":")[2].strip()
        for line in _read_lines(Path("/proc/cpuinfo"))
        if line.startswith("model name")
    ]
    return {
        "cores": str(os.cpu_count()),
        "processor": models[0] if models else platform.processor(),
        platform.system(): platform.release(),
        "Python": platform.python_version(),
    }


def say(text: str) -> None:
    """Print to standard error; standard output is for the results."""
    print(text, file=sys.stderr, flush=True)


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a file, or an empty list if there is no such file."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
