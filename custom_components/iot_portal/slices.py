"""Work on a whole fleet in short slices, so that nothing else in Home Assistant waits for its end."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

# In seconds; a slice takes at most so long, and the time of one item.
SLICE: Final = 0.005


async def in_slices[T](items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items, with a turn for the rest of Home Assistant after each slice; anything may have changed then."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for item in list(items):
        if loop.time() - began >= SLICE:
            await asyncio.sleep(0)
            began = loop.time()
        yield item
