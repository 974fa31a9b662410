"""How fast and how many at once an account may ask; requests are the scarce resource."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from enum import IntEnum
import heapq
from itertools import count
from typing import Final, Protocol

DEFAULT_RATE: Final = 4.0
DEFAULT_WIDTH: Final = 2

# The slowest that a refused account is asked, in requests a second.
SLOWEST_RATE: Final = 0.2
# How long to leave the portal alone when it does not say, and how often to dare a little more again.
REFUSED_PAUSE: Final = 5.0
RECOVERY_SECONDS: Final = 30.0
RECOVERY_FACTOR: Final = 1.5
# Requests wander a little on their way, and the portal counts them where they arrive.
SPACING_MARGIN: Final = 1.03


class Priority(IntEnum):
    """Who goes first."""

    USER = 0
    CONFIRMATION = 1
    FIRST_READ = 2
    POLL = 3


_PRIORITY: ContextVar[Priority] = ContextVar("iot_portal_priority", default=Priority.USER)


@contextmanager
def priority(value: Priority) -> Iterator[None]:
    """Give all requests within the context a priority; what a person asks for needs none."""
    token = _PRIORITY.set(value)
    try:
        yield
    finally:
        _PRIORITY.reset(token)


class Alarm(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Call it off."""


class Timer(Protocol):
    """The part of an event loop that the pacer needs."""

    def time(self) -> float:
        """Return the seconds of a clock that never jumps."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Alarm:
        """Call back at a time of that clock."""


class HourMeter:
    """Counts what happened within the last hour; times are in seconds of a clock that never jumps."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._minutes: deque[tuple[int, int]] = deque()

    def add(self, now: float) -> None:
        """Count one."""
        minute = int(now // 60)
        before = self._minutes.pop() if self._minutes and self._minutes[-1][0] == minute else None
        self._minutes.append((minute, 1 if before is None else before[1] + 1))
        self._forget(minute)

    def total(self, now: float) -> int:
        """Return how many there were."""
        self._forget(int(now // 60))
        return sum(counted for _, counted in self._minutes)

    def _forget(self, minute: int) -> None:
        """Drop what lies an hour back."""
        while self._minutes and self._minutes[0][0] <= minute - 60:
            self._minutes.popleft()


class Pacer:
    """Lets requests go one after the other: at most `rate` a second, `width` under way at once.

    Within a priority first come is first served. A refusal for asking too often halves the rate and
    makes it one at a time; it is raised again slowly. Cancelling a waiting request is safe.
    """

    def __init__(
        self, *, rate: float = DEFAULT_RATE, width: int = DEFAULT_WIDTH, timer: Timer | None = None
    ) -> None:
        """Start at full speed."""
        self.full_rate = self.rate = rate
        self._full_width = self.width = width
        self._timer = timer
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._ticket = count()
        self._under_way = 0
        self._next_start = 0.0
        self._recover_at = 0.0
        self._alarm: Alarm | None = None
        self._meter = HourMeter()

    def limit(self, *, rate: float, width: int) -> None:
        """Go by another rate and width from now on; what a refusal slowed down stays slow for a while."""
        is_slowed = self.rate < self.full_rate
        self.full_rate, self._full_width = rate, width
        self.rate = min(self.rate, rate) if is_slowed else rate
        self.width = 1 if self.rate < rate else width

    @property
    def requests_in_last_hour(self) -> int:
        """Return how many requests were made within the last hour."""
        return self._meter.total(self._clock.time())

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn of a request and hold it until the answer is there."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (_PRIORITY.get(), next(self._ticket), future))
        self._let_go()
        try:
            await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._let_go()
            else:
                self._done()
            raise
        self.count()
        try:
            yield
        finally:
            self._done()

    def count(self) -> None:
        """Count a request that goes out now."""
        self._meter.add(self._clock.time())

    def refused(self, retry_after: float | None) -> None:
        """Slow down: the portal said that it is asked too often."""
        now = self._clock.time()
        pause = REFUSED_PAUSE if retry_after is None else retry_after
        self.rate = max(self.rate / 2, min(SLOWEST_RATE, self.full_rate))
        self.width = 1
        self._next_start = max(self._next_start, now + pause)
        self._recover_at = self._next_start + RECOVERY_SECONDS

    @property
    def _clock(self) -> Timer:
        """Return the clock; the event loop is not known before the first request."""
        return self._timer or asyncio.get_running_loop()

    def _done(self) -> None:
        """Note that a request is no longer under way."""
        self._under_way -= 1
        self._let_go()

    def _let_go(self) -> None:
        """Let as many waiting requests go as may, and look again when the next one may."""
        now = self._clock.time()
        self._recover(now)
        while self._waiting and self._under_way < self.width:
            if not self._waiting[0][2].done():
                if now < self._next_start:
                    break
                self._under_way += 1
                self._next_start = max(now, self._next_start) + SPACING_MARGIN / self.rate
                self._waiting[0][2].set_result(None)
            heapq.heappop(self._waiting)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._waiting and self._under_way < self.width:
            self._alarm = self._clock.call_at(self._next_start, self._let_go)

    def _recover(self, now: float) -> None:
        """Dare a little more when nothing was refused for a while."""
        if self.rate >= self.full_rate or now < self._recover_at:
            return
        self.rate = min(self.rate * RECOVERY_FACTOR, self.full_rate)
        self._recover_at = now + RECOVERY_SECONDS
        if self.rate >= self.full_rate:
            self.width = self._full_width
