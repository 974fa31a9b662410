"""Long-term statistics of the data usage in Home Assistant's recorder."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.core import Recorder
from homeassistant.components.recorder.statistics import (
    async_list_statistic_ids,
    statistics_during_period,
)
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import get_instance
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.iot_portal.api import IotPortalClient, Usage
from custom_components.iot_portal.const import DEFAULT_POLL_INTERVAL
from mock_portal import MockPortal

from .conftest import ICCID, SetUp
from .helpers import state_of

# Two hours before the mock portal starts a new cycle, just after a full hour of the recorder.
EVENING = datetime(2026, 3, 31, 22, 0, 20, tzinfo=UTC)
POLL = timedelta(minutes=DEFAULT_POLL_INTERVAL)
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
    hass: HomeAssistant,
    period: Literal["5minute", "hour"] = "hour",
    unit: str = "MB",
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
    # The counter has fallen to zero, which the next poll has to confirm.
    assert float(state_of(hass, ICCID, "data_usage")) == 10
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


HELD: dict[str, tuple[list[Any], float]] = {
    "correction": ([400, 399.9, 410], 410),
    "zero for a poll": ([400, 0, 415], 415),
    "zero for hours": ([400, *[0] * 12, 412, 415], 415),
    "empty for a poll": ([400, [], 415], 415),
    "low for an hour": ([400, 260, 260, 260, 411], 411),
    "older answers by turns": ([300, 412, 300, 415], 415),
    "missing": ([400, None, None, 410], 410),
    "missing in a fall": ([400, 0, None, 415], 415),
    "reset": ([400, 2, 4, 6], 406),
    "reset to zero": ([400, 0, 0, 5, 6], 406),
    "reset to zero that lasts": ([400, *[0] * 20, 6], 406),
    "reset to empty": ([400, [], [], 5, 6], 406),
    "reset and correction": ([400, 3, 3, 100, 99, 101], 501),
    "old count after the reset": ([400, 0, 0, 400, 400, 2, 6], 406),
}


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("case", HELD)
async def test_falls(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    case: str,
    is_restarted: bool,
) -> None:
    """Only what a SIM has used is added up, whatever its counter does meanwhile."""
    readings, total = HELD[case]

    async def read(_: object, __: str, **_known: object) -> Usage:
        megabytes = readings[min((dt_util.utcnow() - EVENING) // POLL, len(readings) - 1)]
        raw: dict[str, Any] = {"iccid": ICCID, "status": "ACTIVATED"}
        if isinstance(megabytes, int | float):
            raw |= {"ctdDataUsage": round(megabytes * 1_000_000), "ctdSMSUsage": 0}
        return Usage.from_answer([] if megabytes == [] else [raw])

    with patch.object(IotPortalClient, "get_usage", read):
        entry = await set_up(ICCID, options={"billing_day": 15})
        for step in range(3 * len(readings) + 12):
            freezer.tick(POLL / 3)
            async_fire_time_changed(hass)
            await hass.async_block_till_done(wait_background_tasks=True)
            await async_wait_recording_done(hass)
            if step % 4 == 0 and is_restarted:
                await hass.config_entries.async_reload(entry.entry_id)
                await hass.async_block_till_done(wait_background_tasks=True)

    sums = await get_sums(hass, "5minute")
    # Home Assistant counts from the first value that it sees.
    assert sums[-1] + readings[0] == pytest.approx(total)
    if "correction" not in case:
        assert sums == sorted(sums)
