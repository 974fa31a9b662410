"""What is known of a SIM, and what can happen to it."""

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, Final, Self

from homeassistant.core import Context

from .api import Device, Session, SimStatus, Usage, is_activated
from .const import (
    CONF_ALL_DETAILS,
    CONF_ALLOWANCE,
    CONF_BILLING_DAY,
    CONF_CYCLE_DAYS,
    CONF_CYCLE_START,
    CONF_DATA_UNIT,
    CONF_DEFAULT_ALLOWANCE,
    CONF_PLAN_UNIT,
    DATA_UNITS,
    DEFAULT_BILLING_DAY,
    DEFAULT_DATA_UNIT,
    DEFAULT_PLAN_UNIT,
    MEGABYTE,
    PLAN_UNITS,
)
from .counters import CounterHistory, Counters, DailyUse, count_day
from .evidence import EndpointFailure
from .settled import Settled

# The first digits of an IMEI identify the device; what follows is a check digit or its software version.
IMEI_DEVICE_DIGITS: Final = 14
# On the first day of a billing cycle its use says too little about the rest.
MIN_ELAPSED: Final = timedelta(days=1)
# The portal's clock differs by so much from one reading of the same instant to the next.
SAME_INSTANT: Final = timedelta(seconds=2)


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
    STATUS_CHANGE_REPLACED = "status_change_replaced"
    STATUS_CHANGE_TIMED_OUT = "status_change_timed_out"
    DATA_SESSION_STARTED = "data_session_started"
    DATA_SESSION_ENDED = "data_session_ended"
    MOVED_TO_ANOTHER_DEVICE = "moved_to_another_device"
    BILLING_CYCLE_ENDED = "billing_cycle_ended"
    GONE = "gone"


class SmsEventType(StrEnum):
    """Types of the events of SMS to and from a SIM."""

    SMS_SENT = "sms_sent"
    SMS_DELIVERED = "sms_delivered"
    SMS_FAILED = "sms_failed"
    SMS_UNCONFIRMED = "sms_unconfirmed"
    SMS_RECEIVED = "sms_received"


class BulkEditEventType(StrEnum):
    """Types of the events of a bulk edit."""

    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class AccountEventType(StrEnum):
    """Types of the events of an account."""

    PORTAL_UNREACHABLE = "portal_unreachable"
    PORTAL_BACK = "portal_back"


