"""Work on a whole fleet in short slices, so that nothing else in Home Assistant waits for its end."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Final

from .const import LOGGER

# In seconds; a slice takes at most so long, and the time of one item. A load and an unload have one for each platform at
# the same time.
SLICE: Final = 0.002


class Slices:
    """Divides work into slices."""

    def __init__(self) -> None:
        """Begin the first slice with the first item."""
        self._end = -inf

    async def async_pause(self) -> None:
        """Give the rest of Home Assistant a turn if the slice is over; anything may have changed then."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._end:
            await asyncio.sleep(0)
            self._end = loop.time() + SLICE


async def in_slices[T](items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items in slices."""
    slices = Slices()
    for item in list(items):
        await slices.async_pause()
        yield item


@contextmanager
def apart(title: str) -> Iterator[None]:
    """Log an error of one SIM, so that it does not end the work on the others."""
    try:
        yield
    except Exception:
        LOGGER.exception("An error of %s; the other SIMs are not affected", title)
