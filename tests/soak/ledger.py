"""The book of what a person asked for, held against the portal's journal and the event entities."""

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

# A day of patience, and some more for what is told at its end.
JUDGED_AFTER: Final = timedelta(hours=26)
UNKNOWN: Final = "may have been carried out"


class Kind(StrEnum):
    """What can be asked for."""

    SMS = "SMS"
    STATUS = "status change"
    NOTE = "note"


class Outcome(Enum):
    """What the person was told of a request."""

    DONE = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    # Home Assistant was stopped before it could tell.
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
    """Something that was asked for once, by the portal's name of the request: `word` is a text or a status."""

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
        """Tell whether it was being asked for at a moment."""
        return self.began <= moment and (self.over is None or moment <= self.over)

    @property
    def ends(self) -> list[str]:
        """Return how it ended."""
        return [event for event in self.told if event in ENDS[self.kind]]

    def __str__(self) -> str:
        """Describe it for a message."""
        outcome = self.outcome.name if self.outcome else "under way"
        return (
            f"{self.kind} {self.word!r} by {self.route} to {self.iccid} at {self.began:%Y-%m-%d %H:%M:%S} "
            f"({outcome}, arrived {self.arrived}, carried out {self.carried_out}, told {self.told})"
        )


@dataclass(kw_only=True, slots=True)
class Expected:
    """Something that is to be told once, though nobody asked for it: an SMS from a SIM, a report of an edit."""

    since: datetime
    iccid: str = ""
    text: str | None = None
    told: int = 0
    is_gone: bool = False


class Ledger:
    """Everything that was asked for lately."""

    def __init__(self, portal: MockPortal, promises: Promises) -> None:
        """Start with an empty book."""
        self._portal = portal
        self._promises = promises
        self._wishes: dict[str, list[Wish]] = {}
        self._expected: dict[str, Expected] = {}

    @contextmanager
    def asking(self, kind: Kind, route: str, word: str, *iccids: str) -> Iterator[None]:
        """Note that something is asked for, and what the person is told."""
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
        """Note what a person was told in the end."""
        wish.outcome, wish.over = outcome, dt_util.utcnow()
        self._promises.note(
            f"{wish.kind} by {wish.route}: {outcome.name.lower().replace('_', ' ')}"
        )
        if wish.kind is Kind.STATUS and outcome in (Outcome.DONE, Outcome.UNKNOWN):
            for other in self._wishes[wish.iccid]:
                is_the_same = (other.kind, other.word) == (wish.kind, wish.word)
                other.is_renewed |= other is not wish and is_the_same

    def expect(self, name: str, *, iccid: str = "", text: str | None = None) -> None:
        """Expect to be told of an SMS from a SIM by its id, or of a report by its queue id.

        A report can overtake the answer in which its queue id stands.
        """
        self._expected.setdefault(name, Expected(since=dt_util.utcnow(), iccid=iccid, text=text))

    def sim_removed(self, iccid: str) -> None:
        """Expect nothing more of a SIM that is gone."""
        for wish in self._wishes.get(iccid, ()):
            wish.is_gone = True
        for expected in self._expected.values():
            expected.is_gone |= expected.iccid == iccid

    def told(self, iccid: str, key: str, state: State) -> None:
        """Take down what an event entity tells."""
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
        """Return the name of what may be expected."""
        told = state.attributes
        if key == "bulk_edit":
            return str(told["queue_id"])
        return str(told["sms_id"]) if told["event_type"] == "received" else None

    def _told_of_itself(self, name: str, state: State) -> None:
        """Take down what was told of something that may be expected: a report of a lost answer is not."""
        expected = self._expected.setdefault(name, Expected(since=dt_util.utcnow()))
        expected.told += 1
        message = state.attributes.get("message")
        if expected.told > 1 or expected.is_gone or message != expected.text:
            self._promises.break_(Promise.ENDED_ONCE, f"{state} for {expected}")

    def _check_end_of_sms(self, event: str, wish: Wish, told: Any) -> None:
        """Insist that the portal has it too."""
        sms = self._portal.state.sms[int(told["sms_id"])]
        if sms.text != wish.word or sms.status.lower() != event:
            self._promises.break_(Promise.TOLD_THE_TRUTH, f"{event} for {wish}: {sms}")

    def read_journal(self) -> None:
        """Find who asked for each write, and let the journal start over."""
        for exchange in self._portal.journal:
            self._promises.note("requests")
            self._promises.note("faults", exchange.fault is not None)
            # One that the line has spoilt is tried again.
            self._promises.note("log-ins", exchange.route == "Login" and exchange.fault is None)
            # A write that is refused for its token is repeated with another one.
            if exchange.method == "PUT" and exchange.status != 401:
                self._take(exchange)
        self._portal.journal.clear()

    def _take(self, exchange: Exchange) -> None:
        """Find who asked for a write."""
        body = exchange.body
        assert isinstance(body, dict)
        update, iccids = body.get("update", body), body.get("iccids", [exchange.iccid])
        assert isinstance(update, dict)
        assert isinstance(iccids, list)
        words = set(update.values())
        for iccid in iccids:
            self._take_for(str(iccid), words, exchange)

    def _take_for(self, iccid: str, words: set[Any], exchange: Exchange) -> None:
        """Find who asked for a write to a SIM."""
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
        """Look at what should have ended by now, and strike it from the book."""
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
        """Let the portal's books grow no further than a day or two; what is judged is what was told."""
        state = self._portal.state
        for sms in list(state.sms.values())[:-1]:
            if sms.modified <= before - JUDGED_AFTER:
                del state.sms[sms.id]
        state.bulk_edits[:] = [edit for edit in state.bulk_edits if edit.due > before]

    def _judge(self, wish: Wish) -> None:
        """Hold what was asked for against what was told."""
        if wish.outcome is Outcome.DONE and not wish.carried_out:
            self._promises.break_(Promise.TOLD_THE_TRUTH, f"not carried out: {wish}")
        if wish.outcome is Outcome.REFUSED and wish.carried_out:
            self._promises.break_(Promise.TOLD_THE_TRUTH, f"carried out: {wish}")
        if wish.kind is Kind.NOTE or wish.is_gone or wish.outcome is Outcome.REFUSED:
            return
        if wish.outcome is Outcome.CUT_OFF and not wish.arrived and not wish.told:
            # The power went before anything of it was on the disk.
            return
        # Who asks for the same status again waits for the one that was asked for last.
        if len(wish.ends) != 1 and not (wish.is_renewed and not wish.ends):
            self._promises.break_(Promise.ENDED_ONCE, str(wish))
        self._promises.note("followed to one end", len(wish.ends))
        if wish.kind is Kind.SMS and wish.outcome is Outcome.DONE and wish.told.count("sent") != 1:
            self._promises.break_(Promise.ENDED_ONCE, f"never told as sent: {wish}")

    def _judge_expected(self, name: str, expected: Expected) -> None:
        """Insist that what nobody asked for was told."""
        if not expected.told and not expected.is_gone:
            self._promises.break_(Promise.ENDED_ONCE, f"never told: {name} {expected}")

    def _find(self, iccid: str, fits: Callable[[Wish], bool]) -> list[Wish]:
        """Return what was asked for a SIM and fits."""
        return [wish for wish in self._wishes.get(iccid, ()) if fits(wish)]
