"""The assumptions of docs/api.md: which answers are evidence for each, and the findings of a run."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
import json
from typing import Any

from mock_portal.dialects import DIALECTS
from mock_portal.dialects.definition import Dialect, Variant
from mock_portal.dialects.logins import LOGIN_ANSWER, TOKEN_LIFE, TokenUse
from mock_portal.dialects.refusals import (
    ERROR_ENVELOPE,
    LOGIN_FAILURE,
    RATE_LIMIT,
    ROUTE_REFUSED,
    TOKEN_REFUSED,
    UNKNOWN_ICCID,
)
from mock_portal.dialects.sim_reads import (
    ABZORB,
    NEVER_SESSION,
    OPEN_SESSION,
    STATUS_BODY,
    USAGE_BODY,
)
from mock_portal.dialects.sms import SMS_BODY, SMS_ID, SMS_LIST, SMS_STATUS, SMS_WORDS, status_word
from mock_portal.dialects.writes import BULK_WEBHOOK, STATUS_CHANGE, WRITE_ANSWER
from mock_portal.errors import Code
from mock_portal.patterns import ABSENT, Answer, Body, Looks, Pattern, has_body, no_answer

from .evidence import Asked, Evidence, Question
from .shapes import describe

# In place of a variant: the answer is no evidence for or against the assumption.
SILENT = ""

# The only variant of a fact.
PUBLISHED = "as published"

_MOMENT = "%Y-%m-%d %H:%M:%S.%f%z"
_SHOWN = 120

# Variants that show in some answers only; the others look like the default.
_OCCASIONAL = frozenset(
    variant.name
    for dialect in DIALECTS.values()
    for variant in dialect.variants
    if variant.is_occasional
)

type Refine = Callable[[str | None, Asked, Evidence], str | None]


class Result(StrEnum):
    """The result for one assumption."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    NOT_SEEN = "not seen"


def _unchanged(variant: str | None, *_: object) -> str | None:
    """Keep what the answer alone shows."""
    return variant


def _or_silent(variant: str | None, *_: object) -> str:
    """Ignore an answer that shows no variant."""
    return variant or SILENT


