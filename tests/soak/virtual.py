"""Virtual time: an event loop that jumps to the next timer when nothing else is to be done."""

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

# How many real seconds another thread may take before the soak counts as stuck.
STUCK_AFTER: Final = 60.0
# In virtual seconds; the rounding error of added seconds is smaller.
CLOCK_RESOLUTION: Final = 1e-6


class JumpingSelector(selectors.DefaultSelector):
    """A selector that advances the virtual time instead of waiting."""

    def __init__(self) -> None:
        """Start at zero seconds."""
        super().__init__()
        self.now = 0.0
        self.jobs = 0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the ready sockets; advance the time if there are none."""
        if (ready := super().select(0)) or timeout == 0:
            return ready
        if self.jobs or timeout is None:
            # A job in another thread is running, and takes no virtual time.
            if not (ready := super().select(STUCK_AFTER)):
                msg = "Nobody is left to wait for"
                raise RuntimeError(msg)
            return ready
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which a request takes no time and a day takes seconds."""

    def __init__(self) -> None:
        """Create the loop with a selector of its own."""
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = CLOCK_RESOLUTION

    @override
    def time(self) -> float:
        """Return the virtual seconds since the start."""
        return self._jumping.now

    @override
    def run_in_executor[*ArgsT, T](
        self, executor: Executor | None, func: Callable[[*ArgsT], T], *args: *ArgsT
    ) -> asyncio.Future[T]:
        """Run a job in another thread, which takes no virtual time."""
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
        """Resume the virtual time."""
        self._jumping.jobs -= 1


@contextmanager
def virtual_time(loop: VirtualLoop, start: datetime) -> Iterator[None]:
    """Make Home Assistant, the integration and the portal use the time of a loop."""
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
