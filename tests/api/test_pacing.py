"""The pacer, on a fake event loop."""

import asyncio
from collections.abc import Callable
import contextlib
from dataclasses import dataclass
import tracemalloc

import pytest

from custom_components.iot_portal.api.pacing import (
    Pacer,
    PauseReason,
    Priority,
    priority,
)


@dataclass
class FakeLoopHandle:
    """A scheduled callback."""

    when: float
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Cancel the callback."""
        self.is_cancelled = True


class FakeLoop:
    """An event loop whose time stands still until the test advances it."""

    def __init__(self) -> None:
        """Start at zero."""
        self.now = 0.0
        self.timers_set = 0
        self._handles: list[FakeLoopHandle] = []

    def time(self) -> float:
        """Return the time."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeLoopHandle:
        """Schedule a callback."""
        self.timers_set += 1
        handle = FakeLoopHandle(when, callback)
        self._handles.append(handle)
        return handle

    async def advance(self, seconds: float) -> None:
        """Advance the time in small steps, and run all tasks after each."""
        until = self.now + seconds
        while self.now < until:
            self.jump(min(0.05, until - self.now))
            await settle()

    def jump(self, seconds: float) -> None:
        """Advance the time at once and run the callbacks that are due, but no task."""
        self.now += seconds
        due = [handle for handle in self._handles if handle.when <= self.now]
        self._handles = [handle for handle in self._handles if handle.when > self.now]
        for handle in due:
            if not handle.is_cancelled:
                handle.callback()


async def settle() -> None:
    """Run every task as far as it can go."""
    for _ in range(5):
        await asyncio.sleep(0)


class Requests:
    """Requests that go through a pacer; each takes as long as the test says."""

    def __init__(self, pacer: Pacer, loop: FakeLoop, *, seconds: float = 0.0) -> None:
        """Start without requests."""
        self.started: list[tuple[str, float]] = []
        self.in_flight = 0
        self.peak_concurrent = 0
        self._pacer = pacer
        self._loop = loop
        self._seconds = seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ask(self, name: str, importance: Priority = Priority.USER) -> None:
        """Queue a request."""
        with priority(importance):
            self._tasks[name] = asyncio.create_task(self._run(name))

    def cancel(self, name: str) -> None:
        """Cancel a request."""
        self._tasks[name].cancel()

    async def _run(self, name: str) -> None:
        """Wait for a slot and hold it as long as a request takes."""
        async with self._pacer.slot():
            self.started.append((name, self._loop.now))
            self.in_flight += 1
            self.peak_concurrent = max(self.peak_concurrent, self.in_flight)
            until = self._loop.now + self._seconds
            try:
                while self._loop.now < until:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            finally:
                self.in_flight -= 1

    @property
    def names(self) -> list[str]:
        """Return the names of the started requests, in order."""
        return [name for name, _ in self.started]

    def peak_rate(self) -> int:
        """Return the most starts within any second."""
        times = [when for _, when in self.started]
        return max(sum(first <= when < first + 1 for when in times) for first in times)

    async def end(self) -> None:
        """Cancel all requests."""
        for task in self._tasks.values():
            task.cancel()
        for task in self._tasks.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def loop() -> FakeLoop:
    """Return a fake event loop."""
    return FakeLoop()


async def test_rate_and_concurrency(loop: FakeLoop) -> None:
    """No more requests start within a second, and no more are in flight, than the limits allow."""
    requests = Requests(Pacer(rate=4, max_concurrent=2, loop=loop), loop, seconds=0.4)
    for number in range(40):
        requests.ask(str(number))

    await loop.advance(14)

    assert len(requests.started) == 40
    assert requests.peak_rate() <= 4
    assert requests.peak_concurrent == 2
    assert requests.started[-1][1] < 13


async def test_default_limits(loop: FakeLoop) -> None:
    """Unless told otherwise, a pacer stays under the five requests a second that the platform asks for."""
    requests = Requests(Pacer(loop=loop), loop, seconds=1)
    for number in range(20):
        requests.ask(str(number))

    await loop.advance(10)

    assert len(requests.started) == 20
    assert requests.peak_concurrent == 3

    quick = Requests(Pacer(loop=loop), loop)
    for number in range(20):
        quick.ask(str(number))
    await loop.advance(10)
    assert quick.peak_rate() == 4


