"""The signals that stop the program."""

import asyncio
from contextlib import suppress
import signal


def stop_event() -> asyncio.Event:
    """Return an event that Ctrl-C and SIGTERM set, if the event loop can handle signals."""
    stop = asyncio.Event()
    with suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
