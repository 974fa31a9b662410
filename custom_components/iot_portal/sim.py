"""What is known of a SIM, and what happened to it between two reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from .api import Device, Session, SimStatus, Usage
from .happenings import Happening, Lifecycle

# The first digits of an IMEI name the device; what follows is a check digit or the version of its software.
IMEI_DEVICE_DIGITS = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How a SIM's data use stands against its allowance, in bytes."""

    used: int
    allowance: int
    forecast: int

    @property
    def remaining(self) -> int:
        """Return what is left of the allowance."""
        return max(self.allowance - self.used, 0)

    @property
    def used_percent(self) -> float:
        """Return how much of the allowance is used."""
        return 100 * self.used / self.allowance

    @property
    def is_over_pace(self) -> bool:
        """Tell whether the allowance will not last to the end of the cycle at this pace."""
        return self.forecast > self.allowance


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusChange:
    """A status that was asked for, until the portal reports it; for one that never came, overdue.

    `replaces` is what was waited for before, until it is known whether the portal takes this one.
    """

    status: str
    previous: str | None
    requested_at: datetime
    is_overdue: bool = False
    in_bulk: bool = False
    replaces: StatusChange | None = None

    def is_met_by(self, status: str | None) -> bool:
        """Tell whether a status is the one that was asked for."""
        return status is not None and status.casefold() == self.status.casefold()


@dataclass(frozen=True, kw_only=True, slots=True)
class SentSms:
    """An SMS that was sent from here; `status` is the portal's word for how far it got."""

    sent_at: datetime
    sms_id: str | None = None
    status: str | None = None
    has_ended: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SimData:
    """What is known of a SIM; a part that could not be read is None.

    `usage` counts as the portal does; `data_used` and `forecast` are bytes.
    """

    status: str | None = None
    usage: Usage | None = None
    session: Session | None = None
    device: Device | None = None
    data_used: int | None = None
    forecast: int | None = None
    budget: Budget | None = None
    change: StatusChange | None = None
    last_sms: SentSms | None = None


def shown_status(status: str | None) -> str | None:
    """Return a known status as Home Assistant has it everywhere, another one as the portal reports it."""
    return status.lower() if status is not None and status in SimStatus else status


def happened_between(before: SimData, after: SimData) -> Iterator[Happening]:
    """Yield what happened to a SIM between two reads, but for its status."""
    if before.usage is not None and after.usage is not None:
        yield from _usage_happenings(before, before.usage, after.usage)
    if before.session is not None and after.session is not None:
        yield from _session_happenings(before.session, after.session)


def _usage_happenings(before: SimData, old: Usage, new: Usage) -> Iterator[Happening]:
    """Yield a new billing cycle, with what the last one came to, and a move to another device."""
    if any(
        was is not None and now is not None and now < was
        for was, now in (
            (old.data_bytes, new.data_bytes),
            (old.sms_count, new.sms_count),
            (old.voice_seconds, new.voice_seconds),
            (old.session_count, new.session_count),
        )
    ):
        yield Happening(
            event=Lifecycle.CYCLE_RESET,
            attributes={
                "data_usage": before.data_used,
                "sms_usage": old.sms_count,
                "voice_usage": old.voice_seconds,
                "session_count": old.session_count,
            },
        )
    if old.imei and new.imei and old.imei[:IMEI_DEVICE_DIGITS] != new.imei[:IMEI_DEVICE_DIGITS]:
        yield Happening(event=Lifecycle.IMEI_CHANGED, attributes={"from": old.imei, "to": new.imei})


def _session_happenings(old: Session, new: Session) -> Iterator[Happening]:
    """Yield the start and the end of a session, each when it is new."""
    if new.started is not None and new.started != old.started:
        yield Happening(
            event=Lifecycle.SESSION_STARTED,
            attributes={"started": new.started, "ip_address": new.ip_address},
        )
    if new.ended is not None and (new.started, new.ended) != (old.started, old.ended):
        yield Happening(
            event=Lifecycle.SESSION_ENDED,
            attributes={
                "started": new.started,
                "ended": new.ended,
                "ip_address": new.ip_address,
            },
        )
