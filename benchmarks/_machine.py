"""What the benchmarks ask of the machine, and the way they talk to a person."""

from math import nan
import os
from pathlib import Path
import platform
import sys


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds a process has used, or NaN where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return nan
    user, system = stat.read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> float:
    """Return the bytes of memory a process holds, or NaN where there is no /proc."""
    for line in _read_lines(Path(f"/proc/{pid}/status")):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return nan


def machine() -> dict[str, str]:
    """Describe what is measured on."""
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
    """Tell the person at the terminal; standard output is for the results."""
    print(text, file=sys.stderr, flush=True)


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a file, or none when there is no such file."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
