"""Long-term statistics of the data usage count nothing twice."""

from datetime import UTC, datetime, timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.core import Recorder
from homeassistant.components.recorder.statistics import statistics_during_period
from homeassistant.helpers.recorder import get_instance
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from .home import Home


@pytest.fixture
def now(freezer: FrozenDateTimeFactory) -> None:
    """Freeze time just after a full hour of the recorder."""
    freezer.move_to("2026-11-14 22:00:20+00:00")


@pytest.fixture
def enable_statistics() -> bool:
    """Compile statistics every five minutes, as outside of tests."""
    return True


@pytest.fixture
def home(now: None, recorder_mock: Recorder, home: Home) -> Home:
    """Return a Home Assistant with the recorder, which must be there first."""
    return home


@pytest.mark.parametrize(
    ("readings", "total"),
    [
        ((410, 0, 415, 420), 20),
        ((410, 409.9, 415, 420), 20.1),
        ((410, 300, 415, 420), 20),
        ((410, 2, 5), 15),
        ((410, None, 420), 20),
    ],
    ids=["zero", "correction", "older answer", "new cycle", "null"],
)
async def test_statistics(home: Home, readings: tuple[float | None, ...], total: float) -> None:
    """Long-term statistics do not count anything twice.

    Case: 410 MB, then 0, 409.9 MB, 300 MB or null, then 415 MB
    Source: home-assistant/core 182493, 162935; meinvodafone 6; TimSoethout/goodwe-sems-home-assistant PR 76
    """
    home.use(400)
    await home.start()
    for megabytes in (400, *readings, readings[-1]):
        home.use(megabytes)
        # A poll each.
        for _ in range(3):
            home.freezer.tick(timedelta(minutes=5))
            async_fire_time_changed(home.hass)
            await home.settle()
            await async_wait_recording_done(home.hass)

    entity_id = home.entity_id("data_usage")
    rows = await get_instance(home.hass).async_add_executor_job(
        statistics_during_period,
        home.hass,
        datetime(2026, 11, 14, 20, tzinfo=UTC),
        None,
        {entity_id},
        "5minute",
        {"information": "MB"},
        {"sum"},
    )

    assert rows[entity_id][-1]["sum"] == pytest.approx(total, abs=0.15)