async def test_slow_answers(loop: FakeLoop) -> None:
    """When answers take long, the limit of concurrent requests holds."""
    requests = Requests(Pacer(rate=4, max_concurrent=2, loop=loop), loop, seconds=2)
    for number in range(6):
        requests.ask(str(number))

    await loop.advance(7)

    assert requests.peak_concurrent == 2
    assert len(requests.started) == 6
    await requests.end()


async def test_priorities(loop: FakeLoop) -> None:
    """Requests start by priority; within a priority first come is first served."""
    requests = Requests(Pacer(rate=1, max_concurrent=1, loop=loop), loop)
    requests.ask("first", Priority.POLL)
    await settle()
    for name, importance in (
        ("poll 1", Priority.POLL),
        ("poll 2", Priority.POLL),
        ("first read", Priority.FIRST_READ),
        ("confirmation", Priority.CONFIRMATION),
        ("user 1", Priority.USER),
        ("user 2", Priority.USER),
    ):
        requests.ask(name, importance)

    await loop.advance(10)

    assert requests.names == [
        "first",
        "user 1",
        "user 2",
        "confirmation",
        "first read",
        "poll 1",
        "poll 2",
    ]


async def test_back_off(loop: FakeLoop) -> None:
    """After a rate limit error: a pause, half the rate, one at a time; the limits return slowly."""
    pacer = Pacer(rate=4, max_concurrent=2, loop=loop)
    requests = Requests(pacer, loop, seconds=0.3)

    pacer.back_off(retry_after=10)
    for number in range(200):
        requests.ask(str(number))
    await loop.advance(9.9)
    assert requests.started == []

    await loop.advance(5.1)
    assert pacer.rate == 2
    assert requests.peak_concurrent == 1
    assert requests.peak_rate() <= 2

    await loop.advance(90)
    assert pacer.rate == 4
    assert pacer.max_concurrent == 2
    assert requests.peak_rate() <= 4
    await requests.end()


async def test_repeated_back_off(loop: FakeLoop) -> None:
    """The rate has a minimum, and without a Retry-After the pause has a default length."""
    pacer = Pacer(rate=4, max_concurrent=2, loop=loop)
    requests = Requests(pacer, loop)
    for _ in range(20):
        pacer.back_off(retry_after=None)
    requests.ask("patient")

    await loop.advance(4.9)
    assert requests.started == []
    await loop.advance(0.2)

    assert requests.names == ["patient"]
    assert pacer.rate == 0.2


async def test_shorter_pause(loop: FakeLoop) -> None:
    """Of two pauses the one that ends later counts, whichever was asked for last."""
    pacer = Pacer(loop=loop)
    requests = Requests(pacer, loop)
    pacer.back_off(60, PauseReason.UNAVAILABLE)
    await loop.advance(10)
    pacer.back_off(None, PauseReason.TOO_MANY_REQUESTS)
    requests.ask("patient")

    assert (pacer.seconds_paused, pacer.pause_reason) == (50, PauseReason.UNAVAILABLE)
    await loop.advance(49)
    assert requests.started == []
    await loop.advance(2)
    assert requests.names == ["patient"]
    assert pacer.seconds_paused == 0


async def test_start_afresh(loop: FakeLoop) -> None:
    """After a reload nothing of a pause is left: requests start at once and at the full rate."""
    pacer = Pacer(rate=4, max_concurrent=3, loop=loop)
    requests = Requests(pacer, loop, seconds=0.3)
    pacer.back_off(3600)
    for number in range(40):
        requests.ask(str(number))
    await loop.advance(1)
    assert requests.started == []

    pacer.start_afresh()
    await loop.advance(5)

    assert pacer.seconds_paused == 0
    assert (pacer.rate, pacer.max_concurrent) == (4, 3)
    assert 15 <= len(requests.started) <= 20
    await requests.end()


