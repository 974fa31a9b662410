"""The promises of the integration, and how they were kept."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

MOST_BROKEN: Final = 20


class Promise(StrEnum):
    """A promise of the integration that must hold whatever happens."""

    WRITTEN_ONCE = "every write reaches the portal at most once"
    STORED_FIRST = "what cannot be written to the disk is not sent"
    ENDED_ONCE = "every SMS and status change ends in exactly one event"
    TOLD_THE_TRUTH = "what is told is true"
    NO_EXCEPTION = "no exception goes unhandled"
    NEVER_BLOCKS = "nothing blocks the event loop"
    NOTHING_LEAKS = "no task, alarm or connection outlives Home Assistant"
    MEMORY_IS_FLAT = "memory does not grow after the first day"
    ASKED_ONCE = "a revoked key is asked for once"
    SHOWS_THE_PORTAL = "in the end everything is shown as the portal has it"
    KEEPS_SECRETS = "secrets and personal data stay where they belong"


@dataclass(kw_only=True)
class Promises:
    """The broken promises, and the counts of a run."""

    clock: Callable[[], datetime]
    broken: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def mark_broken(self, promise: Promise, how: str) -> None:
        """Record a broken promise."""
        if len(self.broken) < MOST_BROKEN:
            self.broken.append(f"{self.clock():%Y-%m-%d %H:%M:%S} {promise}: {how}")

    def count(self, what: str, number: int = 1) -> None:
        """Add to a count."""
        self.counts[what] += number
