"""One SIM, and how it changes over time."""

from calendar import monthrange
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, partial
import re
from typing import override

from . import routes, serialization
from .clock import Clock
from .errors import SetupError, suggest
from .exchange import Json, Record
from .locking import locked
from .serialization import Checked

STATUSES = (
    "TEST_READY",
    "INVENTORY",
    "TRIAL",
    "ACTIVATION_READY",
    "ACTIVATED",
    "DEACTIVATED",
    "RETIRED",
    "PURGED",
    "REPLACED",
)
TERMINAL = frozenset({"RETIRED", "PURGED", "REPLACED"})

# The only provider network that the published document names.
ABZORB_NETWORK = "abzorb"

_ADDRESS = "100.64.0.1"
_COUNT = serialization.between(0, 10**15)

# The fields of GetDevice, except identity and dates, with their defaults.
DEVICE: dict[str, Json] = {
    "ratePlan": "Mock EU 500MB",
    "communicationPlan": "Mock EU DATA SMS Voice",
    "customer": "Mock customer",
    "endConsumerId": None,
    "accountId": "100000001",
    "fixedIPAddress": None,
    "simNotes": None,
    "deviceID": None,
    "modemID": None,
    "globalSimType": "NONE",
    "username": "",
    "commsplan": "MULTINETWORK",
    "isshared": "False",
    "parenticcid": "",
    "dataquantity": "500",
    "datasize": "MB",
    "action": "",
    "zh_q_id": "",
    "contractdetails": "1-Current",
}


# The fields that answers about a SIM have.
ANSWER_FIELDS = (
    *("iccid", "imsi", "msisdn", "imei", "status"),
    *("ctdDataUsage", "ctdSMSUsage", "ctdVoiceUsage", "ctdSessionCount"),
    *("dateActivated", "dateCreated", "dateUpdated", "dateShipped"),
    *("ipAddress", "dateSessionStarted", "dateSessionEnded"),
    *DEVICE,
)

type Span = float | str | timedelta


def check_status(status: str) -> None:
    """Raise an error for an unknown status."""
    if status not in STATUSES:
        msg = f"there is no status {status!r}; {suggest(status, STATUSES)}"
        raise SetupError(msg)


class _Names(dict[str, Json]):
    """A mapping whose names and values are checked when one is set."""

    def __init__(
        self, check: Callable[[Mapping[str, Json]], object], values: Mapping[str, Json]
    ) -> None:
        """Store the check, and values that have passed it."""
        super().__init__(values)
        self._check = check

    @override
    def __setitem__(self, name: str, value: Json) -> None:
        self._check({name: value})
        super().__setitem__(name, value)


def _names(check: Callable[[Mapping[str, Json]], object]) -> dict[str, object]:
    """Return the metadata of a field for a mapping that stays checked."""
    return {"check": check, "wrap": partial(_Names, check)}


def _check_iccid(iccid: str) -> None:
    """Raise an error for what cannot stand in a path."""
    if not (iccid.isascii() and iccid.isalnum()):
        msg = f"an ICCID consists of digits, not {iccid!r}"
        raise SetupError(msg)


def _check_device(values: Mapping[str, Json]) -> None:
    """Raise an error for a field that no device has, and for a value that is no text."""
    _check_known(values, DEVICE)
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            msg = f"{name} must be a text or null, not {value!r}"
            raise SetupError(msg)


def _check_placeholders(values: Mapping[str, Json]) -> None:
    """Raise an error for a field that no answer has."""
    _check_known(values, ANSWER_FIELDS)


def _check_known(values: Mapping[str, Json], known: Collection[str]) -> None:
    """Raise an error for an unknown name."""
    for name in values:
        if name not in known:
            msg = f"there is no {name!r}; {suggest(name, known)}"
            raise SetupError(msg)


class EventKind(StrEnum):
    """The kind of a planned event."""

    STATUS = "status"
    SESSION_OPEN = "session_open"
    SESSION_CLOSE = "session_close"
    IMEI = "imei"
    CORRECTION = "correction"


_EXAMPLES = {EventKind.STATUS: "DEACTIVATED", EventKind.IMEI: "3569380012345678"}


@dataclass(frozen=True, kw_only=True)
class Event:
    """A planned event of a SIM."""

    due: datetime
    kind: EventKind
    value: str | None = None

    def __post_init__(self) -> None:
        """Reject a value that does not fit the kind."""
        needs_value = self.kind in {EventKind.STATUS, EventKind.IMEI}
        if needs_value and not (isinstance(self.value, str) and self.value):
            msg = f"A planned {self.kind} needs a value, such as {_EXAMPLES[self.kind]!r}"
            raise SetupError(msg)
        is_count = isinstance(self.value, str) and re.fullmatch("[0-9]{1,15}", self.value)
        if self.kind is EventKind.CORRECTION and not is_count:
            msg = f"A planned correction takes off some bytes, such as '1000', not {self.value!r}"
            raise SetupError(msg)