async def test_start_afresh_without_a_pause(loop: FakeLoop) -> None:
    """A reload makes a request neither wait, nor follow the one before it too soon."""
    pacer = Pacer(rate=4, loop=loop)
    requests = Requests(pacer, loop)
    await loop.advance(10)
    pacer.start_afresh()
    requests.ask("first")
    await settle()
    assert requests.names == ["first"]

    pacer.start_afresh()
    requests.ask("second")
    await loop.advance(0.2)
    assert requests.names == ["first"]
    await loop.advance(0.1)
    assert requests.names == ["first", "second"]


async def test_pauses_are_told(loop: FakeLoop) -> None:
    """Whoever listens hears of a pause that begins, grows or is called off, until he stops listening."""
    pacer = Pacer(loop=loop)
    told: list[float] = []
    stop = pacer.listen_to_pauses(lambda: told.append(pacer.seconds_paused))

    pacer.back_off(5)
    pacer.back_off(3)
    pacer.back_off(60)
    pacer.back_off(60)
    pacer.start_afresh()
    stop()
    pacer.back_off(7)

    assert told == [5, 60, 0]


async def test_last_place(loop: FakeLoop) -> None:
    """One place is left to people; a limit of one applies to all."""
    pacer = Pacer(rate=10, max_concurrent=3, loop=loop)
    requests = Requests(pacer, loop, seconds=100)
    others = [importance for importance in Priority if importance is not Priority.USER]
    for importance in others:
        requests.ask(importance.name, importance)
    await loop.advance(5)
    assert requests.names == ["LOOK_UP", "CONFIRMATION"]

    for number in range(3):
        requests.ask(f"user {number}")
    await loop.advance(5)
    assert requests.names[2:] == ["user 0"]

    requests.cancel("LOOK_UP")
    await loop.advance(1)
    assert requests.names[3:] == ["user 1"]
    await requests.end()


async def test_cancelled_while_waiting(loop: FakeLoop) -> None:
    """A request that is cancelled while it waits does not delay the others."""
    requests = Requests(Pacer(rate=1, max_concurrent=1, loop=loop), loop)
    for name in ("a", "b", "c"):
        requests.ask(name)
    await settle()
    requests.cancel("b")

    await loop.advance(3)

    assert requests.names == ["a", "c"]


async def test_places_after_a_cancelled_wait(loop: FakeLoop) -> None:
    """A request that is cancelled while it waits gives back no place, as it had none."""
    requests = Requests(Pacer(rate=10, max_concurrent=1, loop=loop), loop, seconds=2)
    for name in ("a", "b", "c", "d"):
        requests.ask(name)
    await settle()
    requests.cancel("b")

    await loop.advance(7)

    assert requests.names == ["a", "c", "d"]
    assert requests.peak_concurrent == 1


async def test_sleeps_while_all_places_are_taken(loop: FakeLoop) -> None:
    """While a request waits for a place, and not for its time, no timer wakes Home Assistant up for it."""
    requests = Requests(Pacer(rate=10, max_concurrent=1, loop=loop), loop, seconds=100)
    requests.ask("a")
    requests.ask("b")
    await loop.advance(1)
    before = loop.timers_set

    await loop.advance(60)

    assert loop.timers_set == before
    await requests.end()


async def test_cancelled_when_dispatched(loop: FakeLoop) -> None:
    """A request that is cancelled just after it got a slot gives the slot back."""
    requests = Requests(Pacer(rate=1, max_concurrent=1, loop=loop), loop)
    for name in ("a", "b", "c"):
        requests.ask(name)
    await settle()
    loop.jump(2)
    requests.cancel("b")

    await loop.advance(3)

    assert requests.names == ["a", "c"]


async def test_cancelled_in_flight(loop: FakeLoop) -> None:
    """A request that is cancelled in flight gives its slot back."""
    requests = Requests(Pacer(rate=1, max_concurrent=1, loop=loop), loop, seconds=100)
    requests.ask("a")
    requests.ask("b")
    await loop.advance(2)
    requests.cancel("a")

    await loop.advance(2)

    assert requests.names == ["a", "b"]
    await requests.end()


