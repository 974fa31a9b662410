"""The questions of the probe, asked of a real portal one at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
import json
import time
from urllib.parse import quote

from mock_portal.dialects.logins import TOKEN_CALLS
from mock_portal.dialects.writes import Arrival
from mock_portal.errors import SetupError
from mock_portal.exchange import JSON_TYPE, Json
from mock_portal.patterns import Answer
from mock_portal.routes import ROUTES

from .assumptions import is_rate_limited
from .evidence import Asked, Evidence, Question
from .shapes import read
from .upstream import NoReplyError, Upstream

# Valid check digit, but unassigned: no country has the number 00.
_UNKNOWN_ICCID = "8900000000000000003"

_READS = ("ctdUsage", "GetDevice", "sessionInfo", "getStatus")
_UNKNOWN_READS = ("ctdUsage", "GetDevice", "getStatus")
_MADE_UP = "mock-portal-probe"
_MOST_SMS = 3
_MOST_TRIES = 3
_LONGEST_PAUSE = 60.0
_PAUSE_AFTER_LIMIT = 2.0
_SMS_SECONDS = 10.0
_STATUS_SECONDS = 35.0
_STATUS_READS = 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to ask; SIMs are numbered from 1 in the given order, those of Abzorb last."""

    iccids: tuple[str, ...] = ()
    abzorb_iccids: tuple[str, ...] = ()
    try_wrong_login: bool = False
    try_token_life: bool = False
    allow_sms: bool = False
    allow_status: str | None = None

    @property
    def sims(self) -> tuple[str, ...]:
        """Return all ICCIDs."""
        return (*self.iccids, *self.abzorb_iccids)


