"""The record of what a user requested, compared with the portal's journal and the event entities."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Any, Final

from homeassistant.core import State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from mock_portal import Exchange, MockPortal

from .promises import Promise, Promises

# A write is followed for a day; the rest is for the event at its end.
CHECKED_AFTER: Final = timedelta(hours=26)
UNKNOWN: Final = "may have been carried out"


class Kind(StrEnum):
    """The kind of a requested write."""

    SMS = "SMS"
    STATUS = "status change"
    NOTE = "note"


class Outcome(Enum):
    """The response that the user got to a request."""

    DONE = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    # Home Assistant was stopped before it responded.
    CUT_OFF = auto()


TIME_ATTRIBUTES: Final = {"sms_event": "sent_at", "sim_event": "requested_at"}
FINAL_EVENTS: Final = {
    Kind.SMS: {"sms_delivered", "sms_failed", "sms_unconfirmed"},
    Kind.STATUS: {
        "status_change_confirmed",
        "status_change_timed_out",
        "status_change_replaced",
    },
}


@dataclass(kw_only=True, slots=True)
class WriteRequest:
    """A write that was requested once, under the portal's route; `value` is a text or a status."""

    iccid: str
    kind: Kind
    route: str
    value: str
    started: datetime
    ended: datetime | None = None
    outcome: Outcome | None = None
    arrived: int = 0
    carried_out: int = 0
    events: list[str] = field(default_factory=list)
    is_removed: bool = False
    is_repeated: bool = False
    is_disk_full: bool = False

    def covers(self, moment: datetime) -> bool:
        """Return whether the request was in progress at a moment."""
        return self.started <= moment and (self.ended is None or moment <= self.ended)

    @property
    def ends(self) -> list[str]:
        """Return the events that ended it."""
        return [event for event in self.events if event in FINAL_EVENTS[self.kind]]

    def __str__(self) -> str:
        """Return a description for a message."""
        outcome = self.outcome.name if self.outcome else "under way"
        return (
            f"{self.kind} {self.value!r} by {self.route} to {self.iccid} at {self.started:%Y-%m-%d %H:%M:%S} "
            f"({outcome}, arrived {self.arrived}, carried out {self.carried_out}, told {self.events})"
        )


@dataclass(kw_only=True, slots=True)
class Expected:
    """An event that must come once without a request: an SMS from a SIM, or a report of a bulk edit."""

    since: datetime
    iccid: str = ""
    text: str | None = None
    count: int = 0
    is_removed: bool = False