async def test_set_limits(loop: FakeLoop) -> None:
    """New limits also hold for waiting requests; a pacer that backed off reaches them slowly."""
    pacer = Pacer(rate=4, max_concurrent=2, loop=loop)
    requests = Requests(pacer, loop)
    for number in range(400):
        requests.ask(str(number))
    await loop.advance(2)
    before = len(requests.started)

    pacer.set_limits(rate=1, max_concurrent=1)
    await loop.advance(10)
    assert len(requests.started) - before in {9, 10, 11}

    pacer.back_off(0)
    pacer.set_limits(rate=2, max_concurrent=3)
    assert (pacer.rate, pacer.max_concurrent) == (0.5, 1)
    await loop.advance(150)
    assert (pacer.rate, pacer.max_concurrent) == (2, 3)
    await requests.end()


async def test_requests_in_last_hour(loop: FakeLoop) -> None:
    """Each request counts for an hour, to the minute."""
    pacer = Pacer(loop=loop)
    loop.now = 59.0
    pacer.record_request()
    for _ in range(2):
        loop.now = 60.0 + 59
        pacer.record_request()

    assert pacer.requests_in_last_hour == 3
    loop.now = 3599.0
    assert pacer.requests_in_last_hour == 3
    loop.now = 3600.0
    assert pacer.requests_in_last_hour == 2
    loop.now = 3659.0
    assert pacer.requests_in_last_hour == 2
    loop.now = 3660.0
    assert pacer.requests_in_last_hour == 0


async def test_requests_after_days(loop: FakeLoop) -> None:
    """After months, requests are counted as on the first day, however many a minute, in as little memory."""
    pacer = Pacer(loop=loop)
    loop.now = 90 * 86400.0
    tracemalloc.start()
    try:
        for _ in range(20_000):
            loop.now += 60
            pacer.record_request()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pacer.requests_in_last_hour == 60
    assert used < 100_000

    for _ in range(200):
        pacer.record_request()
    assert pacer.requests_in_last_hour == 260


async def test_sent_requests_count(loop: FakeLoop) -> None:
    """A request that goes out is counted."""
    pacer = Pacer(loop=loop)
    requests = Requests(pacer, loop)
    requests.ask("a")
    await loop.advance(1)

    assert pacer.requests_in_last_hour == 1


async def test_steps_of_recovery(loop: FakeLoop) -> None:
    """The rate grows by half in each half minute; more than one request at a time come with the full rate."""
    pacer = Pacer(rate=4, max_concurrent=3, loop=loop)
    requests = Requests(pacer, loop)
    pacer.back_off(0)
    pacer.back_off(0)
    steps = []
    for number in range(4):
        requests.ask(str(number))
        await settle()
        steps.append((pacer.rate, pacer.max_concurrent))
        loop.jump(30)
        await settle()

    assert steps == [(1, 1), (1.5, 1), (2.25, 1), (3.375, 1)]
    requests.ask("last")
    await settle()
    assert (pacer.rate, pacer.max_concurrent) == (4, 3)


async def test_back_off_of_a_slow_account(loop: FakeLoop) -> None:
    """Backing off never raises a rate that is below the minimum."""
    pacer = Pacer(rate=0.1, loop=loop)

    pacer.back_off(1)

    assert (pacer.rate, pacer.max_concurrent) == (0.1, 1)


async def test_recovery_of_a_slow_account(loop: FakeLoop) -> None:
    """An account at the lowest rate cannot go slower; its places come back all the same."""
    pacer = Pacer(rate=0.2, max_concurrent=3, loop=loop)
    requests = Requests(pacer, loop)
    pacer.back_off(0)
    assert (pacer.rate, pacer.max_concurrent) == (0.2, 1)
    loop.jump(30)

    requests.ask("a")
    await settle()

    assert (pacer.rate, pacer.max_concurrent) == (0.2, 3)


@pytest.mark.parametrize(
    ("is_slowed", "rate", "expected"),
    [(False, 8, (8, 5)), (False, 1, (1, 5)), (True, 8, (2, 1)), (True, 1, (1, 5))],
)
async def test_new_limits(
    loop: FakeLoop, is_slowed: bool, rate: float, expected: tuple[float, int]
) -> None:
    """New limits hold at once, but a pacer that has backed off goes no faster than before."""
    pacer = Pacer(rate=4, max_concurrent=3, loop=loop)
    if is_slowed:
        pacer.back_off(1)

    pacer.set_limits(rate=rate, max_concurrent=5)

    assert (pacer.rate, pacer.max_concurrent) == expected
