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

from mock_portal import MockPortal
from mock_portal.journal import Exchange

from .promises import Promise, Promises

# A write is followed for a day; the rest is for the event at its end.
JUDGED_AFTER: Final = timedelta(hours=26)
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


MOMENTS: Final = {"sms": "sent_at", "lifecycle": "requested_at"}
ENDS: Final = {
    Kind.SMS: {"delivered", "failed", "unconfirmed"},
    Kind.STATUS: {
        "status_change_confirmed",
        "status_change_timed_out",
        "status_change_superseded",
    },
}


@dataclass(kw_only=True, slots=True)
class Wish:
    """A write that was requested once, under the portal's route; `word` is a text or a status."""

    iccid: str
    kind: Kind
    route: str
    word: str
    began: datetime
    over: datetime | None = None
    outcome: Outcome | None = None
    arrived: int = 0
    carried_out: int = 0
    told: list[str] = field(default_factory=list)
    is_gone: bool = False
    is_renewed: bool = False

    def spans(self, moment: datetime) -> bool:
        """Return whether the request was in progress at a moment."""
        return self.began <= moment and (self.over is None or moment <= self.over)

    @property
    def ends(self) -> list[str]:
        """Return the events that ended it."""
        return [event for event in self.told if event in ENDS[self.kind]]

    def __str__(self) -> str:
        """Return a description for a message."""
        outcome = self.outcome.name if self.outcome else "under way"
        return (
            f"{self.kind} {self.word!r} by {self.route} to {self.iccid} at {self.began:%Y-%m-%d %H:%M:%S} "
            f"({outcome}, arrived {self.arrived}, carried out {self.carried_out}, told {self.told})"
        )


@dataclass(kw_only=True, slots=True)
class Expected:
    """An event that must come once without a request: an SMS from a SIM, or a report of a bulk edit."""

    since: datetime
    iccid: str = ""
    text: str | None = None
    told: int = 0
    is_gone: bool = False