class Ledger:
    """The recent requests and expected events."""

    def __init__(self, portal: MockPortal, promises: Promises) -> None:
        """Start without requests."""
        self._portal = portal
        self._promises = promises
        self._requests: dict[str, list[WriteRequest]] = {}
        self._expected: dict[str, Expected] = {}
        self.is_disk_full = False

    @contextmanager
    def requesting(self, kind: Kind, route: str, value: str, *iccids: str) -> Iterator[None]:
        """Record a request, and its outcome when the context ends."""
        started = dt_util.utcnow()
        asked = [
            WriteRequest(
                iccid=iccid,
                kind=kind,
                route=route,
                value=value,
                started=started,
                is_disk_full=self.is_disk_full,
            )
            for iccid in iccids
        ]
        for request in asked:
            self._requests.setdefault(request.iccid, []).append(request)
        outcome = Outcome.CUT_OFF
        try:
            yield
        except HomeAssistantError as err:
            outcome = Outcome.UNKNOWN if UNKNOWN in str(err) else Outcome.REFUSED
        else:
            outcome = Outcome.DONE
        finally:
            for request in asked:
                self._record_outcome(request, outcome)

    def _record_outcome(self, request: WriteRequest, outcome: Outcome) -> None:
        """Record the outcome of a request."""
        request.outcome, request.ended = outcome, dt_util.utcnow()
        self._promises.count(
            f"{request.kind} by {request.route}: {outcome.name.lower().replace('_', ' ')}"
        )
        if request.is_disk_full:
            self._promises.count("writes on a full disk")
            if outcome in (Outcome.DONE, Outcome.UNKNOWN):
                self._promises.mark_broken(Promise.STORED_FIRST, str(request))
        if request.kind is Kind.STATUS and outcome in (Outcome.DONE, Outcome.UNKNOWN):
            for other in self._requests[request.iccid]:
                is_the_same = (other.kind, other.value) == (request.kind, request.value)
                other.is_repeated |= other is not request and is_the_same

    def expect(self, name: str, *, iccid: str = "", text: str | None = None) -> None:
        """Expect the event of an SMS from a SIM by its ID, or of a report by its queue ID.

        A report can arrive before the response that contains its queue ID.
        """
        self._expected.setdefault(name, Expected(since=dt_util.utcnow(), iccid=iccid, text=text))

    def sim_removed(self, iccid: str) -> None:
        """Expect no further events of a removed SIM."""
        for request in self._requests.get(iccid, ()):
            request.is_removed = True
        for expected in self._expected.values():
            expected.is_removed |= expected.iccid == iccid

    def record_event(self, iccid: str, key: str, state: State) -> None:
        """Record an event of an event entity."""
        event = state.attributes["event_type"]
        self._promises.count(f"event: {key} {event}")
        if (name := self._name(key, state)) is not None:
            self._record_expected(name, state)
        if (moment := state.attributes.get(TIME_ATTRIBUTES.get(key, ""))) is None:
            return
        kind = Kind.SMS if key == "sms_event" else Kind.STATUS
        found = self._find(iccid, lambda request: request.kind is kind and request.covers(moment))
        if len(found) != 1:
            how = (
                f"{event} of {iccid} for {moment}, which fits {[str(request) for request in found]}"
            )
            self._promises.mark_broken(Promise.ENDED_ONCE, how)
            return
        request = found[0]
        request.events.append(event)
        if (
            request.is_removed
            or request.outcome is Outcome.REFUSED
            or request.events.count(event) > 1
        ):
            self._promises.mark_broken(Promise.ENDED_ONCE, f"{event} for {request}")
        if event in ("sms_delivered", "sms_failed"):
            self._check_end_of_sms(event, request, state.attributes)

    def _name(self, key: str, state: State) -> str | None:
        """Return the ID of an event that needs no request."""
        told = state.attributes
        if key == "bulk_edit":
            return str(told["queue_id"])
        return str(told["sms_id"]) if told["event_type"] == "sms_received" else None

    def _record_expected(self, name: str, state: State) -> None:
        """Record an event that needs no request; it may come before it is expected."""
        expected = self._expected.setdefault(name, Expected(since=dt_util.utcnow()))
        expected.count += 1
        message = state.attributes.get("message")
        if expected.count > 1 or expected.is_removed or message != expected.text:
            self._promises.mark_broken(Promise.ENDED_ONCE, f"{state} for {expected}")

    def _check_end_of_sms(self, event: str, request: WriteRequest, told: Any) -> None:
        """Check that the portal has the same end of an SMS."""
        sms = self._portal.state.sms[int(told["sms_id"])]
        if sms.text != request.value or f"sms_{sms.status.lower()}" != event:
            self._promises.mark_broken(Promise.TOLD_THE_TRUTH, f"{event} for {request}: {sms}")

    def read_journal(self) -> None:
        """Match each write in the journal to its request, and clear the journal."""
        for exchange in self._portal.journal:
            self._promises.count("requests")
            self._promises.count("faults", exchange.fault is not None)
            # A log-in that failed due to a fault is repeated.
            self._promises.count("log-ins", exchange.route == "Login" and exchange.fault is None)
            # A write that is refused because of its token is repeated with a new one.
            if exchange.method == "PUT" and exchange.status != 401:
                self._match_write(exchange)
        self._portal.journal.clear()

    def _match_write(self, exchange: Exchange) -> None:
        """Match a write to its requests."""
        body = exchange.body
        assert isinstance(body, dict)
        update, iccids = body.get("update", body), body.get("iccids", [exchange.iccid])
        assert isinstance(update, dict)
        assert isinstance(iccids, list)
        values = set(update.values())
        for iccid in iccids:
            self._match_write_to_sim(str(iccid), values, exchange)

    def _match_write_to_sim(self, iccid: str, values: set[Any], exchange: Exchange) -> None:
        """Match a write to a SIM's request."""
        found = self._find(
            iccid,
            lambda request: (
                request.route == exchange.route
                and request.value in values
                and request.covers(exchange.time)
            ),
        )
        if len(found) != 1:
            how = f"{exchange} at {exchange.time} fits {[str(request) for request in found]}"
            self._promises.mark_broken(Promise.WRITTEN_ONCE, how)
            return
        request = found[0]
        request.arrived += 1
        if request.is_disk_full:
            self._promises.mark_broken(Promise.STORED_FIRST, str(request))
        fault = exchange.fault
        is_stopped_before = fault in ("status", "rate_limited", "reset_before_read", "hang")
        request.carried_out += not is_stopped_before and exchange.status in (None, 200)
        if request.arrived > 1:
            self._promises.mark_broken(Promise.WRITTEN_ONCE, str(request))

    def check_due(self, *, everything: bool = False) -> None:
        """Check all requests that must have ended by now, and remove them."""
        before = dt_util.utcnow() - (timedelta() if everything else CHECKED_AFTER)
        self._delete_old(before)
        for iccid, requests in self._requests.items():
            due = [request for request in requests if request.ended and request.ended <= before]
            for request in due:
                self._check_request(request)
            self._requests[iccid] = [request for request in requests if request not in due]
        for name, expected in list(self._expected.items()):
            if expected.since <= before:
                self._check_expected(name, self._expected.pop(name))

    def _delete_old(self, before: datetime) -> None:
        """Delete old SMS and bulk edits of the portal, so that its memory does not grow."""
        state = self._portal.state
        for sms in list(state.sms.values())[:-1]:
            if sms.modified <= before - CHECKED_AFTER:
                del state.sms[sms.id]
        state.bulk_edits[:] = [edit for edit in state.bulk_edits if edit.due > before]

    def _check_request(self, request: WriteRequest) -> None:
        """Compare a request with its events."""
        if request.outcome is Outcome.DONE and not request.carried_out:
            self._promises.mark_broken(Promise.TOLD_THE_TRUTH, f"not carried out: {request}")
        if request.outcome is Outcome.REFUSED and request.carried_out:
            self._promises.mark_broken(Promise.TOLD_THE_TRUTH, f"carried out: {request}")
        if request.kind is Kind.NOTE or request.is_removed or request.outcome is Outcome.REFUSED:
            return
        if request.outcome is Outcome.CUT_OFF and not request.arrived and not request.events:
            # The power cut came before anything was stored.
            return
        # The events follow the last of several requests for the same status.
        if len(request.ends) != 1 and not (request.is_repeated and not request.ends):
            self._promises.mark_broken(Promise.ENDED_ONCE, str(request))
        self._promises.count("followed to one end", len(request.ends))
        if (
            request.kind is Kind.SMS
            and request.outcome is Outcome.DONE
            and request.events.count("sms_sent") != 1
        ):
            self._promises.mark_broken(Promise.ENDED_ONCE, f"never told as sent: {request}")

    def _check_expected(self, name: str, expected: Expected) -> None:
        """Check that an expected event has come."""
        if not expected.count and not expected.is_removed:
            self._promises.mark_broken(Promise.ENDED_ONCE, f"never told: {name} {expected}")

    def _find(self, iccid: str, fits: Callable[[WriteRequest], bool]) -> list[WriteRequest]:
        """Return the requests for a SIM that match."""
        return [request for request in self._requests.get(iccid, ()) if fits(request)]
