"""A soak of two days; `scripts/soak` runs a month."""

import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def soak(*options: str) -> tuple[int, dict[str, Any], str]:
    """Run a soak in its own process; return its exit status, figures and error output."""
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "tests.soak", "--json", *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.stdout, run.stderr
    return run.returncode, json.loads(run.stdout), run.stderr


@pytest.mark.timeout(110)
def test_two_days() -> None:
    """Eight SIMs go through two days of faults, restarts and a revoked key, and every promise is kept."""
    status, report, said = soak("--days", "2", "--sims", "8")

    assert report["broken"] == [], said
    assert status == 0
    counts = report["counts"]
    assert report["restarts"] == 3
    assert report["power_cuts"] == 1
    assert counts["faults"] > 50
    assert counts["SIMs added"] == 12
    assert counts["SIMs removed"] == 4
    assert counts["SIMs compared in the end"] == 8
    assert counts["followed to one end"] > 20
    assert counts["diagnostics read"] == 10
    assert counts["event: sms_event sms_received"] > 20
    assert counts["writes on a full disk"] > 0
    assert counts["SIMs that hung"] == 2
    assert counts["event: bulk_edit finished"] > 0
