"""What is known of a SIM, and what can happen to it."""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from .api import Device, Session, SimStatus, Usage, is_activated
from .const import (
    CONF_ALLOWANCE,
    CONF_BILLING_DAY,
    CONF_DATA_UNIT,
    DATA_UNITS,
    DEFAULT_BILLING_DAY,
    DEFAULT_DATA_UNIT,
    MEGABYTE,
)
from .evidence import EndpointFailure

# The first digits of an IMEI identify the device; what follows is a check digit or its software version.
IMEI_DEVICE_DIGITS: Final = 14
# On the first day of a billing cycle its use says too little about the rest.
MIN_ELAPSED: Final = timedelta(days=1)


class Endpoint(StrEnum):
    """What can be read of a SIM, by the portal's name of the request."""

    USAGE = "ctdUsage"
    STATUS = "getStatus"
    SESSION = "sessionInfo"
    DEVICE = "GetDevice"
    SMS_IDS = "GetSMSIds"


class SimEventType(StrEnum):
    """Types of the events of a SIM."""

    STATUS_CHANGED = "status_changed"
    STATUS_CHANGE_CONFIRMED = "status_change_confirmed"
    STATUS_CHANGE_SUPERSEDED = "status_change_superseded"
    STATUS_CHANGE_TIMED_OUT = "status_change_timed_out"
    SESSION_STARTED = "session_started"
    SESSION_ENDED = "session_ended"
    IMEI_CHANGED = "imei_changed"
    CYCLE_RESET = "cycle_reset"


class SmsEventType(StrEnum):
    """Types of the events of SMS to and from a SIM."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    RECEIVED = "received"


class BulkEditEventType(StrEnum):
    """Types of the events of a bulk edit."""

    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, kw_only=True, slots=True)
class SimEvent:
    """Something that happened to a SIM, or to a bulk edit of SIMs."""

    event_type: SimEventType | SmsEventType | BulkEditEventType
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class BillingCycle:
    """A billing cycle: from midnight of the billing day to midnight of the next one, local time."""

    start: datetime
    end: datetime

    @classmethod
    def around(cls, now: datetime, billing_day: int) -> Self:
        """Return the cycle that a moment lies in; a month without that day bills on its last."""
        this_month = _billing_moment(now, billing_day, months=0)
        if now < this_month:
            return cls(start=_billing_moment(now, billing_day, months=-1), end=this_month)
        return cls(start=this_month, end=_billing_moment(now, billing_day, months=1))

    def forecast(self, used: int, now: datetime) -> int:
        """Return the use at the end of the cycle if it continues at the same rate.

        The rate is the use so far divided by the time since the cycle began, at least a day.
        """
        elapsed = max(now - self.start, MIN_ELAPSED)
        return round(used * ((self.end - self.start) / elapsed))


def _billing_moment(now: datetime, billing_day: int, *, months: int) -> datetime:
    """Return midnight of the billing day in the month of a moment, or some months away from it."""
    month_index = now.year * 12 + now.month - 1 + months
    year, month = divmod(month_index, 12)
    day = min(billing_day, monthrange(year, month + 1)[1])
    return datetime.combine(
        now.date().replace(year=year, month=month + 1, day=day), time.min, tzinfo=now.tzinfo
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The data use of a SIM against its allowance, in bytes."""

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
        """Return whether the forecast exceeds the allowance."""
        return self.forecast > self.allowance


@dataclass(frozen=True, kw_only=True, slots=True)
class SimSettings:
    """The user's settings for a SIM; the allowance is in bytes, the data unit in bytes per unit."""

    allowance: int | None = None
    billing_day: int = DEFAULT_BILLING_DAY
    data_unit: int = DATA_UNITS[DEFAULT_DATA_UNIT]

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Return the settings among the options of an account and a SIM."""
        megabytes = options.get(CONF_ALLOWANCE)
        return cls(
            allowance=round(megabytes * MEGABYTE) if megabytes else None,
            billing_day=int(options.get(CONF_BILLING_DAY, DEFAULT_BILLING_DAY)),
            data_unit=DATA_UNITS[options.get(CONF_DATA_UNIT, DEFAULT_DATA_UNIT)],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusRequest:
    """A requested status that the portal has not reported yet; overdue once it was given up.

    `replaces` is the request before it, until it is known whether the portal accepts this one.
    """

    status: str
    previous: str | None
    requested_at: datetime
    is_overdue: bool = False
    in_bulk: bool = False
    replaces: StatusRequest | None = None

    def is_met_by(self, status: str | None) -> bool:
        """Return whether a status is the requested one; networks have several words for activated."""
        if status is None:
            return False
        is_same_word = status.casefold() == self.status.casefold()
        return is_same_word or bool(is_activated(status) and is_activated(self.status))


@dataclass(frozen=True, kw_only=True, slots=True)
class SentSms:
    """An SMS that Home Assistant sent; `status` is the portal's word for its delivery."""

    sent_at: datetime
    sms_id: str | None = None
    status: str | None = None
    has_ended: bool = False


@dataclass(kw_only=True, slots=True)
class PendingWrites:
    """The writes to a SIM that have not ended, and the ids of its SMS seen before.

    `seen_sms_ids` is None until the list was read for the first time.
    """

    status_request: StatusRequest | None = None
    sent_sms: list[SentSms] = field(default_factory=list)
    seen_sms_ids: list[str] | None = None

    @property
    def awaited_status(self) -> StatusRequest | None:
        """Return the status request that may still be fulfilled in time."""
        request = self.status_request
        return None if request is None or request.is_overdue else request

    @property
    def last_sms(self) -> SentSms | None:
        """Return the SMS that was sent last."""
        return self.sent_sms[-1] if self.sent_sms else None


