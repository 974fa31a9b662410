"""What a poll of a SIM asks the portal for: no more than can have changed."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from .api import Usage
from .const import DEVICE_INTERVAL
from .reads import Part, SimReads


def poll_plan(known: SimReads, now: datetime, usage: Usage | None) -> list[Part]:
    """Return the parts to read after the usage, which comes first: it tells most, and what else to ask.

    `known` is from the poll before; `usage` is None where the portal refuses it.
    """
    return [part for part in _due(known, now, usage) if not known.is_refused(part, now)]


def _due(known: SimReads, now: datetime, usage: Usage | None) -> Iterator[Part]:
    """Yield the parts that can be others than those that are known."""
    if usage is None or usage.status is None:
        yield Part.STATUS
    if _session_can_have_changed(known, usage):
        yield Part.SESSION
    if (
        known.device is None
        or known.device_read_at is None
        # Later than now is before the clock was set back.
        or not timedelta() <= now - known.device_read_at < DEVICE_INTERVAL
    ):
        yield Part.DEVICE


def _session_can_have_changed(known: SimReads, usage: Usage | None) -> bool:
    """Tell whether the session of a SIM can be another one: they are counted, and an open one can end."""
    return (
        known.session is None
        or known.session.is_open
        or known.usage is None
        or usage is None
        or usage.session_count is None
        or usage.session_count != known.usage.session_count
    )
