"""Time differences on a system clock that may be set back, and days that begin at local midnight."""

from collections.abc import Callable
from datetime import datetime, timedelta

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_track_point_in_utc_time
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


@callback
def async_track_midnight(hass: HomeAssistant, action: Callable[[], None]) -> CALLBACK_TYPE:
    """Call a function when each local day begins; return how to stop that.

    Home Assistant's `async_track_time_change` skips a day whose midnight is lost to summer time.
    """
    cancel: CALLBACK_TYPE

    @callback
    def schedule() -> None:
        nonlocal cancel
        tomorrow = dt_util.now().date() + timedelta(days=1)
        job = HassJob(day_began, cancel_on_shutdown=True)
        cancel = async_track_point_in_utc_time(hass, job, dt_util.start_of_local_day(tomorrow))

    @callback
    def day_began(_: datetime) -> None:
        schedule()
        action()

    @callback
    def stop() -> None:
        cancel()

    schedule()
    return stop
