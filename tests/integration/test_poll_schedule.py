"""The times of polls, depending on interval, request rate and size of the fleet."""

from itertools import pairwise

import pytest

from custom_components.iot_portal.api.pacing import Pacer
from custom_components.iot_portal.poll_schedule import MAX_INTERVAL, PollSchedule

MINUTE = 60


def schedule_of(sims: int, *, wanted: float = 15 * MINUTE, rate: float = 4) -> PollSchedule:
    """Return the schedule of a fleet."""
    schedule = PollSchedule(wanted=wanted, pacer=Pacer(rate=rate))
    for number in range(sims):
        schedule.add(str(number))
    return schedule


@pytest.mark.parametrize(
    ("sims", "requests", "wanted", "rate", "interval"),
    [
        (0, 1, 15, 4, 15),
        (1, 1, 5, 4, 5),
        (1000, 1, 15, 4, 15),
        (1000, 1, 5, 4, 6),
        (1000, 2, 5, 4, 11),
        (3000, 1, 15, 4, 17),
        (1000, 1, 5, 1, 22),
        (233, 1, 5, 1, 5),  # the last that fits
        (234, 1, 5, 1, 6),
        (100, 1, 1440, 0.2, 1440),
        (10, 1, 0.5, 4, 0.5),
    ],
)
def test_interval(sims: int, requests: int, wanted: float, rate: float, interval: float) -> None:
    """An interval that is too short for the fleet is stretched to the minutes that the fleet needs."""
    schedule = schedule_of(sims, wanted=wanted * MINUTE, rate=rate)
    for number in range(sims):
        schedule.record_requests(str(number), requests)

    assert schedule.interval == interval * MINUTE
    assert schedule.is_stretched == (interval > wanted)
    assert sims * requests / schedule.interval <= rate


def test_a_fleet_that_shrinks() -> None:
    """The configured interval returns once it is long enough again."""
    schedule = schedule_of(1000, wanted=5 * MINUTE)
    assert schedule.interval == 6 * MINUTE

    for number in range(500):
        schedule.remove(str(number))

    assert schedule.interval == 5 * MINUTE
    assert not schedule.is_stretched


@pytest.mark.parametrize("sims", [1, 2, 3, 10, 50, 1000])
def test_polls_are_spread(sims: int) -> None:
    """The polls are spread evenly, whatever the order and speed of the first reads."""
    schedule = schedule_of(sims)
    now = 123_456.0

    times = sorted(now + schedule.seconds_until_poll(str(number), now) for number in range(sims))

    assert all(now + 7.5 * MINUTE <= time < now + 22.5 * MINUTE for time in times)
    around = [*times, times[0] + schedule.interval]
    widest = max(later - earlier for earlier, later in pairwise(around))
    assert widest <= 3 * schedule.interval / sims


def test_polls_keep_their_times() -> None:
    """A SIM that was read in between, or a little late, keeps its poll times."""
    schedule = schedule_of(7)
    first = 1000 + schedule.seconds_until_poll("3", 1000)

    assert first + 2 + schedule.seconds_until_poll("3", first + 2) == pytest.approx(
        first + schedule.interval
    )
    in_between = first + 5 * MINUTE
    assert in_between + schedule.seconds_until_poll("3", in_between) == pytest.approx(
        first + schedule.interval
    )


@pytest.mark.parametrize(
    ("wanted", "failures", "wait"),
    [
        (15, 4, 30),
        (15, 5, 60),
        (15, 9, 60),
        (15, 10_000, 60),
        (15.5, 10_000, 60),
        (5, 4, 10),
        (5, 6, 40),
        (5, 7, 60),
        (90, 4, 90),
    ],
)
def test_failures(wanted: float, failures: int, wait: int) -> None:
    """A SIM that keeps failing is polled less often, down to once an hour."""
    assert (
        schedule_of(1, wanted=wanted * MINUTE).seconds_until_poll("0", 0, failures=failures)
        == wait * MINUTE
    )
    assert wait * MINUTE <= max(MAX_INTERVAL, wanted * MINUTE)


def test_few_failures() -> None:
    """After a few failures a SIM is still polled like the others."""
    schedule = schedule_of(3)
    assert schedule.seconds_until_poll("2", 500, failures=3) == schedule.seconds_until_poll(
        "2", 500
    )