@dataclass(frozen=True, kw_only=True, slots=True)
class SimData:
    """What the portal reported of a SIM; a part that could not be read is None.

    `forecast` is the data use at the end of the billing cycle in bytes, as of the last read.
    """

    status: str | None = None
    usage: Usage | None = None
    session: Session | None = None
    device: Device | None = None
    device_read_at: datetime | None = None
    failing: Mapping[Endpoint, EndpointFailure] = field(default_factory=dict)
    forecast: int | None = None
    settings: SimSettings = field(default_factory=SimSettings)
    writes: PendingWrites = field(default_factory=PendingWrites, compare=False)

    @property
    def is_known(self) -> bool:
        """Return whether the portal has reported anything of the SIM, in this run or before it."""
        return any(
            part is not None for part in (self.status, self.usage, self.session, self.device)
        )

    @property
    def data_used(self) -> int | None:
        """Return the data use in bytes, whatever unit the network counts in."""
        if self.usage is None or self.usage.data_bytes is None:
            return None
        return round(self.usage.data_bytes * (self.usage.data_unit or self.settings.data_unit))

    @property
    def budget(self) -> Budget | None:
        """Return the data use against the user's allowance, or else against the portal's."""
        allowance = self.settings.allowance
        if allowance is None and self.device is not None:
            allowance = self.device.allowance_bytes
        used, forecast = self.data_used, self.forecast
        if not allowance or used is None or forecast is None:
            return None
        return Budget(used=used, allowance=allowance, forecast=forecast)

    def with_forecast(self, now: datetime) -> SimData:
        """Return the data with the forecast as of a local time."""
        if (used := self.data_used) is None:
            return replace(self, forecast=None)
        cycle = BillingCycle.around(now, self.settings.billing_day)
        # Whole megabytes, so that an idle SIM does not change at every poll.
        return replace(self, forecast=round(cycle.forecast(used, now) / MEGABYTE) * MEGABYTE)

    def invalidate(self) -> SimData:
        """Return the data as if no endpoint had failed, and the seldom read parts were due."""
        return replace(self, device_read_at=None, failing={})

    def has_part(self, endpoint: Endpoint) -> bool:
        """Return whether an endpoint has answered before, as far as is known."""
        parts: Mapping[Endpoint, object] = {
            Endpoint.USAGE: self.usage,
            Endpoint.STATUS: self.status,
            Endpoint.SESSION: self.session,
            Endpoint.DEVICE: self.device,
            Endpoint.SMS_IDS: self.writes.seen_sms_ids,
        }
        return parts[endpoint] is not None

    def is_due(self, endpoint: Endpoint, now: datetime) -> bool:
        """Return whether an endpoint may be asked: it has not failed, or long enough ago."""
        failure = self.failing.get(endpoint)
        return failure is None or failure.is_due(now)

    def is_refused(self, endpoint: Endpoint) -> bool:
        """Return whether the portal is believed to refuse an endpoint."""
        failure = self.failing.get(endpoint)
        return failure is not None and failure.is_refused


def normalize_status(status: str | None) -> str | None:
    """Return a known status in lower case as Home Assistant shows it, any other as the portal reports it."""
    return status.lower() if status is not None and status in SimStatus else status


def events_between(
    before: SimData, after: SimData, *, is_status_requested: bool = False
) -> Iterator[SimEvent]:
    """Yield what happened to a SIM between two reads.

    A status that was requested has an event of its own.
    """
    old, new = before.status, after.status
    if old != new and None not in (old, new) and not is_status_requested:
        yield SimEvent(
            event_type=SimEventType.STATUS_CHANGED,
            attributes={"from": normalize_status(old), "to": normalize_status(new)},
        )
    if before.usage != after.usage:
        yield from _usage_events(before, after)
    if before.session != after.session:
        yield from _session_events(before.session, after.session)


def _usage_events(before: SimData, after: SimData) -> Iterator[SimEvent]:
    """Yield the start of a billing cycle, with the use in the last one, and a move to another device."""
    old, new = before.usage, after.usage
    if old is None or new is None:
        return
    if any(
        was is not None and now is not None and now < was
        for was, now in (
            (old.data_bytes, new.data_bytes),
            (old.sms_count, new.sms_count),
            (old.voice_seconds, new.voice_seconds),
            (old.session_count, new.session_count),
        )
    ):
        yield SimEvent(
            event_type=SimEventType.CYCLE_RESET,
            attributes={
                "data_usage": before.data_used,
                "sms_usage": old.sms_count,
                "voice_usage": old.voice_seconds,
                "session_count": old.session_count,
            },
        )
    if old.imei and new.imei and old.imei[:IMEI_DEVICE_DIGITS] != new.imei[:IMEI_DEVICE_DIGITS]:
        yield SimEvent(
            event_type=SimEventType.IMEI_CHANGED, attributes={"from": old.imei, "to": new.imei}
        )


def _session_events(old: Session | None, new: Session | None) -> Iterator[SimEvent]:
    """Yield the start and the end of a session, each when it is new."""
    if old is None or new is None:
        return
    if new.started is not None and new.started != old.started:
        yield SimEvent(
            event_type=SimEventType.SESSION_STARTED,
            attributes={"started": new.started, "ip_address": new.ip_address},
        )
    if new.ended is not None and (new.started, new.ended) != (old.started, old.ended):
        yield SimEvent(
            event_type=SimEventType.SESSION_ENDED,
            attributes={
                "started": new.started,
                "ended": new.ended,
                "ip_address": new.ip_address,
            },
        )
