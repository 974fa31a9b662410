"""The state of a portal: log-ins, SIMs, text messages and bulk edits."""

from bisect import insort
from collections.abc import Iterator, Mapping
from datetime import datetime
import secrets
from typing import override

from .clock import Clock, Window
from .contents import Account, BulkEdit, Contents, Sms, Token
from .dialects import Dialects
from .dialects.logins import TOKEN_LIFE, TokenUse
from .dialects.refusals import RATE_LIMIT
from .dialects.sim_reads import ABZORB
from .dialects.writes import STATUS_CHANGE, StatusRequest, refuse_status
from .errors import (
    Code,
    LoginRefusedError,
    PortalError,
    RateLimitError,
    SetupError,
    TokenRefusedError,
    UnknownIccidError,
    UnknownNameError,
    no_sim,
)
from .exchange import Json
from .locking import Entries, locked
from .sim import ABZORB_NETWORK, STATUSES, TERMINAL, Sim

_CALLS_A_SECOND = 5
_FIRST_SMS_ID = 4711


class Sims(Mapping[str, Sim]):
    """The SIMs by ICCID; a lookup brings the SIM up to date."""

    def __init__(self, sims: dict[str, Sim]) -> None:
        """Store the SIMs."""
        self._sims = sims

    @override
    def __getitem__(self, iccid: str) -> Sim:
        sim = self._sims.get(iccid)
        if sim is None:
            raise UnknownNameError(no_sim(iccid, self._sims))
        sim.settle()
        return sim

    @override
    def __contains__(self, iccid: object) -> bool:
        return iccid in self._sims

    def find(self, iccid: str) -> Sim | None:
        """Return a SIM, up to date, or None."""
        return self[iccid] if iccid in self._sims else None

    def peek(self, iccid: str) -> Sim | None:
        """Return a SIM without bringing it up to date."""
        return self._sims.get(iccid)

    def put(self, sim: Sim) -> None:
        """Add a SIM, or replace the one that has its ICCID."""
        # Not changed in place: another thread may iterate over it.
        self._sims = {**self._sims, sim.iccid: sim}

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._sims)

    @override
    def __len__(self) -> int:
        return len(self._sims)


