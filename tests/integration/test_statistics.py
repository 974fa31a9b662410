"""Long-term statistics of the data usage in Home Assistant's recorder."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.core import Recorder
from homeassistant.components.recorder.statistics import (
    async_list_statistic_ids,
    statistics_during_period,
)
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import get_instance
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from mock_portal import MockPortal

from .conftest import ICCID, SetUp
from .helpers import state_of

# Two hours before the mock portal starts a new cycle, just after a full hour of the recorder.
EVENING = datetime(2026, 3, 31, 22, 0, 20, tzinfo=UTC)
SENSOR = f"sensor.sim_{ICCID}_data_usage"


@pytest.fixture
def evening(freezer: FrozenDateTimeFactory) -> None:
    """Freeze the clocks of Home Assistant and the portal on the last evening of a cycle."""
    freezer.move_to(EVENING)


@pytest.fixture
def enable_statistics() -> bool:
    """Compile statistics every five minutes, as outside of tests."""
    return True


@pytest.fixture(autouse=True)
def integration(evening: None, recorder_mock: Recorder, integration: None) -> None:
    """Set up the recorder before Home Assistant, as required."""


async def spend_hour(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, portal: MockPortal, data_usage: int
) -> None:
    """Set the usage of the SIM, and advance time by an hour of polls."""
    portal.sims[ICCID].data_usage = data_usage
    for _ in range(12):
        freezer.tick(timedelta(minutes=5))
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        await async_wait_recording_done(hass)


async def get_sums(
    hass: HomeAssistant, period: Literal["5minute", "hour"] = "hour", unit: str = "MB"
) -> list[float]:
    """Return the sum at the end of each statistics period."""
    statistics = await get_instance(hass).async_add_executor_job(
        statistics_during_period,
        hass,
        EVENING - timedelta(hours=1),
        None,
        {SENSOR},
        period,
        {"information": unit},
        {"sum"},
    )
    return [row["sum"] or 0 for row in statistics[SENSOR]]


async def test_new_cycle(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Usage adds up over cycles, although the portal counts from zero in each."""
    await set_up(ICCID)
    await spend_hour(hass, freezer, portal, 4_000_000)
    await spend_hour(hass, freezer, portal, 10_000_000)
    assert float(state_of(hass, ICCID, "data_usage")) == 0
    await spend_hour(hass, freezer, portal, 2_500_000)
    await spend_hour(hass, freezer, portal, 5_000_000)
    assert float(state_of(hass, ICCID, "data_usage")) == 5

    assert await get_sums(hass) == [4, 10, 12.5, 15]
    assert await get_sums(hass, unit="B") == [4_000_000, 10_000_000, 12_500_000, 15_000_000]
    in_detail = await get_sums(hass, "5minute")
    assert in_detail == sorted(in_detail)
    assert in_detail[0] == 0
    (kind,) = await async_list_statistic_ids(hass, {SENSOR})
    assert kind["has_sum"]
    assert kind["unit_class"] == "information"
    assert kind["statistics_unit_of_measurement"] == "MB"


@pytest.mark.parametrize(
    ("cycle_day", "data_usage", "total"),
    [(15, 9_000_000, 9), (1, 3_000_000, 7)],
    ids=["within a cycle", "over the end of a cycle"],
)
async def test_outage(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    cycle_day: int,
    data_usage: int,
    total: float,
) -> None:
    """An outage hides at most the usage between the last read of a cycle and its end."""
    portal.sims[ICCID].cycle_day = cycle_day
    await set_up(ICCID)
    await spend_hour(hass, freezer, portal, 4_000_000)
    portal.faults.add("status", status=500)
    await spend_hour(hass, freezer, portal, 6_000_000)
    assert state_of(hass, ICCID, "data_usage") == STATE_UNAVAILABLE
    portal.faults.clear()
    await spend_hour(hass, freezer, portal, data_usage)

    assert await get_sums(hass) == [4, 4, total]
