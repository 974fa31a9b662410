"""The assumptions of docs/api.md, and how each of their variants is recognised by its shape."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
import json

from mock_portal.dialects import DIALECTS
from mock_portal.errors import Code

from .shapes import ABSENT, Answer, Body, Pattern, describe

SILENT = ""
"""In the place of a variant: an answer that says nothing about the assumption."""

PUBLISHED = "as published"
"""The only variant of a fact."""

CALLS_OF_A_TOKEN = 100

_EXCEPTIONS = frozenset({"empty_array", "in_log"})
"""Variants that show in some answers only; the others look like the default."""

_USAGE_ROUTES = ("ctdUsage", "sessionInfo")
_SESSION_FIELDS = ("ipAddress", "dateSessionStarted", "dateSessionEnded")
_SMS_WORDS = frozenset(
    {"Pending", "Delivered", "Failed", "Cancelled", "CancelPending", "CancelFailed", "Unknown"}
    | {"Received"}
)
_MOMENT = "%Y-%m-%d %H:%M:%S.%f%z"
_SHOWN = 120


class Question(StrEnum):
    """Why something was asked."""

    LOGIN = "log in"
    WRONG_LOGIN = "log in with made-up credentials"
    BAD_TOKEN = "use a made-up token"  # noqa: S105  not one
    OLD_TOKEN = "use the token of the log-in before"  # noqa: S105  not one
    MANY_CALLS = "use one token a hundred times"
    UNKNOWN = "read an ICCID that does not exist"
    WRONG_CASE = "write a path in another case"
    READ = "read a SIM"
    ABZORB = "read a SIM of the Abzorb network"
    SEND_SMS = "send an SMS"
    CHANGE = "request a status"


class Result(StrEnum):
    """What became of an assumption."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    NOT_SEEN = "not seen"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One question and its answer; `sim` counts the user's SIMs from 1, 0 is none of them."""

    question: Question
    route: str
    answer: Answer
    sim: int = 0