@dataclass(kw_only=True)
class Sim(Checked):
    """One SIM; `data_usage` is bytes, `voice_usage` seconds, both since the cycle began.

    Data grows by `bytes_per_second` while the SIM is ACTIVATED; `posted_every` is the interval in
    seconds at which `unposted` data is added. The cycle begins at midnight UTC of `cycle_day`.
    `placeholders` are answered in place of the fields they name, in so many reads as
    `placeholder_reads`, or in all.
    """

    _unchecked = frozenset({"clock", "settled_at"})

    iccid: str = field(metadata={"check": _check_iccid})
    network: str = "jasper"
    status: str = "ACTIVATED"
    imsi: str = ""
    msisdn: str = ""
    imei: str = ""
    device: dict[str, Json] = field(default_factory=dict, metadata=_names(_check_device))
    date_activated: datetime | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None
    date_shipped: datetime | None = None
    data_usage: int = serialization.checked(0, _COUNT)
    sms_usage: int = serialization.checked(0, _COUNT)
    voice_usage: int = serialization.checked(0, _COUNT)
    session_count: int | None = serialization.checked(0, _COUNT)
    bytes_per_second: float = serialization.checked(0.0, _COUNT)
    posted_every: float = serialization.checked(0.0, serialization.between(0, 31 * 24 * 3600))
    unposted: float = serialization.checked(0.0, _COUNT)
    cycle_day: int = serialization.checked(1, serialization.between(1, 31))
    ip_address: str | None = None
    session_started: datetime | None = None
    session_ended: datetime | None = None
    refused_routes: frozenset[str] = serialization.checked(frozenset(), routes.check_all)
    placeholders: dict[str, Json] = field(
        default_factory=dict, metadata=_names(_check_placeholders)
    )
    placeholder_reads: int | None = serialization.checked(None, _COUNT)
    requested_status: str | None = None
    reads_to_go: int | None = None
    agenda: list[Event] = field(default_factory=list)
    settled_at: datetime | None = None
    clock: Clock = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive missing identities from the ICCID."""
        digits = self.iccid[-11:-1].rjust(10, "0")
        self.imsi = self.imsi or f"20408{digits}"
        self.msisdn = self.msisdn or f"3197{digits[1:]}"
        self.imei = self.imei or f"3569380{digits[1:]}"
        # Their items have been checked; those that are set later will be.
        vars(self)["device"] = _Names(_check_device, DEVICE | self.device)
        vars(self)["placeholders"] = _Names(_check_placeholders, self.placeholders)

    def attach_clock(self, clock: Clock) -> None:
        """Attach the clock that the SIM follows, and bring the SIM up to date."""
        self.clock = clock
        self.settled_at = self.settled_at or clock.now()
        self.settle()

    @property
    @override
    def lock(self) -> AbstractContextManager[object]:
        """Return the lock of the portal that the SIM is in, if it is in one."""
        return self.clock.lock if "clock" in vars(self) else super().lock

    @override
    def now(self) -> datetime:
        """Return the moment that relative times start at."""
        return self.clock.now() if "clock" in vars(self) else super().now()

    @property
    def in_session(self) -> bool:
        """Return whether a data session is open; an end before the start is that of another one."""
        if self.session_started is None:
            return False
        return self.session_ended is None or self.session_ended < self.session_started

    def settle(self, until: datetime | None = None) -> None:
        """Apply everything due until then, by default until now."""
        # Not `locked`, which costs more, as every request comes here.
        with self.clock.lock:
            now = self.clock.now()
            until = until or now
            # After the clock was set back, usage accrues at once.
            self.settled_at = min(self.settled_at or now, now)
            self.agenda.sort(key=lambda event: event.due)
            while self.agenda and self.agenda[0].due <= until:
                event = self.agenda.pop(0)
                self._accrue_until(event.due)
                self._apply_event(event)
            self._accrue_until(until)

    def note_read(self) -> None:
        """Count a read of the status; a requested status may arrive after some reads."""
        if self.reads_to_go is None:
            return
        if self.reads_to_go > 0:
            self.reads_to_go -= 1
            return
        self.reads_to_go = None
        self.set_status(self.requested_status or self.status)

    def stand_ins(self, record: Record) -> Record:
        """Return the placeholders for fields of a record, and count the read."""
        found = {name: value for name, value in self.placeholders.items() if name in record}
        if not found or self.placeholder_reads == 0:
            return {}
        if self.placeholder_reads is not None:
            self.placeholder_reads -= 1
        return found

    @locked
    def request_status(
        self, status: str, *, after: float | None = None, reads: int | None = None
    ) -> None:
        """Set a requested status after some seconds or after some reads, or never."""
        self.requested_status = status
        if after is not None:
            self.set_status(status, after=after)
        if reads is not None:
            self.reads_to_go = reads

    def set_status(self, status: str, *, after: Span = 0) -> None:
        """Change the status, now or after some seconds; a word of one network only is set as the field `status`."""
        if status:
            check_status(status)
        self._plan(EventKind.STATUS, status, after)

    def open_session(self, ip_address: str | None = None, *, after: Span = 0) -> None:
        """Open a data session, now or after some seconds."""
        self._plan(EventKind.SESSION_OPEN, ip_address, after)

    def close_session(self, *, after: Span = 0) -> None:
        """Close the data session, now or after some seconds."""
        self._plan(EventKind.SESSION_CLOSE, None, after)

    def swap_imei(self, imei: str, *, after: Span = 0) -> None:
        """Move the SIM to another device, now or after some seconds."""
        self._plan(EventKind.IMEI, imei, after)

    def correct_usage(self, by: int, *, after: Span = 0) -> None:
        """Take some bytes off the data usage, as a correction does, now or after some seconds."""
        self._plan(EventKind.CORRECTION, str(by), after)

    @locked
    def _plan(self, kind: EventKind, value: str | None, after: Span) -> None:
        """Add an event to the agenda."""
        self.agenda.append(Event(due=self.clock.later(after), kind=kind, value=value))
        self.settle()

    def _apply_event(self, event: Event) -> None:
        """Apply an event."""
        match event.kind:
            case EventKind.STATUS:
                self._set_status(str(event.value), event.due)
            case EventKind.SESSION_OPEN:
                self._open(event.value, event.due)
            case EventKind.SESSION_CLOSE:
                self._close(event.due)
            case EventKind.IMEI:
                self.imei = str(event.value)
                self.date_updated = event.due
            case EventKind.CORRECTION:
                self.data_usage = max(self.data_usage - int(event.value or 0), 0)

    def _set_status(self, status: str, now: datetime) -> None:
        """Set the status; leaving ACTIVATED closes the session."""
        self.status = status
        self.date_updated = now
        if self.requested_status == status:
            self.requested_status = None
        if status == "ACTIVATED":
            self.date_activated = self.date_activated or now
        else:
            self._close(now)

    def _open(self, ip_address: str | None, now: datetime) -> None:
        """Open a session; it activates a SIM in ACTIVATION_READY."""
        if self.status == "ACTIVATION_READY":
            self._set_status("ACTIVATED", now)
        self.ip_address = ip_address or self.ip_address or _ADDRESS
        self.session_started = now
        self.session_ended = None
        if self.session_count is not None:
            self.session_count += 1

    def _close(self, now: datetime) -> None:
        """Close the session and post its data."""
        if self.in_session:
            # The clock may have been set back during the session.
            self.session_ended = max(now, self.session_started or now)
            self._post()

    def _accrue_until(self, until: datetime) -> None:
        """Accrue usage until then, cycle by cycle."""
        settled_at = self.settled_at or until
        if until <= settled_at:
            return
        while (cycle_end := self._cycle_end(settled_at)) <= until:
            self.data_usage = self.sms_usage = self.voice_usage = 0
            self.unposted = 0.0
            if self.session_count is not None:
                self.session_count = 0
            settled_at = cycle_end
        self._grow(settled_at, until)
        self.settled_at = until

    def _cycle_end(self, moment: datetime) -> datetime:
        """Return the end of the cycle that contains a moment."""
        year, month = moment.year, moment.month
        start = _day_of_month(year, month, self.cycle_day)
        if moment < start:
            return start
        return _day_of_month(year + month // 12, month % 12 + 1, self.cycle_day)

    def _grow(self, since: datetime, until: datetime) -> None:
        """Accrue data, and post what is due."""
        if not self.bytes_per_second or self.status != "ACTIVATED":
            return
        if not self.posted_every:
            self.unposted += self.bytes_per_second * (until - since).total_seconds()
            self._post()
            return
        posting = datetime.fromtimestamp(
            until.timestamp() // self.posted_every * self.posted_every, UTC
        )
        if posting > since:
            self.unposted += self.bytes_per_second * (posting - since).total_seconds()
            self._post()
            since = posting
        self.unposted += self.bytes_per_second * (until - since).total_seconds()

    def _post(self) -> None:
        """Add the unposted data to the usage."""
        whole = int(self.unposted)
        self.data_usage += whole
        self.unposted -= whole


@cache
def _day_of_month(year: int, month: int, day: int) -> datetime:
    """Return midnight of that day, or of the last day of a shorter month."""
    return datetime(year, month, min(day, monthrange(year, month)[1]), tzinfo=UTC)
