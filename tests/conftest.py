"""Fixtures for all tests."""

import asyncio
from collections.abc import Callable
import gc
import logging
from pathlib import Path
import sys
import threading

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
    "tests.e2e.prometheus",
    "tests.e2e.servers",
    "tests.faults.harness",
    "tests.field_reports.home",
    "tests.integration.helpers",
    "tests.mock_portal.helpers",
    "tests.soak.home_assistant",
    "tests.soak.ledger",
)

# They log every statement, entity and component, which takes longer than most statements.
for name in (
    "sqlalchemy.engine",
    "homeassistant.helpers.entity_registry",
    "homeassistant.loader",
    "homeassistant.setup",
):
    logging.getLogger(name).setLevel(logging.WARNING)
# pytest shows the log of a failed test.
logging.getLogger().handlers.clear()

# A Home Assistant has so many objects that the default of 2,000 runs the collector thousands of times.
gc.set_threshold(100_000)

# The same examples in every run, so that no change is blamed for an older bug.
settings.register_profile("normal", derandomize=True, database=None)
# Many new ones in each run: `scripts/test --profile nightly`.
settings.register_profile("nightly", max_examples=5000, print_blob=True)
settings.load_profile("normal")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the tests that may take long, so that nothing waits for them in the end."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(autouse=True)
async def enable_event_loop_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise an error when another thread uses the event loop, as its debug mode does.

    Debug mode also notes the stack of each task and callback, which takes half of the time of a test.
    """
    loop = asyncio.get_running_loop()
    own_thread = threading.get_ident()

    def checked[**ArgsT, T](schedule: Callable[ArgsT, T]) -> Callable[ArgsT, T]:
        def check_and_schedule(*args: ArgsT.args, **kwargs: ArgsT.kwargs) -> T:
            if threading.get_ident() != own_thread:
                msg = "Another thread uses the event loop"
                raise RuntimeError(msg)
            return schedule(*args, **kwargs)

        return check_and_schedule

    for name in ("call_soon", "call_at"):
        monkeypatch.setattr(loop, name, checked(getattr(loop, name)))


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
