"""Time differences on a clock that may be set back."""

from datetime import UTC, datetime, timedelta

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.iot_portal.clock import elapsed_between, elapsed_since, is_within

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def test_elapsed(freezer: FrozenDateTimeFactory) -> None:
    """No time is negative, as one of a clock that was set back would be."""
    freezer.move_to(NOW)
    assert elapsed_between(NOW - HOUR, NOW) == elapsed_since(NOW - HOUR) == HOUR
    assert elapsed_between(NOW + HOUR, NOW) == elapsed_since(NOW + HOUR) == timedelta()


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (-SECOND, False),
        (timedelta(), True),
        (HOUR - SECOND, True),
        (HOUR, False),
        (2 * HOUR, False),
    ],
)
def test_within(age: timedelta, expected: bool) -> None:
    """A moment lies within the last hour from now until an hour has passed, one in the future never."""
    assert is_within(NOW - age, HOUR, NOW) == expected
