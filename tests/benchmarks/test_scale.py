"""The growth of costs with the size of a fleet."""

from benchmarks._home_assistant import Holding
from benchmarks.scale import Result, Sample, _as_table


def test_growth() -> None:
    """Every figure is given a SIM, with its ratio to that of the fleet closest to a hundred."""
    results = {
        size: Result(
            samples=[Sample(requests=1, cpu=cpu, stall=size / 10)],
            holding=Holding(memory=size * 2**20, entities=size * 9),
        )
        for size, cpu in ((10, 1.0), (120, 0.5), (1000, 0.75))
    }
    lines = _as_table(results).splitlines()
    assert lines[3] == (
        "| 120 | 1.00 (x1.00) | 0.50 ms (x1.00) | 12 ms (x1.00) | 9.00 (x1.00)"
        " | 1024 kB (x1.00) | 120 MB |"
    )
    assert "| 1,000 | 1.00 (x1.00) | 0.75 ms (x1.50) | 100 ms (x8.33) |" in lines[4]
    assert "times that of the fleet of 120" in lines[-1]
