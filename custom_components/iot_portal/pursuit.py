"""Looking after a write: soon and often at first, then with the polls, until a day is over."""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from homeassistant.core import HassJob, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .api import IotPortalOutcomeUnknownError
from .const import DOMAIN
from .context import SimContext

# A write takes effect within seconds or many minutes; nobody documents which. After these, the polls look.
QUICK_LOOKS: Final = tuple(timedelta(seconds=s) for s in (5, 15, 30, 60, 120, 300, 600))
PATIENCE: Final = timedelta(hours=24)

type Look = Callable[[], Coroutine[Any, Any, None]]


class Pursuit:
    """Looks after a write at ever longer intervals, and gives up when patience ends."""

    def __init__(
        self,
        sim: SimContext,
        since: datetime,
        *,
        look: Look,
        give_up: Callable[[], None],
        looks: tuple[timedelta, ...] = QUICK_LOOKS,
    ) -> None:
        """Plan the first look; those that should have been before now are left out."""
        self._sim = sim
        # By a clock that never jumps; a moment to come is from before the other one was set back.
        elapsed = max(dt_util.utcnow() - since, timedelta())
        self._began = sim.hass.loop.time() - elapsed.total_seconds()
        self._looks = (*looks, PATIENCE)
        self._look = look
        self._give_up = give_up
        self._has_stopped = False
        self._plan()

    @callback
    def stop(self) -> None:
        """Look no more."""
        self._has_stopped = True
        self._cancel()

    def _plan(self) -> None:
        """Set the alarm for the next look."""
        elapsed = timedelta(seconds=self._sim.hass.loop.time() - self._began)
        moment = next((moment for moment in self._looks if moment > elapsed), elapsed)
        job = HassJob(partial(self._wake, moment >= PATIENCE), cancel_on_shutdown=True)
        self._cancel = async_call_later(self._sim.hass, moment - elapsed, job)

    @callback
    def _wake(self, is_last: bool, _now: datetime) -> None:  # noqa: FBT001
        """Look, without keeping anybody waiting."""
        self._sim.entry.async_create_background_task(
            self._sim.hass, self._look_and_plan(is_last=is_last), f"{DOMAIN} look after a write"
        )

    async def _look_and_plan(self, *, is_last: bool) -> None:
        """Look, and again later unless that was the end of it."""
        await self._look()
        if self._has_stopped:
            return
        if is_last:
            self._give_up()
        else:
            self._plan()


def is_outcome_unknown(err: HomeAssistantError) -> bool:
    """Tell whether a write may have been carried out although it failed."""
    return isinstance(err.__cause__, IotPortalOutcomeUnknownError)


def seconds_since(moment: datetime) -> int:
    """Return how many seconds ago that was; none where the clock was set back since."""
    return max(round((dt_util.utcnow() - moment).total_seconds()), 0)