class State:
    """Accounts, tokens, SIMs, text messages and bulk edits, which follow one clock."""

    def __init__(self, clock: Clock, dialects: Dialects) -> None:
        """Start empty."""
        self.clock = clock
        self.lock = clock.lock
        self.dialects = dialects
        self.fill(Contents())

    @locked
    def fill(self, contents: Contents) -> None:
        """Replace everything."""
        self.accounts = Entries(contents.accounts)
        self.tokens = Entries({token.value: token for token in contents.tokens})
        self.networks = Entries(contents.networks)
        self.sims = Sims(contents.sims)
        self.sms = Entries({sms.id: sms for sms in contents.sms})
        self.bulk_edits = contents.bulk_edits
        self.timings = contents.timings
        self.outbox: list[BulkEdit] = []
        self._window = Window()
        self._jobs: list[Sms | BulkEdit] = [
            *(sms for sms in contents.sms if sms.status == "Pending"),
            *(edit for edit in contents.bulk_edits if not edit.finished),
        ]
        self._jobs.sort(key=lambda job: job.due)
        for sim in contents.sims.values():
            sim.attach_clock(self.clock)

    @locked
    def contents(self) -> Contents:
        """Return everything."""
        self.settle_all()
        return Contents(
            accounts=self.accounts,
            tokens=list(self.tokens.values()),
            networks=self.networks,
            sims=dict(self.sims),
            sms=list(self.sms.values()),
            bulk_edits=self.bulk_edits,
            timings=self.timings,
        )

    @property
    def is_busy(self) -> bool:
        """Return whether a bulk edit or a webhook is pending."""
        return bool(self.outbox) or not all(edit.finished for edit in self.bulk_edits)

    def settle(self) -> None:
        """Finish the text messages and bulk edits that are due."""
        if self._jobs:
            self._finish_jobs()

    @locked
    def _finish_jobs(self) -> None:
        """Finish the jobs that are due."""
        while self._jobs and self._jobs[0].due <= self.clock.now():
            job = self._jobs.pop(0)
            if isinstance(job, Sms):
                self._deliver(job)
            else:
                self._finish(job)

    @locked
    def settle_all(self) -> None:
        """Bring everything up to date."""
        self.settle()
        for sim in self.sims.values():
            sim.settle()

    def check_rate(self) -> None:
        """Refuse a request above the rate limit, if one is enforced."""
        if self.dialects.variant(RATE_LIMIT).answer is None:
            return
        now = self.clock.steady()
        if self._window.count(now) >= _CALLS_A_SECOND:
            msg = f"Rate limit exceeded: more than {_CALLS_A_SECOND} requests within a second"
            raise RateLimitError(msg)
        self._window.add(now)

    @locked
    def login(self, client_id: str, secret_key: str) -> Token:
        """Log in with an account's id and key."""
        account = self.accounts.get(client_id)
        if account is None or account.secret_key != secret_key:
            msg = "Invalid clientId or secretKey"
            raise LoginRefusedError(msg)
        return self._issue(account)

    @locked
    def login_with_api_token(self, api_token: str) -> Token:
        """Log in with an account's API token."""
        for account in self.accounts.values():
            if account.api_token == api_token:
                return self._issue(account)
        msg = "Invalid apiToken"
        raise LoginRefusedError(msg)

    def authorize(self, value: str) -> Account:
        """Return the account of a valid token."""
        token = self.tokens.get(value)
        account = self.accounts.get(token.client_id) if token else None
        if token is None or account is None or self._has_expired(token):
            msg = "The token is unknown or has expired"
            raise TokenRefusedError(msg)
        token.calls += 1
        return account

    @locked
    def revoke_tokens(self) -> None:
        """Revoke all tokens."""
        self.tokens.clear()

    def is_refused(self, route: str, account: Account, sim: Sim | None) -> bool:
        """Return whether a route is refused to an account, or for a SIM or its network."""
        if route in account.refused_routes:
            return True
        if sim is None:
            return False
        network = self.networks.get(sim.network)
        return (
            route in sim.refused_routes
            or (network is not None and route in network.refused_routes)
            or (
                sim.network == ABZORB_NETWORK
                and route in self.dialects.variant(ABZORB).answer.refused_routes
            )
        )

    def sim(self, iccid: str) -> Sim:
        """Return a SIM, up to date."""
        self.settle()
        sim = self.sims.find(iccid)
        if sim is None:
            msg = f"Resource not found - Invalid ICCID {iccid}"
            raise UnknownIccidError(msg)
        return sim

    @locked
    def add_sim(self, sim: Sim) -> Sim:
        """Add a SIM, or replace the one that has its ICCID."""
        sim.attach_clock(self.clock)
        self.sims.put(sim)
        return sim

    @locked
    def request_status(self, sim: Sim, status: str, *, late: float = 0) -> None:
        """Request a status that was due `late` seconds ago; the dialect `status_change` says when it arrives."""
        check_status(status)
        request = StatusRequest(sim=sim, status=status, timings=self.timings, late=late)
        if sim.status in TERMINAL:
            refuse_status(request)
        self.dialects.variant(STATUS_CHANGE).answer.carry_out(request)

    @locked
    def edit(self, sim: Sim, changes: Mapping[str, Json], *, late: float = 0) -> None:
        """Change a SIM's status and fields; the change was due `late` seconds ago."""
        if "status" in changes:
            self.request_status(sim, str(changes["status"]), late=late)
        sim.device |= {name: value for name, value in changes.items() if name != "status"}
        sim.date_updated = self._in(-late)

    @locked
    def queue_bulk_edit(
        self,
        update: dict[str, Json],
        iccids: list[str],
        *,
        queue_id: str | None = None,
        webhook_url: str | None = None,
    ) -> BulkEdit:
        """Queue an edit of several SIMs."""
        edit = BulkEdit(
            update=update,
            iccids=iccids,
            due=self._in(self.timings.bulk_seconds),
            queue_id=queue_id,
            webhook_url=webhook_url,
        )
        self.bulk_edits.append(edit)
        insort(self._jobs, edit, key=lambda job: job.due)
        return edit

    @locked
    def send_sms(self, sim: Sim, text: str, login: str) -> Sms:
        """Send a text message to a SIM; it is delivered, or fails, after some seconds."""
        sms = self._new_sms(sim, text)
        sms.login = login
        sms.due = self._in(self.timings.sms_seconds)
        insort(self._jobs, sms, key=lambda job: job.due)
        return sms

    @locked
    def receive_sms(self, iccid: str, text: str) -> Sms:
        """Add a text message from a SIM."""
        sim = self.sims.find(iccid)
        if sim is None:
            raise SetupError(no_sim(iccid, self.sims))
        sms = self._new_sms(sim, text)
        sms.to_sim = False
        sms.status = "Received"
        sim.sms_usage += 1
        return sms

    def find_sms(self, sms_id: str) -> Sms:
        """Return a text message by its id."""
        self.settle()
        try:
            return self.sms[int(sms_id)]
        except (ValueError, KeyError):
            msg = f"Resource not found - Invalid SMS id {sms_id}"
            raise UnknownIccidError(msg) from None

    def sms_of(self, sim: Sim) -> list[Sms]:
        """Return the text messages to and from a SIM, oldest first."""
        return [sms for sms in self.sms.values() if sms.iccid == sim.iccid]

    def _issue(self, account: Account) -> Token:
        """Return a new token."""
        token = Token(
            value=secrets.token_urlsafe(24), client_id=account.client_id, issued=self.clock.now()
        )
        self.tokens[token.value] = token
        return token

    def _has_expired(self, token: Token) -> bool:
        """Return whether a token has expired."""
        # Not `self.tokens.values()`, which makes a copy.
        tokens = dict.values(self.tokens)
        newest = next(other for other in reversed(tokens) if other.client_id == token.client_id)
        use = TokenUse(
            age=self.clock.now() - token.issued, calls=token.calls, is_newest=token is newest
        )
        return self.dialects.variant(TOKEN_LIFE).answer(use)

    def _in(self, seconds: float) -> datetime:
        """Return the moment some seconds from now."""
        return self.clock.later(seconds)

    def _new_sms(self, sim: Sim, text: str) -> Sms:
        """Add a text message."""
        now = self.clock.now()
        sms_id = max(self.sms, default=_FIRST_SMS_ID - 1) + 1
        sms = Sms(id=sms_id, iccid=sim.iccid, text=text, sent=now, due=now, modified=now)
        self.sms[sms_id] = sms
        return sms

    def _deliver(self, sms: Sms) -> None:
        """Deliver a text message, or fail it if the SIM is not active."""
        sim = self._at(sms.iccid, sms.due)
        sms.modified = sms.due
        if sim is not None and sim.status == "ACTIVATED":
            sms.status = "Delivered"
            sim.sms_usage += 1
        else:
            sms.status = "Failed"

    def _finish(self, edit: BulkEdit) -> None:
        """Carry out a bulk edit as of its due time, and queue its webhook."""
        late = (self.clock.now() - edit.due).total_seconds()
        for iccid in edit.iccids:
            sim = self._at(iccid, edit.due)
            edit.results[iccid] = sim is not None and self._try_edit(sim, edit.update, late)
        edit.finished = True
        if edit.webhook_url:
            self.outbox.append(edit)

    def _try_edit(self, sim: Sim, changes: Mapping[str, Json], late: float) -> bool:
        """Edit a SIM and return whether that succeeded."""
        try:
            self.edit(sim, changes, late=late)
        except PortalError:
            return False
        return True

    def _at(self, iccid: str, moment: datetime) -> Sim | None:
        """Return a SIM as it was at a past moment."""
        sim = self.sims.peek(iccid)
        if sim is not None:
            sim.settle(moment)
        return sim


def check_status(status: str) -> None:
    """Raise an error for an unknown status."""
    if status not in STATUSES:
        known = ", ".join(STATUSES)
        msg = f"The SIM status provided is invalid: {status!r} is none of {known}"
        raise PortalError(msg, Code.INVALID_STATUS)
