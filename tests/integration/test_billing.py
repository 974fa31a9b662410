"""Billing cycles and projected usage."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from custom_components.iot_portal.models import BillingCycle, SimSettings

ZONE = ZoneInfo("Europe/Amsterdam")


def moment(text: str) -> datetime:
    """Return a time in the local time zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("now", "billing_day", "start", "end"),
    [
        ("2026-03-16 12:00", 1, "2026-03-01", "2026-04-01"),
        ("2026-03-16 12:00", 16, "2026-03-16", "2026-04-16"),
        ("2026-03-16 12:00", 17, "2026-02-17", "2026-03-17"),
        ("2026-01-05 00:00", 10, "2025-12-10", "2026-01-10"),
        ("2026-12-31 23:59", 31, "2026-12-31", "2027-01-31"),
        ("2026-02-28 00:00", 31, "2026-02-28", "2026-03-31"),
        ("2026-02-27 23:59", 31, "2026-01-31", "2026-02-28"),
        ("2028-02-29 12:00", 31, "2028-02-29", "2028-03-31"),
        ("2028-02-29 12:00", 29, "2028-02-29", "2028-03-29"),
        # Summer time begins and ends at 02:00 and 03:00.
        ("2026-03-29 03:30", 29, "2026-03-29", "2026-04-29"),
        ("2026-10-25 02:30", 25, "2026-10-25", "2026-11-25"),
    ],
)
def test_cycle(now: str, billing_day: int, start: str, end: str) -> None:
    """A cycle goes from billing day to billing day; a short month bills on its last day."""
    cycle = SimSettings(billing_day=billing_day).cycle_around(moment(now))

    assert cycle == BillingCycle(start=moment(start), end=moment(end))


@pytest.mark.parametrize(
    ("now", "first", "days", "start", "end"),
    [
        ("2026-03-16 12:00", "2026-03-01", 28, "2026-03-01", "2026-03-29"),
        ("2026-03-29 00:00", "2026-03-01", 28, "2026-03-29", "2026-04-26"),
        ("2026-03-28 23:59", "2026-03-01", 28, "2026-03-01", "2026-03-29"),
        ("2026-10-25 02:30", "2026-09-25", 30, "2026-10-25", "2026-11-24"),
        ("2028-03-01 00:00", "2028-01-31", 30, "2028-03-01", "2028-03-31"),
        ("2026-02-28 12:00", "2026-03-01", 28, "2026-02-01", "2026-03-01"),
        ("2026-03-16 12:00", "2026-03-16", 1, "2026-03-16", "2026-03-17"),
        ("2026-12-31 23:59", "2026-01-01", 365, "2026-01-01", "2027-01-01"),
    ],
)
def test_cycle_of_days(now: str, first: str, days: int, start: str, end: str) -> None:
    """A cycle of days goes from midnight to midnight, before the given date too."""
    cycle = BillingCycle.of_days(moment(now), date.fromisoformat(first), days)

    assert cycle == BillingCycle(start=moment(start), end=moment(end))


def test_projected_usage() -> None:
    """In the middle of the cycle the projected usage is twice the usage; the first day counts as a whole one."""
    cycle = SimSettings().cycle_around(moment("2026-06-16 00:00"))

    assert cycle.projected_usage(100, moment("2026-06-16 00:00")) == 200
    assert cycle.projected_usage(10, moment("2026-06-01 00:01")) == 300
    assert cycle.projected_usage(0, moment("2026-06-16 00:00")) == 0
