"""The pacer, on a clock that the test moves."""

import asyncio
from collections.abc import Callable
import contextlib
from dataclasses import dataclass

import pytest

from custom_components.iot_portal.api.pacing import (
    RECOVERY_SECONDS,
    REFUSED_PAUSE,
    Pacer,
    Priority,
    priority,
)


@dataclass
class FakeAlarm:
    """A call that is to come."""

    when: float
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Call it off."""
        self.is_cancelled = True


class FakeTimer:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        """Start at zero."""
        self.now = 0.0
        self._calls: list[FakeAlarm] = []

    def time(self) -> float:
        """Return the time."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeAlarm:
        """Remember a call."""
        alarm = FakeAlarm(when, callback)
        self._calls.append(alarm)
        return alarm

    async def advance(self, seconds: float) -> None:
        """Move the time in small steps, in which everybody goes on."""
        until = self.now + seconds
        while self.now < until:
            self.jump(min(0.05, until - self.now))
            await settle()

    def jump(self, seconds: float) -> None:
        """Move the time and make the calls that are due; nobody else goes on."""
        self.now += seconds
        due = [alarm for alarm in self._calls if alarm.when <= self.now]
        self._calls = [alarm for alarm in self._calls if alarm.when > self.now]
        for alarm in due:
            if not alarm.is_cancelled:
                alarm.callback()


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


class Requests:
    """Requests that go through a pacer, each as long as the test says."""

    def __init__(self, pacer: Pacer, timer: FakeTimer, *, seconds: float = 0.0) -> None:
        """Start with none."""
        self.started: list[tuple[str, float]] = []
        self.under_way = 0
        self.widest = 0
        self._pacer = pacer
        self._timer = timer
        self._seconds = seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ask(self, name: str, importance: Priority = Priority.USER) -> None:
        """Queue a request."""
        with priority(importance):
            self._tasks[name] = asyncio.create_task(self._run(name))

    def cancel(self, name: str) -> None:
        """Give a request up."""
        self._tasks[name].cancel()

    async def _run(self, name: str) -> None:
        """Wait for the turn and take the time that a request takes."""
        async with self._pacer.turn():
            self.started.append((name, self._timer.now))
            self.under_way += 1
            self.widest = max(self.widest, self.under_way)
            until = self._timer.now + self._seconds
            try:
                while self._timer.now < until:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            finally:
                self.under_way -= 1

    @property
    def names(self) -> list[str]:
        """Return who started, in order."""
        return [name for name, _ in self.started]

    def peak_rate(self) -> int:
        """Return the most starts within any second."""
        times = [when for _, when in self.started]
        return max(sum(first <= when < first + 1 for when in times) for first in times)

    async def end(self) -> None:
        """Give up what is left."""
        for task in self._tasks.values():
            task.cancel()
        for task in self._tasks.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def timer() -> FakeTimer:
    """Return a clock."""
    return FakeTimer()


async def test_rate_and_width(timer: FakeTimer) -> None:
    """No more start within a second, and no more are under way, than the setting says."""
    requests = Requests(Pacer(rate=4, width=2, timer=timer), timer, seconds=0.4)
    for number in range(40):
        requests.ask(str(number))

    await timer.advance(14)

    assert len(requests.started) == 40
    assert requests.peak_rate() <= 4
    assert requests.widest == 2
    assert requests.started[-1][1] < 13


async def test_slow_answers_keep_the_width(timer: FakeTimer) -> None:
    """When answers take long, the width is what holds back."""
    requests = Requests(Pacer(rate=4, width=2, timer=timer), timer, seconds=2)
    for number in range(6):
        requests.ask(str(number))

    await timer.advance(7)

    assert requests.widest == 2
    assert len(requests.started) == 6
    await requests.end()


async def test_priorities(timer: FakeTimer) -> None:
    """What a person asks for overtakes everything; within a priority first come is first served."""
    requests = Requests(Pacer(rate=1, width=1, timer=timer), timer)
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

    await timer.advance(10)

    assert requests.names == [
        "first",
        "user 1",
        "user 2",
        "confirmation",
        "first read",
        "poll 1",
        "poll 2",
    ]


async def test_refused(timer: FakeTimer) -> None:
    """After a refusal there is a pause, then half the rate, one at a time, and a slow way back."""
    pacer = Pacer(rate=4, width=2, timer=timer)
    requests = Requests(pacer, timer, seconds=0.3)

    pacer.refused(retry_after=10)
    for number in range(200):
        requests.ask(str(number))
    await timer.advance(9.9)
    assert requests.started == []

    await timer.advance(5.1)
    assert pacer.rate == 2
    assert requests.widest == 1
    assert requests.peak_rate() <= 2

    await timer.advance(3 * RECOVERY_SECONDS)
    assert pacer.rate == 4
    assert pacer.width == 2
    assert requests.peak_rate() <= 4
    await requests.end()


async def test_refused_again_and_again(timer: FakeTimer) -> None:
    """The rate has a floor, and without a Retry-After the pause is ours."""
    pacer = Pacer(rate=4, width=2, timer=timer)
    requests = Requests(pacer, timer)
    for _ in range(20):
        pacer.refused(retry_after=None)
    requests.ask("patient")

    await timer.advance(REFUSED_PAUSE - 0.1)
    assert requests.started == []
    await timer.advance(0.2)

    assert requests.names == ["patient"]
    assert pacer.rate == 0.2


async def test_cancelled_while_waiting(timer: FakeTimer) -> None:
    """A request that is given up while it waits holds nobody up."""
    requests = Requests(Pacer(rate=1, width=1, timer=timer), timer)
    for name in ("a", "b", "c"):
        requests.ask(name)
    await settle()
    requests.cancel("b")

    await timer.advance(3)

    assert requests.names == ["a", "c"]


async def test_cancelled_when_its_turn_had_come(timer: FakeTimer) -> None:
    """A request that is given up in the very moment of its turn gives the turn back."""
    requests = Requests(Pacer(rate=1, width=1, timer=timer), timer)
    for name in ("a", "b", "c"):
        requests.ask(name)
    await settle()
    timer.jump(2)
    requests.cancel("b")

    await timer.advance(3)

    assert requests.names == ["a", "c"]


async def test_cancelled_under_way(timer: FakeTimer) -> None:
    """A request that is given up under way makes room."""
    requests = Requests(Pacer(rate=1, width=1, timer=timer), timer, seconds=100)
    requests.ask("a")
    requests.ask("b")
    await timer.advance(2)
    requests.cancel("a")

    await timer.advance(2)

    assert requests.names == ["a", "b"]
    await requests.end()


async def test_other_limits(timer: FakeTimer) -> None:
    """Another rate holds for those who wait already; what a refusal slowed down gets up to it slowly."""
    pacer = Pacer(rate=4, width=2, timer=timer)
    requests = Requests(pacer, timer)
    for number in range(400):
        requests.ask(str(number))
    await timer.advance(2)
    before = len(requests.started)

    pacer.limit(rate=1, width=1)
    await timer.advance(10)
    assert len(requests.started) - before in {9, 10, 11}

    pacer.refused(0)
    pacer.limit(rate=2, width=3)
    assert (pacer.rate, pacer.width) == (0.5, 1)
    await timer.advance(RECOVERY_SECONDS * 5)
    assert (pacer.rate, pacer.width) == (2, 3)
    await requests.end()
