"""Time differences on a system clock that may be set back, and days that begin at local midnight."""

from asyncio import TimerHandle
from collections.abc import Callable
from datetime import datetime, timedelta

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
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
    timer: TimerHandle

    @callback
    def schedule() -> None:
        nonlocal timer
        now = dt_util.now()
        tomorrow = dt_util.start_of_local_day(now.date() + timedelta(days=1))
        # Home Assistant cancels timers that have such a job as their argument when it stops.
        timer = hass.loop.call_at(
            hass.loop.time() + (dt_util.as_utc(tomorrow) - now).total_seconds(),
            hass.async_run_hass_job,
            HassJob(day_began, cancel_on_shutdown=True),
        )

    @callback
    def day_began() -> None:
        # A moment too soon, or after the clock was set back, it waits for the same midnight again.
        schedule()
        action()

    @callback
    def stop() -> None:
        timer.cancel()

    schedule()
    return stop
