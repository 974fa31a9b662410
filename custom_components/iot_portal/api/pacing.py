"""Limit how fast an account sends requests and how many at once; they are the scarce resource."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from enum import IntEnum, StrEnum
import heapq
from itertools import count
from typing import Final, Protocol, override

from .exceptions import IotPortalBusyError, IotPortalPausedError

DEFAULT_RATE: Final = 4.0
DEFAULT_MAX_CONCURRENT: Final = 3
# What a person asks for starts within so many seconds, or fails.
MAX_WAIT: Final = 30.0

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
    # Many at once in a dialog, where a person waits for them.
    LOOK_UP = 1
    CONFIRMATION = 2
    FIRST_READ = 3
    POLL = 4


class PauseReason(StrEnum):
    """Why the portal asked for a pause."""

    TOO_MANY_REQUESTS = "too_many_requests"
    UNAVAILABLE = "unavailable"


_PRIORITY: ContextVar[Priority] = ContextVar("iot_portal_priority", default=Priority.USER)
# The time of the monotonic clock by which the request has to start, its log-in included.
_START_BY: ContextVar[float | None] = ContextVar("iot_portal_start_by", default=None)


@contextmanager
def priority(value: Priority) -> Iterator[None]:
    """Set the priority of all requests within the context; the default is USER."""
    token = _PRIORITY.set(value)
    try:
        yield
    finally:
        _PRIORITY.reset(token)


def is_for_person() -> bool:
    """Return whether a person waits for the requests of this context."""
    return _PRIORITY.get() <= Priority.LOOK_UP


@contextmanager
def start_in_time() -> Iterator[None]:
    """Bound how long a person's request within the context waits in all, with its log-in and its repetitions."""
    if not is_for_person():
        yield
        return
    token = _START_BY.set(asyncio.get_running_loop().time() + MAX_WAIT)
    try:
        yield
    finally:
        _START_BY.reset(token)


