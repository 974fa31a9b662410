"""Check the whole log for warnings that must not occur, secrets and personal data."""

import logging
import re
from typing import Final, override

from .portal_setup import CANARY
from .promises import Promise, Promises

LOGGERS: Final = ("custom_components.iot_portal", "homeassistant", "aiohttp", "asyncio")
FORBIDDEN: Final = {
    Promise.NEVER_BLOCKS: ("blocking call", "Blocking call", "did not yield"),
    Promise.NOTHING_LEAKS: (
        *("Task was destroyed", "never awaited", "never retrieved", "ingering", "still running"),
        *("Unclosed", "unclosed"),
    ),
    Promise.NO_EXCEPTION: ("Traceback", "Unexpected error", "Error doing job"),
}
# Personal data of a SIM, its device or the user; the registries of Home Assistant may hold it.
PERSONAL: Final = re.compile(r"8931080000\d{9}|Private words|100\.64\.\d|20408\d{10}|3569380\d{8}")


class Watch(logging.Handler):
    """A log handler that checks each record."""

    def __init__(self, promises: Promises) -> None:
        """Store where broken promises are recorded."""
        super().__init__(logging.DEBUG)
        self._promises = promises
        self._format = logging.Formatter("%(message)s")

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Check a log record; the portal's own server may log the faults."""
        if record.name == "aiohttp.server":
            return
        text = self._format.format(record)
        if CANARY in text:
            self._promises.mark_broken(Promise.KEEPS_SECRETS, f"{record.name}: {text[:300]}")
        if record.levelno <= logging.DEBUG:
            return
        is_own = record.name.startswith("custom_components")
        if (is_own or record.levelno >= logging.WARNING) and PERSONAL.search(text):
            self._promises.mark_broken(Promise.KEEPS_SECRETS, f"{record.name}: {text[:300]}")
        if is_own:
            self._promises.count(f"own log lines: {record.levelname.lower()}")
        if record.levelno >= logging.WARNING:
            self._read_warning(record, text)

    def _read_warning(self, record: logging.LogRecord, text: str) -> None:
        """Record a broken promise if a warning must not occur."""
        for promise, words in FORBIDDEN.items():
            if any(word in text for word in words):
                self._promises.mark_broken(promise, f"{record.name}: {text[-600:]}")
                return
        if not record.name.startswith("custom_components"):
            self._promises.count(f"warnings of {record.name}")