@dataclass(frozen=True, kw_only=True, slots=True)
class SimEvent:
    """Something that happened to a SIM or an account; `context` is that of the call it comes of."""

    event_type: SimEventType | SmsEventType | BulkEditEventType | AccountEventType
    attributes: Mapping[str, Any] = field(default_factory=dict)
    context: Context | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BillingCycle:
    """A billing cycle: from midnight of its first day to midnight of the next one's, local time."""

    start: datetime
    end: datetime

    @staticmethod
    # All SIMs of a fleet ask for the same few, at every poll.
    @lru_cache(maxsize=64)
    def of_month(today: date, zone: tzinfo | None, billing_day: int) -> BillingCycle:
        """Return the cycle of a month that a day lies in; a month without the billing day bills on its last."""
        begins = 0 if _billing_date(today, billing_day, months=0) <= today else -1
        start, end = (
            _midnight(_billing_date(today, billing_day, months=months), zone)
            for months in (begins, begins + 1)
        )
        return BillingCycle(start=start, end=end)

    @classmethod
    def of_days(cls, now: datetime, first: date, days: int) -> Self:
        """Return the cycle of that many days that a moment lies in; one of them begins on the given date."""
        start, zone = first + timedelta(days=(now.date() - first).days // days * days), now.tzinfo
        return cls(start=_midnight(start, zone), end=_midnight(start + timedelta(days=days), zone))

    def projected_usage(self, used: float, now: datetime) -> int:
        """Return the use at the end of the cycle if it continues at the same rate.

        The rate is the use so far divided by the time since the cycle began, at least a day.
        """
        elapsed = max(now - self.start, MIN_ELAPSED)
        return round(used * ((self.end - self.start) / elapsed))


def _billing_date(today: date, billing_day: int, *, months: int) -> date:
    """Return the billing day in the month of a day, or some months away from it."""
    year, month = divmod(today.year * 12 + today.month - 1 + months, 12)
    return date(year, month + 1, min(billing_day, monthrange(year, month + 1)[1]))


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    """Return midnight of a day in a time zone."""
    return datetime.combine(day, time.min, tzinfo=zone)


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The data use of a SIM against its allowance, in bytes.

    `peak` is the most that the cycle has shown, and `cycle_seen_at` when it was seen to begin.
    """

    used: int
    allowance: int
    projected_usage: int | None
    peak: int
    cycle_seen_at: datetime | None

    @property
    def remaining(self) -> int:
        """Return what is left of the allowance."""
        return max(self.allowance - self.used, 0)

    @property
    def used_percent(self) -> float:
        """Return how much of the allowance is used."""
        return 100 * self.used / self.allowance

    @property
    def peak_percent(self) -> float:
        """Return how much of the allowance the cycle has used at most."""
        return 100 * self.peak / self.allowance

    @property
    def projects_overage(self) -> bool | None:
        """Return whether the projected usage exceeds the allowance, None while it is not known."""
        return None if self.projected_usage is None else self.projected_usage > self.allowance


@dataclass(frozen=True, kw_only=True, slots=True)
class SimSettings:
    """The user's settings for a SIM.

    Allowances are in bytes, `data_unit` in bytes per unit, `plan_unit` in bytes per kilobyte of a plan. `default_allowance`
    is that of all SIMs of the account. A cycle has `cycle_days` from `cycle_start` on, or else goes from billing day to
    billing day. `all_details` asks for the entities that SIMs of large accounts do not have.
    """

    allowance: int | None = None
    default_allowance: int | None = None
    billing_day: int = DEFAULT_BILLING_DAY
    cycle_days: int | None = None
    cycle_start: date | None = None
    data_unit: int = DATA_UNITS[DEFAULT_DATA_UNIT]
    plan_unit: int = PLAN_UNITS[DEFAULT_PLAN_UNIT]
    all_details: bool = False

    @classmethod
    def from_options(cls, account: Mapping[str, Any], sim: Mapping[str, Any]) -> Self:
        """Return the settings among the options of an account and a SIM."""
        options = merge_options(account, sim)
        plan_unit = PLAN_UNITS[options.get(CONF_PLAN_UNIT, DEFAULT_PLAN_UNIT)]
        days, start = options.get(CONF_CYCLE_DAYS), options.get(CONF_CYCLE_START)
        return cls(
            allowance=_in_bytes(options.get(CONF_ALLOWANCE), plan_unit),
            default_allowance=_in_bytes(options.get(CONF_DEFAULT_ALLOWANCE), plan_unit),
            billing_day=int(options.get(CONF_BILLING_DAY, DEFAULT_BILLING_DAY)),
            cycle_days=int(days) if days and start else None,
            cycle_start=date.fromisoformat(start) if days and start else None,
            data_unit=DATA_UNITS[options.get(CONF_DATA_UNIT, DEFAULT_DATA_UNIT)],
            plan_unit=plan_unit,
            all_details=bool(account.get(CONF_ALL_DETAILS) or sim.get(CONF_ALL_DETAILS)),
        )

    def cycle_around(self, now: datetime) -> BillingCycle:
        """Return the billing cycle that a local time lies in."""
        if self.cycle_days is None or self.cycle_start is None:
            return BillingCycle.of_month(now.date(), now.tzinfo, self.billing_day)
        return BillingCycle.of_days(now, self.cycle_start, self.cycle_days)

    def allowance_of(self, device: Device | None) -> int | None:
        """Return the user's allowance for the SIM, that of the portal, or that of the account, in bytes."""
        if self.allowance is not None:
            return self.allowance
        if device is not None and device.allowance is not None:
            return device.allowance.in_bytes(self.plan_unit)
        return self.default_allowance


def _in_bytes(megabytes: float | None, plan_unit: int) -> int | None:
    """Return an allowance that the user entered in bytes."""
    return round(megabytes * plan_unit**2) if megabytes else None


def merge_options(account: Mapping[str, Any], sim: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a SIM, or else of its account; a billing day of its own replaces a cycle of days."""
    if CONF_BILLING_DAY in sim and CONF_CYCLE_DAYS not in sim:
        cycle = {CONF_CYCLE_DAYS, CONF_CYCLE_START}
        account = {key: value for key, value in account.items() if key not in cycle}
    return {**account, **sim}


def has_whole_cycle(options: Mapping[str, Any]) -> bool:
    """Return whether a cycle of days has both its days and a date, or neither."""
    return bool(options.get(CONF_CYCLE_DAYS)) == bool(options.get(CONF_CYCLE_START))


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusRequest:
    """A requested status that the portal has not reported yet; overdue once it was given up.

    `replaces` is the request before it, until it is known whether the portal accepts this one. That may replace
    another itself, as long as it is not answered either. `context` is that of the call that requested it, whose user is
    shown with all that comes of it.
    """

    status: str
    previous: str | None
    requested_at: datetime
    is_overdue: bool = False
    in_bulk: bool = False
    replaces: StatusRequest | None = None
    context: Context | None = None

    def is_met_by(self, status: str | None) -> bool:
        """Return whether a status is the requested one; networks have several words for activated."""
        return status is not None and is_one_of(status, [self.status])

    def is_same(self, other: StatusRequest) -> bool:
        """Return whether two values are of the same request, whatever it still replaces."""
        return replace(self, replaces=None) == replace(other, replaces=None)

    def contains(self, other: StatusRequest) -> bool:
        """Return whether another request is this one, or one that it replaces."""
        return self.is_same(other) or (self.replaces is not None and self.replaces.contains(other))

    def changed(
        self, request: StatusRequest, change: Callable[[StatusRequest], StatusRequest | None]
    ) -> StatusRequest | None:
        """Return this request, or what a change makes of it; requests that it replaces are changed in place."""
        if self.is_same(request):
            return change(self)
        if self.replaces is None:
            return self
        return replace(self, replaces=self.replaces.changed(request, change))


@dataclass(frozen=True, kw_only=True, slots=True)
class SentSms:
    """An SMS that Home Assistant sent; `status` is the portal's word for its delivery."""

    sent_at: datetime
    sms_id: str | None = None
    status: str | None = None
    has_ended: bool = False
    context: Context | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedSms:
    """An SMS that came from the SIM; `status` is the portal's word."""

    sms_id: str
    status: str | None
    text: str | None
    received_at: datetime | None


@dataclass(kw_only=True, slots=True)
class PendingWrites:
    """The writes to a SIM that have not ended, the ids of its SMS seen before, and the last one that it sent.

    `seen_sms_ids` is None until the list was read for the first time.
    """

    status_request: StatusRequest | None = None
    sent_sms: list[SentSms] = field(default_factory=list)
    seen_sms_ids: list[str] | None = None
    last_received_sms: ReceivedSms | None = None

    @property
    def awaited_status(self) -> StatusRequest | None:
        """Return the status request that may still be fulfilled in time."""
        request = self.status_request
        return None if request is None or request.is_overdue else request

    @property
    def last_sent_sms(self) -> SentSms | None:
        """Return the SMS that was sent last."""
        return self.sent_sms[-1] if self.sent_sms else None


@dataclass(frozen=True, kw_only=True, slots=True)
class LastSession:
    """The session that was told last; without a start until the portal has reported one."""

    started: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownUse:
    """The data use that was known last, in bytes.

    `peak` is the most of its billing cycle, which was seen to begin at `cycle_seen_at`. `was_overage_projected` tells whether
    more than the allowance was projected at any time of that cycle.
    """

    used: int
    peak: int
    allowance: int | None = None
    cycle_seen_at: datetime | None = None
    was_overage_projected: bool = False

    def is_of_later_cycle(self, than: KnownUse) -> bool:
        """Return whether a cycle has begun after another reading; one that goes on after all is no new one."""
        if self.cycle_seen_at is None:
            return False
        return than.cycle_seen_at is None or self.cycle_seen_at > than.cycle_seen_at

    def continues(self, other: KnownUse) -> bool:
        """Return whether it is of the same cycle and allowance as an earlier reading."""
        return self.allowance == other.allowance and not self.is_of_later_cycle(other)


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The last known value of everything that is told when it changes; `told` counts the events.

    Until `session_checked_at` a missing data session was told; `is_gone` is set once it was told that the portal no longer
    knows the SIM.
    """

    told: int = 0
    status: Settled | None = None
    imei: Settled | None = None
    session: LastSession | None = None
    session_checked_at: datetime | None = field(default=None, compare=False)
    counters: CounterHistory = field(default_factory=CounterHistory)
    use: KnownUse | None = None
    day: DailyUse | None = None
    is_gone: bool = False


@dataclass(frozen=True, kw_only=True)
class SimData:
    """What the portal reported of a SIM; a part that could not be read is None.

    `projected_usage` is the data use at the end of the billing cycle in bytes, as of the last read. `history` is what
    earlier reads have told.
    """

    status: str | None = None
    usage: Usage | None = None
    session: Session | None = None
    device: Device | None = None
    device_read_at: datetime | None = None
    failing: Mapping[Endpoint, EndpointFailure] = field(default_factory=dict)
    projected_usage: int | None = None
    history: History = field(default_factory=History)
    settings: SimSettings = field(default_factory=SimSettings)
    writes: PendingWrites = field(default_factory=PendingWrites, compare=False)

    @property
    def last_known_status(self) -> str | None:
        """Return the status, or the last one that was read where none could be read since."""
        told = self.history.status
        return self.status if self.status is not None or told is None else told.value

    @property
    def is_known(self) -> bool:
        """Return whether the portal has reported anything of the SIM, in this run or before it."""
        return any(
            part is not None for part in (self.status, self.usage, self.session, self.device)
        )

    @cached_property
    def counters(self) -> Counters:
        """Return the counters that are believed, in the units of the portal."""
        return (
            Counters()
            if self.usage is None
            else self.history.counters.shown(Counters.of(self.usage))
        )

    @property
    def data_used(self) -> int | None:
        """Return the data use in bytes, whatever unit the network counts in."""
        return self.in_bytes(self.counters.data)

    @property
    def data_peak(self) -> int | None:
        """Return the most bytes that the present cycle has shown; a correction may have lowered them since."""
        return self.in_bytes(self.history.counters.shown_peak)

    def data_used_since(self, midnight: datetime) -> int | None:
        """Return the bytes counted since the last local midnight, None while they are not known."""
        day = self.history.day
        if day is None:
            return None
        return self.in_bytes(day.used) if day.midnight >= midnight else 0

    def in_bytes(self, count: float | None) -> int | None:
        """Return a count of data in bytes."""
        if count is None:
            return None
        is_in_bytes = self.usage is not None and self.usage.is_in_bytes
        return round(count if is_in_bytes else count * self.settings.data_unit)

    @cached_property
    def budget(self) -> Budget | None:
        """Return the data use against the allowance, None without one."""
        allowance, used = self.settings.allowance_of(self.device), self.data_used
        if not allowance or used is None:
            return None
        return Budget(
            used=used,
            allowance=allowance,
            projected_usage=self.projected_usage,
            peak=max(used, self.data_peak or 0),
            cycle_seen_at=self.history.counters.ended_at,
        )

    def with_parts(self, **parts: Any) -> SimData:
        """Return the data with those parts; the same data if it has them."""
        if all(getattr(self, name) == part for name, part in parts.items()):
            return self
        return replace(self, **parts)

    def with_projected_usage(self, now: datetime) -> SimData:
        """Return the data with the projected usage as of a local time; none while the last cycle still counts on."""
        return self.with_parts(projected_usage=self._projected_usage(now))

    def _projected_usage(self, now: datetime) -> int | None:
        """Return the projected usage as of a local time."""
        used, cycle = self.data_used, self.settings.cycle_around(now)
        if used is None or not self.history.counters.has_started_over(cycle.start, now):
            return None
        # Whole megabytes, so that an idle SIM does not change at every poll.
        return round(cycle.projected_usage(used, now) / MEGABYTE) * MEGABYTE

    def with_use(self) -> SimData:
        """Return the data with its use in the history, where the next reading finds it."""
        if (used := self.data_used) is None:
            return self
        before, budget = self.history.use, self.budget
        use = KnownUse(
            used=used,
            peak=max(used, self.data_peak or 0),
            allowance=budget.allowance if budget else None,
            cycle_seen_at=self.history.counters.ended_at,
            was_overage_projected=bool(budget and budget.projects_overage),
        )
        if before is not None and before.was_overage_projected and use.continues(before):
            use = replace(use, was_overage_projected=True)
        if use == before:
            return self
        return replace(self, history=replace(self.history, use=use))

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


def is_one_of(status: str, words: Iterable[str]) -> bool:
    """Return whether a status is one of some words, whatever their case; networks have several for activated."""
    return any(
        status.casefold() == word.casefold() or bool(is_activated(status) and is_activated(word))
        for word in words
    )


def tell_status(
    history: History, status: str | None, now: datetime, *, is_requested: bool = False
) -> tuple[History, list[SimEvent]]:
    """Return the history after a status was read, and the event of a change; a requested one has its own."""
    if status is None:
        return history, []
    old = history.status
    if is_requested:
        # Its confirmation was told: after a crash it must not look like a change that nobody requested.
        history = replace(history, told=history.told + 1)
    if old is None:
        return replace(history, status=Settled(value=status)), []
    if is_requested:
        requested = Settled(value=status, before=old.value, changed_at=now)
        return replace(history, status=requested), []
    new = old.after(status, now, str.casefold)
    if new is old:
        return history, []
    history = replace(history, status=new)
    if old.value.casefold() == new.value.casefold():
        return history, []
    event = SimEvent(
        event_type=SimEventType.STATUS_CHANGED,
        attributes={"from": normalize_status(old.value), "to": normalize_status(new.value)},
    )
    return replace(history, told=history.told + 1), [event]


def tell_read(history: History, data: SimData, now: datetime) -> tuple[History, list[SimEvent]]:
    """Return the history after a read at a local time, and what happened since the values known before.

    A value that is missing is compared when it is there again. What is known for the first time has not happened.
    """
    counters, day, cycle_events = _tell_cycle(history, data, now)
    imei, imei_events = _tell_imei(history.imei, data.usage, now)
    session, session_events = _tell_session(history.session, data.session, now)
    is_session_known = data.session is not None and (
        data.session.started is not None or data.session.ended is not None
    )
    events = [*cycle_events, *imei_events, *session_events]
    read = replace(
        history,
        told=history.told + len(events),
        counters=counters,
        day=day,
        imei=imei,
        session=session,
        session_checked_at=now if is_session_known else history.session_checked_at,
        is_gone=False,
    )
    return read, events


def tell_gone(history: History) -> tuple[History, list[SimEvent]]:
    """Return the history of a SIM that the portal no longer knows, and the event of that, once."""
    if history.is_gone:
        return history, []
    history = replace(history, is_gone=True, told=history.told + 1)
    return history, [SimEvent(event_type=SimEventType.GONE)]


def _tell_cycle(
    history: History, data: SimData, now: datetime
) -> tuple[CounterHistory, DailyUse | None, list[SimEvent]]:
    """Return the counters, the use of the day, and the end of a billing cycle with its last counters."""
    before, usage = history.counters, data.usage
    # A SIM without usage in this cycle may be answered without any counter.
    if usage is None or (not usage and not usage.is_empty):
        return before, history.day, []
    cycle = data.settings.cycle_around(now)
    reading = Counters.of(usage) if usage else before.known.emptied()
    counters, ended = before.after(reading, now, (cycle.start, cycle.end))
    day = count_day(history.day, before, counters, _midnight(now.date(), now.tzinfo), now)
    if ended is None:
        return counters, day, []
    event = SimEvent(
        event_type=SimEventType.BILLING_CYCLE_ENDED,
        attributes={
            "data_usage": data.in_bytes(ended.data),
            "sms_usage": ended.sms,
            "voice_usage": ended.voice,
            "session_count": ended.sessions,
        },
    )
    return counters, day, [event]


def _tell_imei(
    old: Settled | None, usage: Usage | None, now: datetime
) -> tuple[Settled | None, list[SimEvent]]:
    """Return the IMEI, and a move to another device."""
    if usage is None or usage.imei is None:
        return old, []
    new = Settled(value=usage.imei) if old is None else old.after(usage.imei, now, _device_of)
    if old is None or _device_of(old.value) == _device_of(new.value):
        return new, []
    event = SimEvent(
        event_type=SimEventType.MOVED_TO_ANOTHER_DEVICE,
        attributes={"from": old.value, "to": new.value},
    )
    return new, [event]


def _device_of(imei: str) -> str:
    """Return the digits of an IMEI that identify the device."""
    return imei[:IMEI_DEVICE_DIGITS]


def _tell_session(
    old: LastSession | None, session: Session | None, now: datetime
) -> tuple[LastSession | None, list[SimEvent]]:
    """Return the last session, and its start and end, each when it is new.

    An older session than the one known comes from an old answer.
    """
    if session is None:
        return old, []
    started, ended = session.started, session.ended
    if old is None:
        return LastSession(started=started, ended=ended), []
    if started is None and ended is None:
        return old, []
    is_new = started is not None and not _is_same(started, old.started)
    if is_new and started is not None and old.started is not None and started < old.started <= now:
        return old, []
    if not is_new:
        started = old.started
    if not is_new and ended is not None and old.ended is not None and ended <= old.ended:
        ended = old.ended
    has_ended = ended is not None and (is_new or not _is_same(ended, old.ended))
    if not is_new and not has_ended:
        return old, []
    events = []
    if is_new:
        events.append(
            SimEvent(
                event_type=SimEventType.DATA_SESSION_STARTED,
                attributes={
                    "started": started,
                    "ip_address": session.ip_address,
                    "previous_ended": old.ended,
                },
            )
        )
    if has_ended:
        events.append(
            SimEvent(
                event_type=SimEventType.DATA_SESSION_ENDED,
                attributes={"started": started, "ended": ended, "ip_address": session.ip_address},
            )
        )
    return LastSession(started=started, ended=ended), events


def _is_same(moment: datetime, other: datetime | None) -> bool:
    """Return whether two instants are the same for a clock that is not exact."""
    return other is not None and abs(moment - other) <= SAME_INSTANT
