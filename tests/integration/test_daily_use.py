"""*Data used today*: what the counter of a SIM has grown by since local midnight."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.counters import LONG_GAP
from mock_portal import MockPortal

from .conftest import OTHER_ICCID, SetUp
from .helpers import advance_time, poll, state_of

MB = 1_000_000
# 10 o'clock in Berlin, far from the turn of a billing cycle.
MORNING = datetime(2026, 3, 16, 9, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 16, 23, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def clock(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Begin in the morning, in Berlin."""
    await hass.config.async_set_time_zone("Europe/Berlin")
    freezer.move_to(MORNING)


def used_today(hass: HomeAssistant) -> float:
    """Return the megabytes that the sensor shows."""
    return float(state_of(hass, OTHER_ICCID, "data_used_today"))


async def read(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, portal: MockPortal, *megabytes: float
) -> float:
    """Read a counter, poll after poll, and return the megabytes that the sensor shows then."""
    for count in megabytes:
        portal.sims[OTHER_ICCID].data_usage = round(count * MB)
        await poll(hass, freezer)
    return used_today(hass)


async def move_to(hass: HomeAssistant, freezer: FrozenDateTimeFactory, moment: datetime) -> None:
    """Move the time of Home Assistant to a moment, without the polls that may lie between."""
    await advance_time(hass, freezer, moment - datetime.now(UTC))


