"""The portal's virtual clock, and a window that slides along a time axis."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import time

from .errors import SetupError

_YEARS = range(1970, 2200)
_CENTURY = 100 * 365 * 24 * 3600


class Clock:
    """Time as the portal sees it: real time plus an offset, or frozen."""

    def __init__(self) -> None:
        """Start at real time."""
        self._offset = timedelta()
        self._frozen_at: datetime | None = None
        self._advanced = 0.0
        self._listeners: list[Callable[[], object]] = []

    def now(self) -> datetime:
        """Return the virtual time, in UTC."""
        if self._frozen_at is not None:
            return self._frozen_at
        return datetime.fromtimestamp(time.time(), UTC) + self._offset

    def steady(self) -> float:
        """Return seconds that always pass, frozen or not: how fast requests come is measured here."""
        return time.monotonic() + self._advanced

    @property
    def frozen(self) -> bool:
        """Tell whether the virtual time stands still."""
        return self._frozen_at is not None

    def advance(self, seconds: float) -> None:
        """Move the virtual time forward."""
        if not 0 <= seconds <= _CENTURY:
            msg = f"The clock advances by 0 to {_CENTURY} seconds, not {seconds}"
            raise SetupError(msg)
        self.set(self.now() + timedelta(seconds=seconds))
        self._advanced += seconds

    def set(self, moment: datetime) -> None:
        """Make the virtual time that moment; a frozen clock stays frozen."""
        moment = moment.astimezone(UTC)
        if moment.year not in _YEARS:
            msg = f"The clock cannot show the year {moment.year}"
            raise SetupError(msg)
        self._offset = moment - datetime.fromtimestamp(time.time(), UTC)
        if self._frozen_at is not None:
            self._frozen_at = moment
        for listener in self._listeners:
            listener()

    def freeze(self) -> None:
        """Make the virtual time stand still."""
        self._frozen_at = self.now()

    def unfreeze(self) -> None:
        """Let the virtual time follow real time again, from where it stands."""
        if self._frozen_at is not None:
            self._offset = self._frozen_at - datetime.fromtimestamp(time.time(), UTC)
            self._frozen_at = None

    def reset(self) -> None:
        """Go back to real time."""
        self._frozen_at = None
        self._offset = timedelta()
        for listener in self._listeners:
            listener()

    def on_move(self, listener: Callable[[], object]) -> None:
        """Call the listener whenever the virtual time jumps."""
        self._listeners.append(listener)


class Window:
    """Counts what happened within the last second of `Clock.steady`."""

    def __init__(self, seconds: float = 1.0) -> None:
        """Start empty."""
        self._seconds = seconds
        self._moments: deque[float] = deque()

    def count(self, now: float) -> int:
        """Return how many moments lie within the window that ends now."""
        moments = self._moments
        while moments and moments[0] <= now - self._seconds:
            moments.popleft()
        return len(moments)

    def add(self, now: float) -> int:
        """Add a moment and return how many lie within the window."""
        self._moments.append(now)
        return self.count(now)
