"""The portal's virtual clock, and a sliding window that counts events."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import RLock
import time

from . import serialization
from .errors import SetupError
from .locking import locked

_YEARS = range(1970, 2200)
_CENTURY = 100 * 365 * 24 * 3600


class Clock:
    """The virtual time: real time plus an offset, or frozen.

    `lock` is that of everything which follows the clock.
    """

    def __init__(self) -> None:
        """Start at real time."""
        self.lock = RLock()
        self._offset = timedelta()
        self._frozen_at: datetime | None = None
        self._advanced = 0.0
        self._listeners: list[Callable[[], object]] = []

    def now(self) -> datetime:
        """Return the virtual time, in UTC."""
        # Read once: another thread may unfreeze the clock in between.
        frozen_at = self._frozen_at
        return frozen_at or datetime.fromtimestamp(time.time(), UTC) + self._offset

    def steady(self) -> float:
        """Return monotonic seconds, which pass even while the clock is frozen, to measure request rates."""
        return time.monotonic() + self._advanced

    def later(self, span: float | str | timedelta) -> datetime:
        """Return the moment some seconds from now."""
        seconds = serialization.seconds(span, "after")
        if not -_CENTURY <= seconds <= _CENTURY:
            msg = f"after: {span} is more than {_CENTURY} seconds"
            raise SetupError(msg)
        return self.now() + timedelta(seconds=seconds)

    @property
    def frozen(self) -> bool:
        """Return whether the virtual time stands still."""
        return self._frozen_at is not None

    @locked
    def advance(self, span: float | str | timedelta) -> None:
        """Move the virtual time forward, by seconds or by a text such as `90s` or `2h`."""
        seconds = serialization.seconds(span, "advance")
        if not 0 <= seconds <= _CENTURY:
            msg = f"The clock advances by 0 to {_CENTURY} seconds, not {seconds}"
            raise SetupError(msg)
        self.set(self.now() + timedelta(seconds=seconds))
        self._advanced += seconds

    @locked
    def set(self, to: datetime | str) -> None:
        """Set the virtual time, also by a text such as `2025-01-31T12:00:00Z` or `-2h`.

        A frozen clock stays frozen.
        """
        try:
            moment = serialization.moment(to, "set", self.now())
        except OverflowError as err:
            msg = f"set: {to} is too far away"
            raise SetupError(msg) from err
        check_year(moment)
        self._offset = moment - datetime.fromtimestamp(time.time(), UTC)
        if self._frozen_at is not None:
            self._frozen_at = moment
        for listener in self._listeners:
            listener()

    @locked
    def freeze(self) -> None:
        """Stop the virtual time."""
        self._frozen_at = self.now()

    @locked
    def unfreeze(self) -> None:
        """Continue the virtual time from where it stands."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - datetime.fromtimestamp(time.time(), UTC)
            self._frozen_at = None

    @locked
    def reset(self) -> None:
        """Return to real time."""
        self._frozen_at = None
        self._offset = timedelta()
        for listener in self._listeners:
            listener()

    def on_move(self, listener: Callable[[], object]) -> None:
        """Register a listener for jumps of the virtual time."""
        self._listeners.append(listener)


def check_year(moment: datetime) -> None:
    """Raise an error for a year that the clock cannot show."""
    if moment.year not in _YEARS:
        msg = f"The clock cannot show the year {moment.year}"
        raise SetupError(msg)


class Window:
    """A count of the events within the last second of `Clock.steady`."""

    def __init__(self, seconds: float = 1.0) -> None:
        """Start empty."""
        self._seconds = seconds
        self._moments: deque[float] = deque()

    def count(self, now: float) -> int:
        """Return the number of events in the window that ends now."""
        moments = self._moments
        while moments and moments[0] <= now - self._seconds:
            moments.popleft()
        return len(moments)

    def add(self, now: float) -> int:
        """Add an event and return the number of events in the window."""
        self._moments.append(now)
        return self.count(now)
