"""Fixtures for all tests."""

from pathlib import Path
import sys

from hypothesis import settings
import pytest

# Home Assistant finds the integration in this checkout only when it is imported before the
# testing plug-in puts its own custom_components in place.
from custom_components.iot_portal import client_factory, sim_flow
from custom_components.iot_portal.api import client

from .common import UnlimitedPacer
from .versions import NEXT, OLDEST, next_python, version

# Failed asserts of helper modules show values, as those of test modules do.
pytest.register_assert_rewrite(
    "tests.browser.browser",
    "tests.contract.cases",
    "tests.e2e.common",
    "tests.e2e.postgresql",
    "tests.faults.harness",
    "tests.field_reports.home",
    "tests.integration.helpers",
    "tests.mock_portal.helpers",
    "tests.soak.home_assistant",
    "tests.soak.ledger",
)

# The same examples in every run, so that no change is blamed for an older bug.
settings.register_profile("normal", derandomize=True, database=None)
# Many new ones in each run: `scripts/test --profile nightly`.
settings.register_profile("nightly", max_examples=5000, print_blob=True)
settings.load_profile("normal")


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable pacing, retries and the shortest progress, so that no test waits for them."""
    monkeypatch.setattr(client, "READ_ATTEMPTS", 1)
    monkeypatch.setattr(client_factory, "Pacer", UnlimitedPacer)
    monkeypatch.setattr(sim_flow, "MIN_PROGRESS_SECONDS", 0)


@pytest.fixture(params=[OLDEST, NEXT])
def python(request: pytest.FixtureRequest) -> Path:
    """Return the Python of each version of Home Assistant."""
    program = next_python() if request.param == NEXT else Path(sys.executable)
    assert version(program) == request.param
    return program
