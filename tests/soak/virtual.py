"""Time that passes only while everybody waits: an event loop that jumps to the next alarm."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
import selectors
import time
from typing import Any, Final, override

from homeassistant.helpers import event
from homeassistant.util import dt as dt_util

# How long another thread may take before the soak counts as stuck, in real seconds.
STUCK_AFTER: Final = 60.0


class JumpingSelector(selectors.DefaultSelector):
    """Looks at the sockets, and lets time jump instead of waiting for them."""

    def __init__(self) -> None:
        """Start at zero, in seconds."""
        super().__init__()
        self.now = 0.0
        self.jobs = 0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what has happened; when nothing has, it is later."""
        if (ready := super().select(0)) or timeout == 0:
            return ready
        if self.jobs or timeout is None:
            # Another thread is at work, and time stands still for it.
            if not (ready := super().select(STUCK_AFTER)):
                msg = "Nobody is left to wait for"
                raise RuntimeError(msg)
            return ready
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which a request takes no time and a day takes seconds."""

    def __init__(self) -> None:
        """Start to count."""
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)
        # Less than this is lost when seconds are added up.
        self._clock_resolution = 1e-6

    @override
    def time(self) -> float:
        """Return the virtual seconds so far."""
        return self._jumping.now

    @override
    def run_in_executor[*ArgsT, T](
        self, executor: Executor | None, func: Callable[[*ArgsT], T], *args: *ArgsT
    ) -> asyncio.Future[T]:
        """Run a job in another thread, for which time stands still."""
        self._jumping.jobs += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._job_done)
        return future

    @override
    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait in real time until the other threads have ended."""
        self._jumping.jobs += 1
        try:
            await super().shutdown_default_executor(timeout)
        finally:
            self._jumping.jobs -= 1

    def _job_done(self, _: asyncio.Future[Any]) -> None:
        """Let time go on."""
        self._jumping.jobs -= 1


@contextmanager
def virtual_time(loop: VirtualLoop, start: datetime) -> Iterator[None]:
    """Let Home Assistant, the integration and the portal tell the time by a loop."""
    epoch = start.timestamp()

    def timestamp() -> float:
        return epoch + loop.time()

    def now(time_zone: tzinfo | None = None) -> datetime:
        return datetime.fromtimestamp(timestamp(), time_zone or dt_util.get_default_time_zone())

    def utcnow() -> datetime:
        return datetime.fromtimestamp(timestamp(), UTC)

    replaced: list[tuple[Any, str, object]] = [
        (time, "time", timestamp),
        (time, "monotonic", loop.time),
        (dt_util, "utcnow", utcnow),
        (dt_util, "now", now),
        (event, "time_tracker_utcnow", utcnow),
        (event, "time_tracker_timestamp", timestamp),
    ]
    originals = [getattr(module, name) for module, name, _ in replaced]
    for module, name, replacement in replaced:
        setattr(module, name, replacement)
    try:
        yield
    finally:
        for (module, name, _), original in zip(replaced, originals, strict=True):
            setattr(module, name, original)