class Ledger:
    """The recent requests and expected events."""

    def __init__(self, portal: MockPortal, promises: Promises) -> None:
        """Start without requests."""
        self._portal = portal
        self._promises = promises
        self._wishes: dict[str, list[Wish]] = {}
        self._expected: dict[str, Expected] = {}

    @contextmanager
    def asking(self, kind: Kind, route: str, word: str, *iccids: str) -> Iterator[None]:
        """Record a request, and its outcome when the context ends."""
        began = dt_util.utcnow()
        asked = [
            Wish(iccid=iccid, kind=kind, route=route, word=word, began=began) for iccid in iccids
        ]
        for wish in asked:
            self._wishes.setdefault(wish.iccid, []).append(wish)
        outcome = Outcome.CUT_OFF
        try:
            yield
        except HomeAssistantError as err:
            outcome = Outcome.UNKNOWN if UNKNOWN in str(err) else Outcome.REFUSED
        else:
            outcome = Outcome.DONE
        finally:
            for wish in asked:
                self._close(wish, outcome)

    def _close(self, wish: Wish, outcome: Outcome) -> None:
        """Record the outcome of a request."""
        wish.outcome, wish.over = outcome, dt_util.utcnow()
        self._promises.note(
            f"{wish.kind} by {wish.route}: {outcome.name.lower().replace('_', ' ')}"
        )
        if wish.kind is Kind.STATUS and outcome in (Outcome.DONE, Outcome.UNKNOWN):
            for other in self._wishes[wish.iccid]:
                is_the_same = (other.kind, other.word) == (wish.kind, wish.word)
                other.is_renewed |= other is not wish and is_the_same

    def expect(self, name: str, *, iccid: str = "", text: str | None = None) -> None:
        """Expect the event of an SMS from a SIM by its ID, or of a report by its queue ID.

        A report can arrive before the response that contains its queue ID.
        """
        self._expected.setdefault(name, Expected(since=dt_util.utcnow(), iccid=iccid, text=text))

    def sim_removed(self, iccid: str) -> None:
        """Expect no further events of a removed SIM."""
        for wish in self._wishes.get(iccid, ()):
            wish.is_gone = True
        for expected in self._expected.values():
            expected.is_gone |= expected.iccid == iccid

    def told(self, iccid: str, key: str, state: State) -> None:
        """Record an event of an event entity."""
        event = state.attributes["event_type"]
        self._promises.note(f"event: {key} {event}")
        if (name := self._name(key, state)) is not None:
            self._told_of_itself(name, state)
        if (moment := state.attributes.get(MOMENTS.get(key, ""))) is None:
            return
        kind = Kind.SMS if key == "sms" else Kind.STATUS
        found = self._find(iccid, lambda wish: wish.kind is kind and wish.spans(moment))
        if len(found) != 1:
            how = f"{event} of {iccid} for {moment}, which fits {[str(wish) for wish in found]}"
            self._promises.break_(Promise.ENDED_ONCE, how)
            return
        wish = found[0]
        wish.told.append(event)
        if wish.is_gone or wish.outcome is Outcome.REFUSED or wish.told.count(event) > 1:
            self._promises.break_(Promise.ENDED_ONCE, f"{event} for {wish}")
        if event in ("delivered", "failed"):
            self._check_end_of_sms(event, wish, state.attributes)

    def _name(self, key: str, state: State) -> str | None:
        """Return the ID of an event that needs no request."""
        told = state.attributes
        if key == "bulk_edit":
            return str(told["queue_id"])
        return str(told["sms_id"]) if told["event_type"] == "received" else None

    def _told_of_itself(self, name: str, state: State) -> None:
        """Record an event that needs no request; it may come before it is expected."""
        expected = self._expected.setdefault(name, Expected(since=dt_util.utcnow()))
        expected.told += 1
        message = state.attributes.get("message")
        if expected.told > 1 or expected.is_gone or message != expected.text:
            self._promises.break_(Promise.ENDED_ONCE, f"{state} for {expected}")

    def _check_end_of_sms(self, event: str, wish: Wish, told: Any) -> None:
        """Check that the portal has the same end of an SMS."""
        sms = self._portal.state.sms[int(told["sms_id"])]
        if sms.text != wish.word or sms.status.lower() != event:
            self._promises.break_(Promise.TOLD_THE_TRUTH, f"{event} for {wish}: {sms}")

    def read_journal(self) -> None:
        """Match each write in the journal to its request, and clear the journal."""
        for exchange in self._portal.journal:
            self._promises.note("requests")
            self._promises.note("faults", exchange.fault is not None)
            # A log-in that failed due to a fault is repeated.
            self._promises.note("log-ins", exchange.route == "Login" and exchange.fault is None)
            # A write that is refused because of its token is repeated with a new one.
            if exchange.method == "PUT" and exchange.status != 401:
                self._take(exchange)
        self._portal.journal.clear()

    def _take(self, exchange: Exchange) -> None:
        """Match a write to its requests."""
        body = exchange.body
        assert isinstance(body, dict)
        update, iccids = body.get("update", body), body.get("iccids", [exchange.iccid])
        assert isinstance(update, dict)
        assert isinstance(iccids, list)
        words = set(update.values())
        for iccid in iccids:
            self._take_for(str(iccid), words, exchange)

    def _take_for(self, iccid: str, words: set[Any], exchange: Exchange) -> None:
        """Match a write to a SIM's request."""
        found = self._find(
            iccid,
            lambda wish: (
                wish.route == exchange.route and wish.word in words and wish.spans(exchange.time)
            ),
        )
        if len(found) != 1:
            how = f"{exchange} at {exchange.time} fits {[str(wish) for wish in found]}"
            self._promises.break_(Promise.WRITTEN_ONCE, how)
            return
        wish = found[0]
        wish.arrived += 1
        fault = exchange.fault
        has_struck_before = fault in ("status", "rate_limited", "reset_before_read", "hang")
        wish.carried_out += not has_struck_before and exchange.status in (None, 200)
        if wish.arrived > 1:
            self._promises.break_(Promise.WRITTEN_ONCE, str(wish))

    def judge(self, *, everything: bool = False) -> None:
        """Check all requests that must have ended by now, and remove them."""
        before = dt_util.utcnow() - (timedelta() if everything else JUDGED_AFTER)
        self._forget_old(before)
        for iccid, wishes in self._wishes.items():
            due = [wish for wish in wishes if wish.over and wish.over <= before]
            for wish in due:
                self._judge(wish)
            self._wishes[iccid] = [wish for wish in wishes if wish not in due]
        for name, expected in list(self._expected.items()):
            if expected.since <= before:
                self._judge_expected(name, self._expected.pop(name))

    def _forget_old(self, before: datetime) -> None:
        """Delete old SMS and bulk edits of the portal, so that its memory does not grow."""
        state = self._portal.state
        for sms in list(state.sms.values())[:-1]:
            if sms.modified <= before - JUDGED_AFTER:
                del state.sms[sms.id]
        state.bulk_edits[:] = [edit for edit in state.bulk_edits if edit.due > before]

    def _judge(self, wish: Wish) -> None:
        """Compare a request with its events."""
        if wish.outcome is Outcome.DONE and not wish.carried_out:
            self._promises.break_(Promise.TOLD_THE_TRUTH, f"not carried out: {wish}")
        if wish.outcome is Outcome.REFUSED and wish.carried_out:
            self._promises.break_(Promise.TOLD_THE_TRUTH, f"carried out: {wish}")
        if wish.kind is Kind.NOTE or wish.is_gone or wish.outcome is Outcome.REFUSED:
            return
        if wish.outcome is Outcome.CUT_OFF and not wish.arrived and not wish.told:
            # The power cut came before anything was stored.
            return
        # The events follow the last of several requests for the same status.
        if len(wish.ends) != 1 and not (wish.is_renewed and not wish.ends):
            self._promises.break_(Promise.ENDED_ONCE, str(wish))
        self._promises.note("followed to one end", len(wish.ends))
        if wish.kind is Kind.SMS and wish.outcome is Outcome.DONE and wish.told.count("sent") != 1:
            self._promises.break_(Promise.ENDED_ONCE, f"never told as sent: {wish}")

    def _judge_expected(self, name: str, expected: Expected) -> None:
        """Check that an expected event has come."""
        if not expected.told and not expected.is_gone:
            self._promises.break_(Promise.ENDED_ONCE, f"never told: {name} {expected}")

    def _find(self, iccid: str, fits: Callable[[Wish], bool]) -> list[Wish]:
        """Return the requests for a SIM that match."""
        return [wish for wish in self._wishes.get(iccid, ()) if fits(wish)]