@dataclass(kw_only=True)
class Evidence:
    """Everything a run has seen.

    `token_calls` is how many calls the token served that was used a hundred times; `arrival` is
    the variant of status_change that was watched.
    """

    asked: list[Asked] = field(default_factory=list)
    token_calls: int = 0
    arrival: str = SILENT

    def knows(self, sim: int) -> bool:
        """Tell whether the portal has told anything of a SIM; it need not for none of them."""
        return sim == 0 or any(
            seen.answer.is_ok and not seen.answer.fits(_NOTHING)
            for seen in self.asked
            if seen.sim == sim
        )

    def refuses(self, sim: int, *routes: str) -> bool:
        """Tell whether all these routes were refused for a SIM."""
        seen = [asked for asked in self.asked if asked.sim == sim and asked.route in routes]
        return bool(seen) and all(_refused_route(SILENT, asked, self) for asked in seen)

    def refused_routes(self) -> list[str]:
        """Return the routes that were refused for every SIM of the usual networks."""
        reads = [seen for seen in self.asked if seen.question is Question.READ]
        sims = {seen.sim for seen in reads if self.knows(seen.sim)}
        routes = sorted({seen.route for seen in reads if seen.sim in sims})
        return [route for route in routes if all(self.refuses(sim, route) for sim in sims)]

    def shows_pages(self) -> bool:
        """Tell whether errors that have nothing to do with a SIM are pages of HTML."""
        return any(
            seen.answer.body is Body.PAGE
            for seen in self.asked
            if seen.question in {Question.BAD_TOKEN, Question.WRONG_LOGIN}
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumption:
    """Which answers speak of an assumption, and what each of its variants looks like.

    A good answer is looked up in `shapes`, an error in `refusals`, by status and code, where there
    are any. `refine` may know better. The outcome is a variant, SILENT, or None for an answer that
    no variant gives.
    """

    unseen: str
    questions: tuple[Question, ...] = (Question.READ,)
    routes: tuple[str, ...] = ()
    shapes: Mapping[str, Pattern] = field(default_factory=dict)
    refusals: Mapping[str, tuple[int, Code]] = field(default_factory=dict)
    refine: Callable[[str | None, Asked, Evidence], str | None] = lambda variant, *_: variant

    def recognise(self, asked: Asked, evidence: Evidence) -> str | None:
        """Return the variant that an answer shows."""
        variant = (
            self._by_shape(asked.answer) if asked.answer.is_ok else self._by_code(asked.answer)
        )
        return self.refine(variant, asked, evidence)

    def _by_shape(self, answer: Answer) -> str | None:
        """Return the first variant whose shape a good answer has."""
        return next((name for name, each in self.shapes.items() if answer.fits(each)), None)

    def _by_code(self, answer: Answer) -> str | None:
        """Return the variant that refuses like this; some envelopes carry no code."""
        if not self.refusals:
            return SILENT
        for name, (status, code) in self.refusals.items():
            if answer.status == status and answer.code in {None, code}:
                return name
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a run says about one assumption, or, without a number, about a published fact."""

    number: str
    name: str
    result: Result
    variant: str | None = None
    note: str = ""


def judge(evidence: Evidence) -> list[Finding]:
    """Return what a run says about every assumption and fact."""
    return [
        *(
            _judge(DIALECTS[name].number, name, each, evidence)
            for name, each in ASSUMPTIONS.items()
        ),
        *(_judge("", name, each, evidence) for name, each in FACTS.items()),
    ]


def is_rate_limited(answer: Answer) -> bool:
    """Tell whether the portal was asked too often."""
    return bool(_rate_limit(answer))


def _judge(number: str, name: str, assumption: Assumption, evidence: Evidence) -> Finding:
    """Weigh what all answers say about one assumption."""
    seen = [
        (asked, assumption.recognise(asked, evidence)) for asked in _speaking(assumption, evidence)
    ]
    for asked, variant in seen:
        if variant is None:
            note = _sketch(asked)
            return Finding(number=number, name=name, result=Result.CONTRADICTED, note=note)
    counted = Counter(variant for _, variant in seen if variant)
    if not counted:
        note = assumption.unseen
        return Finding(number=number, name=name, result=Result.NOT_SEEN, note=note)
    first, *others = sorted(counted, key=lambda each: (each not in _EXCEPTIONS, -counted[each]))
    note = f"also seen: {', '.join(others)}" if others else ""
    return Finding(number=number, name=name, result=Result.CONFIRMED, variant=first, note=note)


def _speaking(assumption: Assumption, evidence: Evidence) -> Iterator[Asked]:
    """Yield the answers that may speak of an assumption."""
    for asked in evidence.asked:
        if (
            (not assumption.questions or asked.question in assumption.questions)
            and (not assumption.routes or asked.route in assumption.routes)
            and evidence.knows(asked.sim)
            and (assumption.refine is _enforced_limit or not is_rate_limited(asked.answer))
        ):
            yield asked


def _sketch(asked: Asked) -> str:
    """Return the shape of an answer in one line."""
    body = json.dumps(describe(asked.answer, asked.route), ensure_ascii=False)
    shown = body if len(body) <= _SHOWN else f"{body[:_SHOWN]}..."
    return f"{asked.route} answered {asked.answer.status} {shown}"


def _login_failure(variant: str | None, asked: Asked, _: Evidence) -> str | None:
    """Say nothing about a log-in that was meant to succeed and did."""
    is_good = asked.question is Question.LOGIN and asked.answer.is_ok
    return variant or SILENT if is_good else variant


def _token_life(variant: str | None, asked: Asked, evidence: Evidence) -> str | None:
    """Tell from when a token was refused what had ended its life."""
    if not variant:
        return SILENT
    if asked.question is Question.OLD_TOKEN:
        return "newest_only"
    return "hundred_calls" if evidence.token_calls == CALLS_OF_A_TOKEN else None


def _token_refused(variant: str | None, asked: Asked, _: Evidence) -> str | None:
    """Tell a 401 without a body from the others."""
    return "401_empty" if variant == "401" and asked.answer.body is Body.EMPTY else variant


def _open_session(variant: str | None, asked: Asked, _: Evidence) -> str | None:
    """Insist that a session that has ended did not end before it began."""
    start = _moment(asked.answer.pick("dateSessionStarted"))
    end = _moment(asked.answer.pick("dateSessionEnded"))
    return None if start and end and end < start else variant


def _moment(text: str | None) -> datetime | None:
    """Read a moment as the portal writes it."""
    try:
        return datetime.strptime(text or "", _MOMENT).astimezone()
    except ValueError:
        return None


def _sms_status(_: str | None, asked: Asked, __: Evidence) -> str | None:
    """Tell from the word for a delivered message how words are written."""
    word = asked.answer.pick("status", "data.status")
    if not asked.answer.is_ok or word is None:
        return SILENT
    if word.isupper():
        return "upper" if word in {each.upper() for each in _SMS_WORDS} else None
    known = {"Delivered": "title", "Delivered-InLog": "in_log"}
    return known.get(word, SILENT if word in _SMS_WORDS else None)


def _status_change(_: str | None, asked: Asked, evidence: Evidence) -> str | None:
    """Tell what became of a requested status."""
    return "refused" if asked.answer.code == Code.INVALID_STATUS else evidence.arrival


def _unknown_iccid(variant: str | None, asked: Asked, evidence: Evidence) -> str | None:
    """Tell a page for an unknown ICCID from the page that any error is."""
    is_page = variant == "404" and asked.answer.body is Body.PAGE
    return "404_html" if is_page and not evidence.shows_pages() else variant


def _refused_route(_: str | None, asked: Asked, __: Evidence) -> str | None:
    """Tell a route that is refused from other errors."""
    match asked.answer.status, asked.answer.code:
        case HTTPStatus.BAD_REQUEST, Code.NO_ACCESS | None:
            return "400_code"
        case (403 | 404 | 501) as status, None:
            return str(status)
        case 403, Code.INVALID_CREDENTIALS:
            return SILENT
        case (403 | 405, _) | (_, Code.NO_ACCESS):
            return None
    return SILENT


def _rate_limit(answer: Answer) -> str:
    """Return how an answer says that the portal was asked too often."""
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "429_retry_after" if answer.retry_after else "429"
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE and answer.retry_after:
        return "503"
    return "400_code" if answer.code == Code.RATE_LIMIT else SILENT


def _enforced_limit(_: str | None, asked: Asked, __: Evidence) -> str | None:
    """Tell how a rate limit is enforced; that there is none cannot be seen."""
    return _rate_limit(asked.answer)


def _abzorb(variant: str | None, asked: Asked, evidence: Evidence) -> str | None:
    """Tell a SIM without usage from one that is like the others."""
    is_refused = variant == "same" and evidence.refuses(asked.sim, *_USAGE_ROUTES)
    return "no_usage" if is_refused else variant


def _error_envelope(_: str | None, asked: Asked, evidence: Evidence) -> str | None:
    """Tell the envelope of an error; a single page is no envelope."""
    if asked.answer.is_ok or (asked.answer.body is Body.PAGE and not evidence.shows_pages()):
        return SILENT
    return next((name for name, each in _ENVELOPES.items() if asked.answer.fits(each)), None)


def _never_session(variant: str | None, asked: Asked, _: Evidence) -> str | None:
    """Tell the error for a SIM that never had a session from others."""
    is_none = asked.answer.status == HTTPStatus.NOT_FOUND and asked.answer.code == Code.NO_SESSION
    return "404" if is_none else variant


def _dates(_: str | None, asked: Asked, __: Evidence) -> str | None:
    """Insist on dates as in the examples."""
    record = asked.answer.value if isinstance(asked.answer.value, dict) else {}
    dates = [str(value) for key, value in record.items() if key.startswith("date") and value]
    if not asked.answer.is_ok or not dates:
        return SILENT
    return PUBLISHED if all(_moment(date) for date in dates) else None


def _wrong_case(_: str | None, asked: Asked, __: Evidence) -> str | None:
    """Insist that a path in another case leads nowhere."""
    return None if asked.answer.is_ok else PUBLISHED


_NOTHING: Pattern = ({}, [], "", Body.EMPTY)
_PLAIN = (Body.WORD, Body.TEXT)
_COUNT = (int, None)
_SIM_READS = (Question.READ, Question.ABZORB)

_ENVELOPES: Mapping[str, Pattern] = {
    "cisco": {"errorMessage": str},
    "message": {"message": str},
    "data_error": {"data": {"error": str}},
    "plain": _PLAIN,
    "html": Body.PAGE,
    SILENT: Body.EMPTY,
}
_STATUS_BODIES: Mapping[str, Pattern] = {
    "bare": _PLAIN,
    "quoted": str,
    "object": {"status": str},
    "array": [{"status": str}],
}
_TOKEN_REFUSALS = {
    "401": (401, Code.INVALID_CREDENTIALS),
    "403_code": (403, Code.INVALID_CREDENTIALS),
    "400_code": (400, Code.INVALID_CREDENTIALS),
}

ASSUMPTIONS = {
    "login_failure": Assumption(
        unseen="needs --try-wrong-login",
        questions=(Question.LOGIN, Question.WRONG_LOGIN),
        shapes={"200_no_token": {"data": {}}},
        refusals={
            "401": (401, Code.INVALID_CREDENTIALS),
            "403": (403, Code.INVALID_CREDENTIALS),
            "400": (400, Code.INVALID_CREDENTIALS),
        },
        refine=_login_failure,
    ),
    "login_answer": Assumption(
        unseen="the log-in failed",
        questions=(Question.LOGIN,),
        shapes={
            "data_token": {"data": {"token": str}},
            "token": {"token": str},
            "quoted": str,
            "bare": Body.WORD,
            SILENT: {"data": {}},
        },
    ),
    "token_life": Assumption(
        unseen="a second log-in revoked nothing; --try-token-life sees more",
        questions=(Question.OLD_TOKEN, Question.MANY_CALLS),
        refusals=_TOKEN_REFUSALS,
        refine=_token_life,
    ),
    "token_refused": Assumption(
        unseen="the log-in failed",
        questions=(Question.BAD_TOKEN,),
        refusals=_TOKEN_REFUSALS,
        refine=_token_refused,
    ),
    "usage_body": Assumption(
        unseen="needs --iccid",
        routes=("ctdUsage",),
        shapes={
            "array": [{"ctdDataUsage": _COUNT}],
            "object": {"ctdDataUsage": _COUNT},
            "data": {"data": [{"ctdDataUsage": _COUNT}]},
            "text_numbers": [{"ctdDataUsage": str}],
            "empty_array": [],
        },
    ),
    "status_body": Assumption(unseen="needs --iccid", routes=("getStatus",), shapes=_STATUS_BODIES),
    "open_session": Assumption(
        unseen="needs --iccid of a SIM in session",
        routes=("sessionInfo",),
        shapes={
            "null": {"dateSessionStarted": str, "dateSessionEnded": None},
            "empty": {"dateSessionStarted": str, "dateSessionEnded": ""},
            "missing": {"dateSessionStarted": str, "dateSessionEnded": ABSENT},
            SILENT: ({"dateSessionStarted": ("", None, ABSENT)}, {"dateSessionEnded": str}),
        },
        refine=_open_session,
    ),
    "sms_id": Assumption(
        unseen="needs --allow-sms",
        questions=(Question.SEND_SMS,),
        shapes={
            "smsMsgId": {"smsMsgId": int},
            "text": {"smsMsgId": str},
            "smsMessageId": {"smsMessageId": int},
            "data": {"data": {"smsMsgId": int}},
            "bare": int,
            "none": {},
        },
    ),
    "sms_list": Assumption(
        unseen="needs --iccid of a SIM with messages",
        routes=("GetSMSIds",),
        shapes={
            "smsMsgIds": {"smsMsgIds": [int]},
            "bare": [int],
            "objects": [{"smsMsgId": int}],
            "data": {"data": ([], [int])},
            "text": {"smsMsgIds": [str]},
            SILENT: ([], {"smsMsgIds": []}),
        },
    ),
    "sms_body": Assumption(
        unseen="needs --iccid of a SIM with messages",
        routes=("GetSMS",),
        shapes={
            "object": {"smsMsgId": object},
            "array": [{"smsMsgId": object}],
            "data": {"data": {"smsMsgId": object}},
        },
    ),
    "sms_status": Assumption(
        unseen="needs --iccid of a SIM with a delivered message",
        routes=("GetSMS",),
        refine=_sms_status,
    ),
    "write_answer": Assumption(
        unseen="needs --allow-status",
        questions=(Question.CHANGE,),
        shapes={
            "iccid": {"iccid": str},
            "empty": Body.EMPTY,
            "text": _PLAIN,
            "queued": {"data": {"queued": bool}},
        },
    ),
    "status_change": Assumption(
        unseen="needs --allow-status, and a change that arrives within a minute",
        questions=(Question.CHANGE,),
        refine=_status_change,
    ),
    "unknown_iccid": Assumption(
        unseen="the log-in failed",
        questions=(Question.UNKNOWN,),
        shapes={"200_empty": _NOTHING},
        refusals={"404": (404, Code.NOT_FOUND), "400": (400, Code.NOT_FOUND)},
        refine=_unknown_iccid,
    ),
    "route_refused": Assumption(
        unseen="no route was refused", questions=_SIM_READS, refine=_refused_route
    ),
    "rate_limit": Assumption(
        unseen="the probe asks too slowly to meet one", questions=(), refine=_enforced_limit
    ),
    "abzorb": Assumption(
        unseen="needs --abzorb-iccid",
        questions=(Question.ABZORB,),
        routes=("getStatus",),
        shapes={
            "object": {"simStatus": str},
            "nested": {"data": {"status": str}},
            "same": tuple(_STATUS_BODIES.values()),
        },
        refine=_abzorb,
    ),
    "bulk_webhook": Assumption(
        unseen="needs a bulk edit, which the probe never makes", refine=lambda *_: SILENT
    ),
    "error_envelope": Assumption(
        unseen="no error had a body",
        questions=(Question.BAD_TOKEN, Question.WRONG_LOGIN, Question.UNKNOWN, *_SIM_READS),
        refine=_error_envelope,
    ),
    "never_session": Assumption(
        unseen="needs --iccid of a SIM that never had a session",
        routes=("sessionInfo",),
        shapes={
            "nulls": dict.fromkeys(_SESSION_FIELDS, None),
            "empty": dict.fromkeys(_SESSION_FIELDS, ""),
            "iccid_only": {"iccid": str, **dict.fromkeys(_SESSION_FIELDS, ABSENT)},
            SILENT: {"dateSessionStarted": str},
        },
        refine=_never_session,
    ),
}
"""By dialect."""

FACTS = {
    "GetDevice answers an object": Assumption(
        unseen="needs --iccid", routes=("GetDevice",), shapes={PUBLISHED: {"iccid": str}}
    ),
    "sessionInfo answers an object": Assumption(
        unseen="needs --iccid", routes=("sessionInfo",), shapes={PUBLISHED: {"iccid": str}}
    ),
    "dates as in the examples": Assumption(
        unseen="needs --iccid", routes=("GetDevice", "sessionInfo"), refine=_dates
    ),
    "paths are exact": Assumption(
        unseen="needs --iccid", questions=(Question.WRONG_CASE,), refine=_wrong_case
    ),
}
"""What the published document says itself."""
