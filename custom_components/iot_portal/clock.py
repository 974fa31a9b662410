"""Time differences on a system clock that may be set back."""

from datetime import datetime, timedelta

from homeassistant.util import dt as dt_util


def elapsed_since(moment: datetime) -> timedelta:
    """Return the time since a moment; zero for one in the future, noted before the clock was set back."""
    return elapsed_between(moment, dt_util.utcnow())


def elapsed_between(start: datetime, end: datetime) -> timedelta:
    """Return the time between two moments; zero if the clock was set back in between."""
    return max(end - start, timedelta())


def is_within(moment: datetime, period: timedelta, now: datetime) -> bool:
    """Return whether a moment lies within the period before now.

    A moment in the future does not: it was noted before the clock was set back, so its age is unknown.
    """
    return timedelta() <= now - moment < period
