"""What is read of a SIM: usage, status and session."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from mock_portal.encoding import to_bytes
from mock_portal.errors import Code, PortalError
from mock_portal.exchange import Payload, Record
from mock_portal.patterns import ABSENT, PLAIN_TEXT, Answer, has_body, has_code

from .definition import Dialect, Variant

type RecordAnswer = Callable[[Record], Payload]

_SESSION_FIELDS = ("ipAddress", "dateSessionStarted", "dateSessionEnded")
_COUNT = (int, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class AbzorbAnswer:
    """How SIMs of the Abzorb network differ: the answer to getStatus, and what is refused."""

    status: Callable[[str, str], Payload] | None = None
    refused_routes: frozenset[str] = frozenset()


def _with_text(record: Record) -> Record:
    """Return a record whose numbers are text."""
    return {name: str(value) if isinstance(value, int) else value for name, value in record.items()}


def _is_used(record: Record) -> bool:
    """Return whether any counter of a usage record is above zero."""
    return any(value for name, value in record.items() if name.startswith("ctd"))


def _no_session(_: str) -> NoReturn:
    """Refuse to answer for a SIM that never had a session."""
    msg = "No active session"
    raise PortalError(msg, Code.NO_SESSION, status=404)


USAGE_BODY: Dialect[RecordAnswer] = Dialect(
    number="A5",
    name="usage_body",
    variants=(
        Variant(
            "array",
            "an array of one",
            answer=lambda record: [record],
            looks=has_body([{"ctdDataUsage": _COUNT}]),
            documented=True,
        ),
        Variant(
            "object",
            "the object itself",
            answer=lambda record: record,
            looks=has_body({"ctdDataUsage": _COUNT}),
        ),
        Variant(
            "data",
            '{"data": [...]}',
            answer=lambda record: {"data": [record]},
            looks=has_body({"data": [{"ctdDataUsage": _COUNT}]}),
        ),
        Variant(
            "text_numbers",
            "numbers as text",
            answer=lambda record: [_with_text(record)],
            looks=has_body([{"ctdDataUsage": str}]),
        ),
        Variant(
            "empty_array",
            "[] for a SIM without usage in this cycle",
            answer=lambda record: [record] if _is_used(record) else [],
            looks=has_body([]),
            is_occasional=True,
        ),
    ),
)

STATUS_BODY: Dialect[RecordAnswer] = Dialect(
    number="A6",
    name="status_body",
    variants=(
        Variant(
            "bare",
            "the bare word",
            answer=lambda record: to_bytes(str(record["status"])),
            looks=has_body(PLAIN_TEXT),
            documented=True,
        ),
        Variant(
            "quoted",
            "the word as a JSON string",
            answer=lambda record: record["status"],
            looks=has_body(str),
        ),
        Variant(
            "object",
            '{"iccid", "status"}',
            answer=lambda record: record,
            looks=has_body({"status": str}),
        ),
        Variant(
            "array",
            '[{"iccid", "status"}]',
            answer=lambda record: [record],
            looks=has_body([{"status": str}]),
        ),
    ),
)


def _is_usual_status(answer: Answer) -> bool:
    """Return whether getStatus answered in any form of `status_body`."""
    return STATUS_BODY.recognise(answer) is not None


# Each answer is the end of an open session.
OPEN_SESSION: Dialect[Record] = Dialect(
    number="A7",
    name="open_session",
    variants=(
        Variant(
            "null",
            "the end of an open session is null",
            answer={"dateSessionEnded": None},
            looks=has_body({"dateSessionStarted": str, "dateSessionEnded": None}),
        ),
        Variant(
            "empty",
            'the end of an open session is ""',
            answer={"dateSessionEnded": ""},
            looks=has_body({"dateSessionStarted": str, "dateSessionEnded": ""}),
        ),
        Variant(
            "missing",
            "the end of an open session is left out",
            answer={},
            looks=has_body({"dateSessionStarted": str, "dateSessionEnded": ABSENT}),
        ),
    ),
)

ABZORB: Dialect[AbzorbAnswer] = Dialect(
    number="A17",
    name="abzorb",
    variants=(
        Variant(
            "same",
            "a SIM of the Abzorb network is answered like the others",
            answer=AbzorbAnswer(),
            looks=_is_usual_status,
        ),
        Variant(
            "object",
            'getStatus answers {"iccid", "simStatus": "Active"}: own key, own word',
            answer=AbzorbAnswer(status=lambda iccid, word: {"iccid": iccid, "simStatus": word}),
            looks=has_body({"simStatus": str}),
        ),
        Variant(
            "nested",
            'getStatus answers {"data": {"status": "Active"}}',
            answer=AbzorbAnswer(status=lambda _, word: {"data": {"status": word}}),
            looks=has_body({"data": {"status": str}}),
        ),
        Variant(
            "no_usage",
            "ctdUsage and sessionInfo are refused (A15), getStatus works",
            answer=AbzorbAnswer(refused_routes=frozenset({"ctdUsage", "sessionInfo"})),
            looks=_is_usual_status,
        ),
    ),
)

NEVER_SESSION: Dialect[Callable[[str], Record]] = Dialect(
    number="A20",
    name="never_session",
    variants=(
        Variant(
            "nulls",
            "a SIM that never had a session: address and both dates null",
            answer=lambda iccid: {"iccid": iccid, **dict.fromkeys(_SESSION_FIELDS)},
            looks=has_body(dict.fromkeys(_SESSION_FIELDS)),
        ),
        Variant(
            "empty",
            'all three ""',
            answer=lambda iccid: {"iccid": iccid, **dict.fromkeys(_SESSION_FIELDS, "")},
            looks=has_body(dict.fromkeys(_SESSION_FIELDS, "")),
        ),
        Variant(
            "iccid_only",
            '{"iccid"}',
            answer=lambda iccid: {"iccid": iccid},
            looks=has_body({"iccid": str, **dict.fromkeys(_SESSION_FIELDS, ABSENT)}),
        ),
        Variant(
            "404",
            "404 with code 900100",
            answer=_no_session,
            looks=has_code(Code.NO_SESSION, status=404),
        ),
    ),
)