class Prober:
    """Asks a portal and collects the evidence."""

    def __init__(
        self,
        upstream: Upstream,
        credentials: Mapping[str, str],
        plan: Plan,
        *,
        pause: float = 0.25,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        say: Callable[[str], object] = print,
    ) -> None:
        """Store what to ask; `pause` is the minimum of seconds between two requests."""
        self.evidence = Evidence()
        self._upstream = upstream
        self._credentials = credentials
        self._plan = plan
        self._pause = pause
        self._sleep = sleep
        self._say = say
        self._token = ""
        self._count = 0
        self._not_before = 0.0

    async def run(self) -> bool:
        """Ask everything; return False if the log-in failed, which ends the run."""
        await self._log_in()
        if not self._token:
            return False
        await self._ask_for_refusals()
        for sim, iccid in enumerate(self._plan.sims, 1):
            await self._read(sim, iccid)
        if self._plan.allow_sms:
            await self._send_sms()
        if self._plan.allow_status:
            await self._change_status(self._plan.allow_status)
        await self._watch_token()
        return True

    @property
    def _iccid(self) -> str:
        """Return the ICCID for questions that are not about the SIM."""
        return (*self._plan.sims, _UNKNOWN_ICCID)[0]

    async def _log_in(self) -> None:
        """Log in, and use that token from now on."""
        answer = await self._ask(Question.LOGIN, "Login", body=self._credentials)
        token = answer.pick("data.token", "token", "") if answer and answer.is_ok else None
        # A text of several words is not a token, and not a valid header.
        self._token = token if token and len(token.split()) == 1 else ""

    async def _ask_for_refusals(self) -> None:
        """Send requests that a portal should refuse."""
        await self._ask(Question.BAD_TOKEN, "getStatus", self._iccid, token=_MADE_UP)
        for route in _UNKNOWN_READS:
            await self._ask(Question.UNKNOWN, route, _UNKNOWN_ICCID)
        if self._plan.sims:
            await self._ask(Question.WRONG_CASE, "GETSTATUS", self._iccid)
        if self._plan.try_wrong_login:
            body = {"clientId": _MADE_UP, "secretKey": _MADE_UP}
            await self._ask(Question.WRONG_LOGIN, "Login", body=body)

    async def _read(self, sim: int, iccid: str) -> None:
        """Read everything about a SIM, and its newest messages."""
        question = Question.READ if sim <= len(self._plan.iccids) else Question.ABZORB
        for route in _READS:
            await self._ask(question, route, iccid, sim=sim)
        answer = await self._ask(question, "GetSMSIds", iccid, sim=sim)
        for sms_id in _sms_ids(answer)[-_MOST_SMS:] if answer and answer.is_ok else []:
            await self._ask(question, "GetSMS", sms_id, sim=sim)

    async def _send_sms(self) -> None:
        """Send one message to the first SIM, and read it a little later."""
        body = {"messageText": _MADE_UP}
        answer = await self._ask(Question.SEND_SMS, "SendSMS", self._iccid, "1", body=body)
        sms_id = answer and answer.pick("smsMsgId", "smsMessageId", "data.smsMsgId", "")
        if answer and answer.is_ok and sms_id:
            await self._wait(_SMS_SECONDS)
            await self._ask(Question.READ, "GetSMS", sms_id, sim=1)

    async def _change_status(self, status: str) -> None:
        """Request a status for the first SIM, and wait for it unless the SIM already has it."""
        is_there = await self._has_status(status)
        body = {"status": status}
        answer = await self._ask(Question.CHANGE, "RequestStatusChange", self._iccid, body=body)
        if answer and answer.is_ok and not is_there:
            self.evidence.arrival = await self._watch_status(status)

    async def _watch_status(self, status: str) -> Arrival | None:
        """Return when a status arrived, or None if it did not."""
        if await self._has_status(status):
            return Arrival.AT_ONCE
        await self._wait(_STATUS_SECONDS)
        if await self._has_status(status):
            return Arrival.AFTER_SECONDS
        for _ in range(_STATUS_READS):
            if await self._has_status(status):
                return Arrival.AFTER_READS
        return None

    async def _has_status(self, status: str) -> bool:
        """Return whether the first SIM has a status."""
        answer = await self._ask(Question.READ, "getStatus", self._iccid, sim=1)
        word = answer and answer.pick("status", "simStatus", "data.status", "")
        return word == status

    async def _watch_token(self) -> None:
        """Use a token after a later log-in, and optionally another until it is refused."""
        old = self._token
        await self._log_in()
        await self._ask(Question.OLD_TOKEN, "getStatus", self._iccid, token=old)
        if self._plan.try_token_life and self._plan.sims:
            await self._use_up_token()

    async def _use_up_token(self) -> None:
        """Use a token until it is refused, or the number of calls is reached."""
        question = Question.MANY_CALLS
        while self.evidence.token_calls < TOKEN_CALLS:
            answer = await self._ask(question, "getStatus", self._iccid, is_kept=False)
            if answer is None or not answer.is_ok:
                break
            self.evidence.token_calls += 1
        await self._ask(question, "getStatus", self._iccid)

    async def _wait(self, seconds: float) -> None:
        """Wait, and print that."""
        self._say(f"     waiting {seconds:g} seconds")
        await self._sleep(seconds)

    async def _ask(
        self,
        question: Question,
        route: str,
        *values: str,
        sim: int = 0,
        body: Mapping[str, str] | None = None,
        token: str | None = None,
        is_kept: bool = True,
    ) -> Answer | None:
        """Ask a question; repeat a read or a log-in that was rate limited, never a write."""
        answer = None
        for _ in range(_MOST_TRIES):
            answer = await self._send(route, values, body, self._token if token is None else token)
            self._report(question, route, sim, answer)
            is_limited = answer is not None and is_rate_limited(answer)
            if answer and (is_kept or is_limited):
                asked = Asked(question=question, route=route, answer=answer, sim=sim)
                self.evidence.asked.append(asked)
            if not is_limited or _method(route) == "PUT":
                break
            await self._wait(_seconds(answer))
        return answer

    async def _send(
        self, route: str, values: tuple[str, ...], body: Mapping[str, str] | None, token: str
    ) -> Answer | None:
        """Send one request at the allowed pace."""
        await self._keep_pace()
        target = "/".join(
            (self._upstream.base_path, route, *(quote(value, "") for value in values))
        )
        headers = [("Accept", JSON_TYPE), ("User-Agent", _MADE_UP)]
        if route != "Login":
            headers.append(("Authorization", token))
        if body is not None:
            headers.append(("Content-Type", JSON_TYPE))
        data = None if body is None else json.dumps(body).encode()
        try:
            return read(await self._upstream.send(_method(route), target, headers, data))
        except NoReplyError as err:
            if not self.evidence.asked:
                msg = f"The portal does not answer: {err}"
                raise SetupError(msg) from err
            self._say(f"     {err}")
        return None

    async def _keep_pace(self) -> None:
        """Wait until the next request is allowed."""
        if (early := self._not_before - time.monotonic()) > 0:
            await self._sleep(early)
        self._not_before = time.monotonic() + self._pause

    def _report(self, question: Question, route: str, sim: int, answer: Answer | None) -> None:
        """Print a request and its outcome."""
        self._count += 1
        about = f" of SIM {sim}" if sim else ""
        outcome = answer.status if answer else "no answer"
        self._say(f"{self._count:4} {question}: {_method(route)} {route}{about} -> {outcome}")


def _method(route: str) -> str:
    """Return the method of a route; GET for unpublished paths."""
    return ROUTES[route].method if route in ROUTES else "GET"


def _seconds(answer: Answer | None) -> float:
    """Return the seconds to wait after a rate-limited answer."""
    text = (answer and answer.retry_after) or ""
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() else _PAUSE_AFTER_LIMIT


def _sms_ids(answer: Answer) -> list[str]:
    """Return the ids of a SIM's messages, in any variant."""
    found: Json = answer.value
    if isinstance(found, dict):
        found = found.get("smsMsgIds", found.get("data"))
    items = found if isinstance(found, list) else []
    ids = [item.get("smsMsgId") if isinstance(item, dict) else item for item in items]
    return [str(each) for each in ids if isinstance(each, str | int)]