def seconds_to_start() -> float | None:
    """Return the seconds within which the request has to start, None without a bound."""
    start_by = _START_BY.get()
    return None if start_by is None else start_by - asyncio.get_running_loop().time()


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

    Within a priority first come is first served. The last place is for what a person does. A rate limit error halves
    the rate and allows one request at a time, until the limits are restored step by step. Waiting requests may be
    cancelled.
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
        self._next_start = self._recover_at = self._paused_until = 0.0
        self.pause_reason: PauseReason | None = None
        self._bounds: dict[asyncio.Timeout, float] = {}
        self._pause_listeners: list[Callable[[], None]] = []
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

    @property
    def seconds_paused(self) -> float:
        """Return the seconds until the pause ends that the portal asked for, 0 without one."""
        return max(0.0, self._paused_until - self._running_loop.time())

    def listen_to_pauses(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener when a pause begins, changes or is called off, not when its time is over.

        Return how to stop that.
        """
        self._pause_listeners.append(listener)
        return lambda: self._pause_listeners.remove(listener)

    @asynccontextmanager
    async def bounded_wait(self) -> AsyncIterator[None]:
        """Raise IotPortalBusyError where the context would keep a person's request waiting too long."""
        start_by = _START_BY.get()
        if start_by is None:
            yield
            return
        if max(self._running_loop.time(), self._paused_until) >= start_by:
            raise self._busy_error()
        try:
            async with asyncio.timeout_at(start_by) as bound:
                self._bounds[bound] = start_by
                try:
                    yield
                finally:
                    del self._bounds[bound]
        except TimeoutError as err:
            raise self._busy_error() from err

    def slot(self) -> AbstractAsyncContextManager[None]:
        """Wait until a request may start, and hold its slot until the context ends."""
        return _Slot(self)

    async def take_slot(self) -> None:
        """Wait until a request may start, and count it."""
        if _START_BY.get() is None:
            await self._wait_for_slot()
        else:
            async with self.bounded_wait():
                await self._wait_for_slot()
        self.record_request()

    def record_request(self) -> None:
        """Count a request that is sent now."""
        self._requests.add(self._running_loop.time())

    def back_off(
        self, retry_after: float | None, reason: PauseReason = PauseReason.TOO_MANY_REQUESTS
    ) -> None:
        """Slow down after a rate limit error; `retry_after` is in seconds."""
        now = self._running_loop.time()
        until = now + (DEFAULT_PAUSE if retry_after is None else retry_after)
        self.rate = max(self.rate / 2, min(MIN_RATE, self.full_rate))
        self.max_concurrent = 1
        self._next_start = max(self._next_start, until)
        self._recover_at = self._next_start + RECOVERY_SECONDS
        # An error that comes later may ask for less; it does not shorten the pause.
        if until > self._paused_until:
            self._paused_until, self.pause_reason = until, reason
            self._fail_those_too_late(now)
            self._pause_changed()

    def start_afresh(self) -> None:
        """Call a pause off and restore the limits, as a person has reloaded the account."""
        now = self._running_loop.time()
        self.rate, self.max_concurrent = self.full_rate, self._full_max_concurrent
        self._next_start = min(self._next_start, now + SPACING_MARGIN / self.rate)
        self._paused_until = now
        self._dispatch()
        self._pause_changed()

    def _fail_those_too_late(self, now: float) -> None:
        """End the waits of people's requests that cannot start in time because of the pause."""
        for bound, start_by in self._bounds.items():
            if not bound.expired() and start_by <= self._paused_until:
                bound.reschedule(now)

    def _pause_changed(self) -> None:
        """Call the listeners."""
        for listener in self._pause_listeners:
            listener()

    def _busy_error(self) -> IotPortalBusyError:
        """Return the error for a request that waits too long."""
        if seconds := self.seconds_paused:
            return IotPortalPausedError("the portal asked for a pause", seconds=seconds)
        return IotPortalBusyError("too many requests are waiting")

    @property
    def _running_loop(self) -> EventLoop:
        """Return the event loop, which is not known before the first request."""
        return self._loop or asyncio.get_running_loop()

    async def _wait_for_slot(self) -> None:
        """Wait until a request may start."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (_PRIORITY.get(), next(self._sequence), future))
        self._dispatch()
        try:
            await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._dispatch()
            else:
                self.release_slot()
            raise

    def _has_place(self) -> bool:
        """Return whether the first of the waiting requests has a place; the last one is for what a person does."""
        places = self.max_concurrent
        if self._waiting[0][0] is not Priority.USER:
            places = max(places - 1, 1)
        return self._in_flight < places

    def release_slot(self) -> None:
        """Give a slot back."""
        self._in_flight -= 1
        # The answer may ask for a pause, so the next request starts once it has been looked at.
        asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        """Start as many waiting requests as the limits allow, and schedule the next call."""
        now = self._running_loop.time()
        self._recover(now)
        while self._waiting and self._has_place():
            if not self._waiting[0][2].done():
                if now < self._next_start:
                    break
                self._in_flight += 1
                self._next_start = now + SPACING_MARGIN / self.rate
                self._waiting[0][2].set_result(None)
            heapq.heappop(self._waiting)
        if self._timer_handle is not None:
            self._timer_handle.cancel()
        if self._waiting and self._has_place():
            self._timer_handle = self._running_loop.call_at(self._next_start, self._dispatch)

    def _recover(self, now: float) -> None:
        """Raise the rate a step when there was no rate limit error for a while."""
        if now < self._recover_at:
            return
        self.rate = min(self.rate * RECOVERY_FACTOR, self.full_rate)
        self._recover_at = now + RECOVERY_SECONDS
        if self.rate >= self.full_rate:
            self.max_concurrent = self._full_max_concurrent


class _Slot(AbstractAsyncContextManager[None]):
    """A slot for one request; a class, as each request of a fleet takes one."""

    def __init__(self, pacer: Pacer) -> None:
        """Take no slot yet."""
        self._pacer = pacer

    @override
    async def __aenter__(self) -> None:
        """Wait until the request may start."""
        await self._pacer.take_slot()

    @override
    async def __aexit__(self, *_: object) -> None:
        """Give the slot back."""
        self._pacer.release_slot()
