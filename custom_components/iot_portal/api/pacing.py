"""Limit how fast an account sends requests and how many at once; they are the scarce resource."""

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
DEFAULT_MAX_CONCURRENT: Final = 2

# Backing off goes no lower than this, in requests a second.
MIN_RATE: Final = 0.2
# The pause in seconds after a rate limit error without a Retry-After.
DEFAULT_PAUSE: Final = 5.0
# After so many seconds without another such error the rate grows by this factor.
RECOVERY_SECONDS: Final = 30.0
RECOVERY_FACTOR: Final = 1.5
# Network delays vary, and the portal measures the rate where requests arrive.
SPACING_MARGIN: Final = 1.03


class Priority(IntEnum):
    """Order in which waiting requests are sent; the lowest value goes first."""

    USER = 0
    CONFIRMATION = 1
    FIRST_READ = 2
    POLL = 3


_PRIORITY: ContextVar[Priority] = ContextVar("iot_portal_priority", default=Priority.USER)


@contextmanager
def priority(value: Priority) -> Iterator[None]:
    """Set the priority of all requests within the context; the default is USER."""
    token = _PRIORITY.set(value)
    try:
        yield
    finally:
        _PRIORITY.reset(token)


class TimerHandle(Protocol):
    """The part of asyncio.TimerHandle that the pacer uses."""

    def cancel(self) -> None:
        """Cancel the callback."""


class EventLoop(Protocol):
    """The part of asyncio.AbstractEventLoop that the pacer uses."""

    def time(self) -> float:
        """Return the time of the monotonic clock, in seconds."""

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Schedule a callback at a time of the monotonic clock."""


class LastHourCounter:
    """Counts the events of the last hour, to the minute; times are those of the monotonic clock."""

    def __init__(self) -> None:
        """Start at zero."""
        self._minutes: deque[tuple[int, int]] = deque(maxlen=60)

    def add(self, now: float) -> None:
        """Count one event."""
        minute = int(now // 60)
        before = self._minutes.pop() if self._minutes and self._minutes[-1][0] == minute else None
        self._minutes.append((minute, 1 if before is None else before[1] + 1))

    def total(self, now: float) -> int:
        """Return how many events there were."""
        oldest = int(now // 60) - 60
        return sum(counted for minute, counted in self._minutes if minute > oldest)


class Pacer:
    """Starts at most `rate` requests a second and keeps at most `max_concurrent` of them in flight.

    Within a priority first come is first served. A rate limit error halves the rate and allows one
    request at a time, until the limits are restored step by step. Waiting requests may be cancelled.
    """

    def __init__(
        self,
        *,
        rate: float = DEFAULT_RATE,
        max_concurrent: int = DEFAULT_MAX_CONCURRENT,
        loop: EventLoop | None = None,
    ) -> None:
        """Start at the full rate; `loop` is the running event loop unless given."""
        self.full_rate = self.rate = rate
        self._full_max_concurrent = self.max_concurrent = max_concurrent
        self._loop = loop
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._sequence = count()
        self._in_flight = 0
        self._next_start = 0.0
        self._recover_at = 0.0
        self._timer_handle: TimerHandle | None = None
        self._requests = LastHourCounter()

    def set_limits(self, *, rate: float, max_concurrent: int) -> None:
        """Set the limits from now on; a pacer that has backed off stays slow for a while."""
        is_slowed = self.rate < self.full_rate
        self.full_rate, self._full_max_concurrent = rate, max_concurrent
        self.rate = min(self.rate, rate) if is_slowed else rate
        self.max_concurrent = 1 if self.rate < rate else max_concurrent

    @property
    def requests_in_last_hour(self) -> int:
        """Return how many requests were sent within the last hour."""
        return self._requests.total(self._running_loop.time())

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until a request may start, and hold its slot until the context ends."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (_PRIORITY.get(), next(self._sequence), future))
        self._dispatch()
        try:
            await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._dispatch()
            else:
                self._release()
            raise
        self.record_request()
        try:
            yield
        finally:
            self._release()

    def record_request(self) -> None:
        """Count a request that is sent now."""
        self._requests.add(self._running_loop.time())

    def back_off(self, retry_after: float | None) -> None:
        """Slow down after a rate limit error; `retry_after` is in seconds."""
        now = self._running_loop.time()
        pause = DEFAULT_PAUSE if retry_after is None else retry_after
        self.rate = max(self.rate / 2, min(MIN_RATE, self.full_rate))
        self.max_concurrent = 1
        self._next_start = max(self._next_start, now + pause)
        self._recover_at = self._next_start + RECOVERY_SECONDS

    @property
    def _running_loop(self) -> EventLoop:
        """Return the event loop, which is not known before the first request."""
        return self._loop or asyncio.get_running_loop()

    def _release(self) -> None:
        """Give a slot back."""
        self._in_flight -= 1
        self._dispatch()

    def _dispatch(self) -> None:
        """Start as many waiting requests as the limits allow, and schedule the next call."""
        now = self._running_loop.time()
        self._recover(now)
        while self._waiting and self._in_flight < self.max_concurrent:
            if not self._waiting[0][2].done():
                if now < self._next_start:
                    break
                self._in_flight += 1
                self._next_start = max(now, self._next_start) + SPACING_MARGIN / self.rate
                self._waiting[0][2].set_result(None)
            heapq.heappop(self._waiting)
        if self._timer_handle is not None:
            self._timer_handle.cancel()
            self._timer_handle = None
        if self._waiting and self._in_flight < self.max_concurrent:
            self._timer_handle = self._running_loop.call_at(self._next_start, self._dispatch)

    def _recover(self, now: float) -> None:
        """Raise the rate a step when there was no rate limit error for a while."""
        if self.rate >= self.full_rate or now < self._recover_at:
            return
        self.rate = min(self.rate * RECOVERY_FACTOR, self.full_rate)
        self._recover_at = now + RECOVERY_SECONDS
        if self.rate >= self.full_rate:
            self.max_concurrent = self._full_max_concurrent
