"""A value whose changes are told, as read from a portal with servers of different age."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from .clock import is_within

# So long after a change the value before it may still come from a server that is behind.
BEHIND_PERIOD: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """The value that is believed, the one before it, and whether the last reading had that one again."""

    value: str
    before: str | None = None
    changed_at: datetime | None = None
    has_returned: bool = False

    def after(self, value: str, now: datetime, key: Callable[[str], str]) -> Settled:
        """Return what is believed after a reading; values with the same key are the same.

        A new value is believed at once, the one that was there before with the second reading.
        """
        if value == self.value and not self.has_returned:
            return self
        if key(value) == key(self.value):
            return replace(self, value=value, has_returned=False)
        is_behind = self.changed_at is not None and is_within(self.changed_at, BEHIND_PERIOD, now)
        if is_behind and key(value) == key(self.before or "") and not self.has_returned:
            return replace(self, has_returned=True)
        return Settled(value=value, before=self.value, changed_at=now)