async def test_grows_with_the_counter(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """What a SIM had used before it was first read is not of today."""
    portal.sims[OTHER_ICCID].data_usage = 400 * MB
    await set_up(OTHER_ICCID)
    assert used_today(hass) == 0

    assert await read(hass, freezer, portal, 412) == 12
    assert await read(hass, freezer, portal, 412, 415.5) == 15.5
    state = hass.states.get(f"sensor.sim_{OTHER_ICCID}_data_used_today")
    assert state is not None
    assert state.attributes["unit_of_measurement"] == "MB"
    assert state.attributes["device_class"] == "data_size"
    assert state.attributes["state_class"] == "total_increasing"


async def test_midnight_without_a_poll(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """At local midnight the day starts at zero, without a request; the next poll counts from there."""
    await set_up(OTHER_ICCID)
    assert await read(hass, freezer, portal, 400, 420) == 418.5
    await move_to(hass, freezer, MIDNIGHT - timedelta(minutes=1))
    portal.journal.clear()

    await advance_time(hass, freezer, timedelta(seconds=59))
    assert used_today(hass) == 418.5
    await advance_time(hass, freezer, timedelta(seconds=1))
    assert used_today(hass) == 0
    assert not portal.journal

    assert await read(hass, freezer, portal, 421, 423) == 3
    await move_to(hass, freezer, MIDNIGHT + timedelta(days=1))
    assert used_today(hass) == 0


async def test_outlasts_a_restart(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A restart loses nothing of the day, also what is used meanwhile; over midnight it begins at zero."""
    entry = await set_up(OTHER_ICCID)
    assert await read(hass, freezer, portal, 400, 420) == 418.5

    await stop(hass, entry)
    portal.sims[OTHER_ICCID].data_usage = 425 * MB
    freezer.tick(timedelta(hours=3))
    await start(hass, entry)
    assert used_today(hass) == 423.5

    await move_to(hass, freezer, MIDNIGHT - timedelta(hours=1))
    await stop(hass, entry)
    portal.sims[OTHER_ICCID].data_usage = 430 * MB
    freezer.move_to(MIDNIGHT + timedelta(hours=1))
    await start(hass, entry)
    assert used_today(hass) == 5


async def test_outlasts_a_crash(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """After a crash the use of the day is read again from what was saved a while before."""
    entry = await set_up(OTHER_ICCID)
    assert await read(hass, freezer, portal, 400, 420, 420) == 418.5
    saved = deepcopy(hass_storage[f"{DOMAIN}.{entry.entry_id}.snapshots"])
    assert await read(hass, freezer, portal, 430) == 428.5

    await stop(hass, entry)
    hass_storage[f"{DOMAIN}.{entry.entry_id}.snapshots"] = saved
    await start(hass, entry)

    assert used_today(hass) == 428.5


async def test_new_cycle_at_midnight(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The first day of a billing cycle counts what the new counter has, once it is believed."""
    freezer.move_to("2026-03-31T18:00:00+00:00")
    await set_up(OTHER_ICCID)
    assert await read(hass, freezer, portal, 400, 420) == 418.5
    await move_to(hass, freezer, datetime(2026, 3, 31, 22, tzinfo=UTC))

    assert used_today(hass) == 0
    assert await read(hass, freezer, portal, 2) == 0
    assert await read(hass, freezer, portal, 3) == 3
    assert await read(hass, freezer, portal, 7) == 7


async def test_new_cycle_in_the_day(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A cycle that begins in the day adds to what the one before had used."""
    await set_up(OTHER_ICCID)

    assert await read(hass, freezer, portal, 401.5, 421.5) == 420
    assert await read(hass, freezer, portal, 4, 6) == 426
    assert await read(hass, freezer, portal, 9) == 429


async def test_counter_that_comes_back(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Zeros for a while, and a count that goes on after them, are counted once."""
    portal.sims[OTHER_ICCID].data_usage = 400 * MB
    await set_up(OTHER_ICCID)

    assert await read(hass, freezer, portal, 420) == 20
    assert await read(hass, freezer, portal, 0, 0, 0) == 20
    assert await read(hass, freezer, portal, 421, 422, 423) == 23


@pytest.mark.parametrize("corrected", [415, 395, 300])
async def test_correction_downwards(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    corrected: float,
) -> None:
    """A corrected count takes nothing back and adds nothing, as the sensor is a growing total."""
    portal.sims[OTHER_ICCID].data_usage = 400 * MB
    await set_up(OTHER_ICCID)
    counts = (420, *[corrected] * 12, corrected + 30)

    seen = [await read(hass, freezer, portal, count) for count in counts]

    assert seen == sorted(seen)
    assert seen[0] == 20
    assert seen[-2] == 20
    assert seen[-1] <= 50


async def test_unreadable(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An outage of the portal makes the sensor unavailable; what was used meanwhile counts for the day."""
    await set_up(OTHER_ICCID)
    assert await read(hass, freezer, portal, 400) == 398.5
    portal.faults.add("status", status=500)
    await poll(hass, freezer)
    assert state_of(hass, OTHER_ICCID, "data_used_today") == STATE_UNAVAILABLE

    portal.faults.clear()
    assert await read(hass, freezer, portal, 410) == 408.5


async def test_unknown_counter(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Without a counter nothing is known of the day, and the first one begins it."""
    answer = [{"iccid": OTHER_ICCID, "status": "ACTIVATED", "ctdSMSUsage": 0}]
    portal.faults.add("status", route="ctdUsage", status=200, body=answer)
    await set_up(OTHER_ICCID)
    assert state_of(hass, OTHER_ICCID, "data_used_today") == STATE_UNKNOWN

    portal.faults.clear()
    assert await read(hass, freezer, portal, 400) == 0
    assert await read(hass, freezer, portal, 401) == 1


@pytest.mark.parametrize(
    ("gap", "expected"),
    [(LONG_GAP - timedelta(minutes=1), 30), (LONG_GAP + timedelta(minutes=1), 0)],
    ids=["a night", "days"],
)
async def test_gap_over_midnight(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    gap: timedelta,
    expected: float,
) -> None:
    """Nobody knows how much of the use of a long gap is of today, so it counts for no day."""
    entry = await set_up(OTHER_ICCID)
    await read(hass, freezer, portal, 400)
    await move_to(hass, freezer, MIDNIGHT - timedelta(hours=4))
    await read(hass, freezer, portal, 401)
    await stop(hass, entry)

    portal.sims[OTHER_ICCID].data_usage = 431 * MB
    freezer.tick(gap)
    await start(hass, entry)

    assert used_today(hass) == expected
    assert await read(hass, freezer, portal, 432) == expected + 1


async def test_new_cycle_in_a_long_gap(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """What a new cycle had counted before it was first read is not of today."""
    entry = await set_up(OTHER_ICCID)
    await read(hass, freezer, portal, 400)
    await stop(hass, entry)
    portal.sims[OTHER_ICCID].data_usage = 90 * MB
    freezer.tick(timedelta(days=20))
    await start(hass, entry)

    assert state_of(hass, OTHER_ICCID, "data_used_today") == STATE_UNKNOWN
    assert await read(hass, freezer, portal, 91) == 0
    assert await read(hass, freezer, portal, 93) == 2


@pytest.mark.parametrize(
    ("zone", "midnights"),
    [
        ("Europe/Berlin", ("2026-03-28T23:00", "2026-03-29T22:00")),
        ("Europe/Berlin", ("2026-10-24T22:00", "2026-10-25T23:00")),
        # The clocks go from midnight to one o'clock on the 24th of April, and back from midnight in October.
        ("Africa/Cairo", ("2026-04-23T22:00", "2026-04-24T21:00")),
        ("Africa/Cairo", ("2026-10-28T21:00", "2026-10-29T22:00", "2026-10-30T22:00")),
    ],
)
async def test_summer_time(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    zone: str,
    midnights: tuple[str, ...],
) -> None:
    """A day of 23 or 25 hours ends at its own midnight, also where that is the hour that is lost."""
    await hass.config.async_set_time_zone(zone)
    days = [datetime.fromisoformat(f"{midnight}:00+00:00") for midnight in midnights]
    freezer.move_to(days[0] - timedelta(hours=3))
    await set_up(OTHER_ICCID)
    count = 400.0
    await read(hass, freezer, portal, count)

    for midnight in days:
        await move_to(hass, freezer, midnight - timedelta(seconds=1))
        assert used_today(hass) > 0
        await advance_time(hass, freezer, timedelta(seconds=1))
        assert used_today(hass) == 0
        count += 5
        assert await read(hass, freezer, portal, count) == 5


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=40)])
async def test_clock_set_back(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    back: timedelta,
) -> None:
    """A clock that is set back takes nothing from the day, and does not keep it from ending."""
    entry = await set_up(OTHER_ICCID)
    (sim,) = entry.runtime_data.sims.values()
    await read(hass, freezer, portal, 400)
    await move_to(hass, freezer, MIDNIGHT + timedelta(minutes=10))
    assert await read(hass, freezer, portal, 405) == 5

    # No timer notices that the clock is set back.
    freezer.move_to(datetime.now(UTC) - back)
    await sim.async_refresh()
    assert used_today(hass) == 5
    portal.sims[OTHER_ICCID].data_usage = 407 * MB
    await sim.async_refresh()
    assert used_today(hass) == 7
    freezer.tick(timedelta(days=1))
    portal.sims[OTHER_ICCID].data_usage = 409 * MB
    await sim.async_refresh()
    assert used_today(hass) == 0


async def stop(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Stop an account; its files are written."""
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Start an account from its files, and read its SIMs."""
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