@dataclass(frozen=True, slots=True)
class Assumption:
    """Which answers speak of an assumption: by question and route, and unless they are `silent`.

    An error says nothing unless `judges_errors`; being asked to slow down says nothing unless
    `judges_limits`. `refine` looks at more than the answer. The outcome is a variant, SILENT, or
    None for an answer that no variant gives.
    """

    dialect: Dialect[Any]
    _: KW_ONLY
    unseen: str
    questions: tuple[Question, ...] = (Question.READ,)
    routes: tuple[str, ...] = ()
    silent: Pattern = ()
    judges_errors: bool = False
    judges_limits: bool = False
    refine: Refine = _unchanged

    def outcome(self, asked: Asked, evidence: Evidence) -> str | None:
        """Return the variant that an answer shows."""
        variant = self.dialect.recognise(asked.answer)
        if variant is None and self._is_silent(asked.answer):
            variant = SILENT
        return self.refine(variant, asked, evidence)

    def concerns(self, asked: Asked, evidence: Evidence) -> bool:
        """Return whether an answer may be evidence for this assumption."""
        return (
            (not self.questions or asked.question in self.questions)
            and (not self.routes or asked.route in self.routes)
            and evidence.knows(asked.sim)
            and (self.judges_limits or not is_rate_limited(asked.answer))
        )

    def _is_silent(self, answer: Answer) -> bool:
        """Return whether an answer that shows no variant says nothing, instead of contradicting."""
        return answer.fits(self.silent) or not (answer.is_ok or self.judges_errors)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result for one assumption or, without a number, for a published fact."""

    number: str
    name: str
    result: Result
    variant: str | None = None
    note: str = ""


def judge(evidence: Evidence) -> list[Finding]:
    """Return the findings about every assumption and fact."""
    return [_judge(each, evidence) for each in (*ASSUMPTIONS.values(), *FACTS.values())]


def is_rate_limited(answer: Answer) -> bool:
    """Return whether the portal was asked too often."""
    return RATE_LIMIT.recognise(answer) is not None


def _judge(assumption: Assumption, evidence: Evidence) -> Finding:
    """Return the finding about one assumption."""
    found = partial(Finding, number=assumption.dialect.number, name=assumption.dialect.name)
    seen = list(_outcomes(assumption, evidence))
    for asked, variant in seen:
        if variant is None:
            return found(result=Result.CONTRADICTED, note=_sketch(asked))
    counted = Counter(variant for _, variant in seen if variant)
    if not counted:
        return found(result=Result.NOT_SEEN, note=assumption.unseen)
    first, *others = sorted(counted, key=lambda each: (each not in _OCCASIONAL, -counted[each]))
    note = f"also seen: {', '.join(others)}" if others else ""
    return found(result=Result.CONFIRMED, variant=first, note=note)


def _outcomes(assumption: Assumption, evidence: Evidence) -> Iterator[tuple[Asked, str | None]]:
    """Yield the answers that may be evidence for an assumption, each with the variant it shows."""
    for asked in evidence.asked:
        if assumption.concerns(asked, evidence):
            yield asked, assumption.outcome(asked, evidence)


def _sketch(asked: Asked) -> str:
    """Return the shape of an answer in one line."""
    body = json.dumps(describe(asked.answer, asked.route), ensure_ascii=False)
    shown = body if len(body) <= _SHOWN else f"{body[:_SHOWN]}..."
    return f"{asked.route} answered {asked.answer.status} {shown}"


def _login_failure(variant: str | None, asked: Asked, _: Evidence) -> str | None:
    """Ignore a log-in that was meant to succeed and did."""
    is_good = asked.question is Question.LOGIN and asked.answer.is_ok
    return variant or SILENT if is_good else variant


def _token_life(_: str | None, asked: Asked, evidence: Evidence) -> str | None:
    """Return the variant under which a token used like this one has ended."""
    if not TOKEN_REFUSED.recognise(asked.answer):
        return SILENT
    if asked.question is Question.OLD_TOKEN:
        use = TokenUse(is_newest=False)
    else:
        use = TokenUse(calls=evidence.token_calls)
    return next((each.name for each in TOKEN_LIFE.variants if each.answer(use)), None)


def _open_session(variant: str | None, asked: Asked, _: Evidence) -> str | None:
    """Contradict a session that ended before it began."""
    start = _moment(asked.answer.pick("dateSessionStarted"))
    end = _moment(asked.answer.pick("dateSessionEnded"))
    return None if start and end and end < start else variant


def _moment(text: str | None) -> datetime | None:
    """Parse a moment as the portal writes it."""
    try:
        return datetime.strptime(text or "", _MOMENT).astimezone()
    except ValueError:
        return None


def _sms_status(variant: str | None, asked: Asked, _: Evidence) -> str | None:
    """Ignore words that are the same under several variants."""
    word = status_word(asked.answer)
    return variant or SILENT if word is None or word in SMS_WORDS else variant


def _status_change(variant: str | None, _: Asked, evidence: Evidence) -> str:
    """Return the variant that refuses a request, or under which a status arrives when it did."""
    arrived = (
        each.name
        for each in STATUS_CHANGE.variants
        if evidence.arrival is not None and each.answer.arrival is evidence.arrival
    )
    return variant or next(arrived, SILENT)


def _unknown_iccid(variant: str | None, asked: Asked, evidence: Evidence) -> str | None:
    """Ignore that the answer is a page where any error is one."""
    if asked.answer.body is Body.PAGE and evidence.shows_pages():
        return UNKNOWN_ICCID.recognise(replace(asked.answer, body=Body.TEXT))
    return variant


def _route_refused(variant: str | None, asked: Asked, _: Evidence) -> str | None:
    """Contradict by a refusal in no known form; ignore other errors."""
    match asked.answer.status, asked.answer.code:
        case _ if variant:
            return variant
        case 403, Code.INVALID_CREDENTIALS:
            return SILENT
        case (403 | 405, _) | (_, Code.NO_ACCESS):
            return None
    return SILENT


def _abzorb(variant: str | None, asked: Asked, evidence: Evidence) -> str | None:
    """Prefer a variant that refuses routes where they were refused."""
    refusing = (
        each.name
        for each in ABZORB.variants
        if each.looks(asked.answer) and evidence.refuses(asked.sim, *each.answer.refused_routes)
    )
    return next(refusing, variant)


def _error_envelope(variant: str | None, asked: Asked, evidence: Evidence) -> str | None:
    """Ignore a single page, which is no envelope."""
    is_single = asked.answer.body is Body.PAGE and not evidence.shows_pages()
    return SILENT if asked.answer.is_ok or is_single else variant


def _dates(_: str | None, asked: Asked, __: Evidence) -> str | None:
    """Contradict dates that are not written as in the examples."""
    record = asked.answer.value if isinstance(asked.answer.value, dict) else {}
    dates = [str(value) for key, value in record.items() if key.startswith("date") and value]
    if not asked.answer.is_ok or not dates:
        return SILENT
    return PUBLISHED if all(_moment(date) for date in dates) else None


def _wrong_case(_: str | None, asked: Asked, __: Evidence) -> str | None:
    """Contradict a path in another case that is answered."""
    return None if asked.answer.is_ok else PUBLISHED


def _fact(name: str, looks: Looks = no_answer) -> Dialect[None]:
    """Return a published fact as a dialect with a single variant."""
    variant = Variant(PUBLISHED, name, answer=None, looks=looks)
    return Dialect(number="", name=name, variants=(variant,))


_SIM_READS = (Question.READ, Question.ABZORB)

ASSUMPTIONS = {
    assumption.dialect.name: assumption
    for assumption in (
        Assumption(
            LOGIN_FAILURE,
            unseen="needs --try-wrong-login",
            questions=(Question.LOGIN, Question.WRONG_LOGIN),
            judges_errors=True,
            refine=_login_failure,
        ),
        Assumption(
            LOGIN_ANSWER,
            unseen="the log-in failed",
            questions=(Question.LOGIN,),
            silent={"data": {}},
        ),
        Assumption(
            TOKEN_LIFE,
            unseen="a second log-in revoked nothing; --try-token-life sees more",
            questions=(Question.OLD_TOKEN, Question.MANY_CALLS),
            refine=_token_life,
        ),
        Assumption(
            TOKEN_REFUSED,
            unseen="the log-in failed",
            questions=(Question.BAD_TOKEN,),
            judges_errors=True,
        ),
        Assumption(USAGE_BODY, unseen="needs --iccid", routes=("ctdUsage",)),
        Assumption(STATUS_BODY, unseen="needs --iccid", routes=("getStatus",)),
        Assumption(
            OPEN_SESSION,
            unseen="needs --iccid of a SIM in session",
            routes=("sessionInfo",),
            silent=({"dateSessionStarted": ("", None, ABSENT)}, {"dateSessionEnded": str}),
            refine=_open_session,
        ),
        Assumption(SMS_ID, unseen="needs --allow-sms", questions=(Question.SEND_SMS,)),
        Assumption(
            SMS_LIST,
            unseen="needs --iccid of a SIM with messages",
            routes=("GetSMSIds",),
            silent=([], {"smsMsgIds": []}),
        ),
        Assumption(SMS_BODY, unseen="needs --iccid of a SIM with messages", routes=("GetSMS",)),
        Assumption(
            SMS_STATUS,
            unseen="needs --iccid of a SIM with a delivered message",
            routes=("GetSMS",),
            refine=_sms_status,
        ),
        Assumption(WRITE_ANSWER, unseen="needs --allow-status", questions=(Question.CHANGE,)),
        Assumption(
            STATUS_CHANGE,
            unseen="needs --allow-status, and a change that arrives within a minute",
            questions=(Question.CHANGE,),
            refine=_status_change,
        ),
        Assumption(
            UNKNOWN_ICCID,
            unseen="the log-in failed",
            questions=(Question.UNKNOWN,),
            judges_errors=True,
            refine=_unknown_iccid,
        ),
        Assumption(
            ROUTE_REFUSED,
            unseen="no route was refused",
            questions=_SIM_READS,
            refine=_route_refused,
        ),
        Assumption(
            RATE_LIMIT,
            unseen="the probe asks too slowly to meet one",
            questions=(),
            judges_limits=True,
            refine=_or_silent,
        ),
        Assumption(
            ABZORB,
            unseen="needs --abzorb-iccid",
            questions=(Question.ABZORB,),
            routes=("getStatus",),
            refine=_abzorb,
        ),
        Assumption(
            BULK_WEBHOOK, unseen="needs a bulk edit, which the probe never makes", refine=_or_silent
        ),
        Assumption(
            ERROR_ENVELOPE,
            unseen="no error had a body",
            questions=(Question.BAD_TOKEN, Question.WRONG_LOGIN, Question.UNKNOWN, *_SIM_READS),
            silent=Body.EMPTY,
            judges_errors=True,
            refine=_error_envelope,
        ),
        Assumption(
            NEVER_SESSION,
            unseen="needs --iccid of a SIM that never had a session",
            routes=("sessionInfo",),
            silent={"dateSessionStarted": str},
        ),
    )
}

# Facts of the published document.
FACTS = {
    fact.dialect.name: fact
    for fact in (
        Assumption(
            _fact("GetDevice answers an object", has_body({"iccid": str})),
            unseen="needs --iccid",
            routes=("GetDevice",),
        ),
        Assumption(
            _fact("sessionInfo answers an object", has_body({"iccid": str})),
            unseen="needs --iccid",
            routes=("sessionInfo",),
        ),
        Assumption(
            _fact("dates as in the examples"),
            unseen="needs --iccid",
            routes=("GetDevice", "sessionInfo"),
            refine=_dates,
        ),
        Assumption(
            _fact("paths are exact"),
            unseen="needs --iccid",
            questions=(Question.WRONG_CASE,),
            refine=_wrong_case,
        ),
    )
}
