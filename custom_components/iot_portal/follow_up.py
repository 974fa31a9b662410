"""Following a write until the portal reports its outcome, or a day is over."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import Context, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util.signal_type import SignalType

from .api import IotPortalCancelledError, IotPortalClient, IotPortalOutcomeUnknownError
from .clock import elapsed_since
from .const import CONF_ICCID, DOMAIN
from .errors import translated_errors
from .event_feed import EventFeed
from .models import History, SimData, SimEvent
from .storage import PendingWritesStore

# A write takes effect within seconds or many minutes; nobody documents which. After these, the polls check it.
QUICK_CHECKS: Final = tuple(timedelta(seconds=s) for s in (5, 15, 30, 60, 120, 300, 600))
PATIENCE: Final = timedelta(hours=24)

type Check = Callable[[], Coroutine[Any, Any, None]]


class TrackedSim(ABC):
    """A SIM as its account and its writes see it; implemented by IotPortalSimCoordinator."""

    hass: HomeAssistant
    config_entry: ConfigEntry
    subentry: ConfigSubentry
    # What is known of the SIM; its pending writes among it are changed in place, and saved by their store.
    data: SimData
    events: EventFeed[TrackedSim]

    @property
    @abstractmethod
    def client(self) -> IotPortalClient:
        """Return the client of the account."""

    @property
    @abstractmethod
    def pending_writes(self) -> PendingWritesStore:
        """Return the store of the pending writes of the account."""

    @property
    def iccid(self) -> str:
        """Return the ICCID, by which the portal identifies the SIM."""
        iccid: str = self.subentry.data[CONF_ICCID]
        return iccid

    @property
    def title(self) -> str:
        """Return the name that the user has given the SIM."""
        return self.subentry.title

    def translated_errors(
        self, *, otherwise: str = "portal_error", **placeholders: str
    ) -> AbstractContextManager[None]:
        """Raise the errors of a request about this SIM as translated errors of Home Assistant."""
        return translated_errors(
            self.hass, self.config_entry, self.title, otherwise=otherwise, **placeholders
        )

    @abstractmethod
    def async_recall(self) -> None:
        """Recall what an earlier run read of the SIM, unless that was done before."""

    @abstractmethod
    async def async_record_told(self) -> None:
        """Record that an automation is told of what was read; it is on the disk when this returns."""

    @abstractmethod
    def async_set_status(self, status: str) -> None:
        """Use a status that was read by itself."""

    @abstractmethod
    def async_record_gone(self) -> None:
        """Publish that the portal no longer knows the SIM, unless that was published before."""

    @abstractmethod
    async def async_read_soon(self) -> None:
        """Read the SIM to see the effect of a write."""

    @abstractmethod
    def async_writes_changed(self, context: Context | None = None) -> None:
        """Save the pending writes, and update the entities that show them, in the context of the call behind it."""


# An event of any SIM.
SIM_EVENT: Final = SignalType[TrackedSim, SimEvent](f"{DOMAIN}_sim_event")
# What was read of any SIM, after what was known before.
SIM_READ: Final = SignalType[TrackedSim, History, SimData](f"{DOMAIN}_sim_read")


class FollowUp:
    """Checks a write at growing intervals, and gives up when the patience ends."""

    def __init__(
        self,
        sim: TrackedSim,
        since: datetime,
        *,
        check: Check,
        give_up: Callable[[], None],
        checks: tuple[timedelta, ...] = QUICK_CHECKS,
    ) -> None:
        """Schedule the first check that is still to come; `since` is when the write was sent."""
        self._sim = sim
        # Measured by the monotonic clock from here on.
        self._began = sim.hass.loop.time() - elapsed_since(since).total_seconds()
        self._checks = (*checks, PATIENCE)
        self._check = check
        self._give_up = give_up
        self._has_stopped = False
        self._schedule()

    @callback
    def stop(self) -> None:
        """Stop checking."""
        self._has_stopped = True
        self._cancel()

    def _schedule(self) -> None:
        """Schedule the next check."""
        elapsed = timedelta(seconds=self._sim.hass.loop.time() - self._began)
        moment = next((moment for moment in self._checks if moment > elapsed), elapsed)
        job = HassJob(partial(self._start_check, moment >= PATIENCE), cancel_on_shutdown=True)
        self._cancel = async_call_later(self._sim.hass, moment - elapsed, job)

    @callback
    def _start_check(self, is_last: bool, _now: datetime) -> None:  # noqa: FBT001
        """Check in the background."""
        self._sim.config_entry.async_create_background_task(
            self._sim.hass, self._check_and_schedule(is_last=is_last), f"{DOMAIN} check of a write"
        )

    async def _check_and_schedule(self, *, is_last: bool) -> None:
        """Check, and schedule the next one unless that was the last."""
        await self._check()
        if self._has_stopped:
            return
        if is_last:
            self._give_up()
        else:
            self._schedule()


def may_have_been_sent(err: BaseException) -> bool:
    """Return whether a write that failed, or whose caller was cancelled, may have been carried out."""
    return isinstance(err, IotPortalCancelledError) or isinstance(
        err.__cause__, IotPortalOutcomeUnknownError
    )
