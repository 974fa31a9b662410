"""Text messages: their ids, their lists and themselves."""

from collections.abc import Callable

from mock_portal.exchange import Payload, Record
from mock_portal.patterns import Answer, Looks, has_body

from .definition import Dialect, Variant

SMS_WORDS = frozenset(
    {"Pending", "Delivered", "Failed", "Cancelled", "CancelPending", "CancelFailed", "Unknown"}
    | {"Received"}
)


def status_word(answer: Answer) -> str | None:
    """Return the status of the text message in an answer."""
    return answer.pick("status", "data.status") if answer.is_ok else None


def _has_status(*words: str) -> Looks:
    """Return a predicate for a text message with one of these statuses."""
    return lambda answer: status_word(answer) in words


SMS_ID: Dialect[Callable[[int], Payload]] = Dialect(
    number="A8",
    name="sms_id",
    variants=(
        Variant(
            "smsMsgId",
            '{"smsMsgId": 4711}',
            answer=lambda sms_id: {"smsMsgId": sms_id},
            looks=has_body({"smsMsgId": int}),
        ),
        Variant(
            "text",
            '{"smsMsgId": "4711"}',
            answer=lambda sms_id: {"smsMsgId": str(sms_id)},
            looks=has_body({"smsMsgId": str}),
        ),
        Variant(
            "smsMessageId",
            '{"smsMessageId": 4711}',
            answer=lambda sms_id: {"smsMessageId": sms_id},
            looks=has_body({"smsMessageId": int}),
        ),
        Variant(
            "data",
            '{"data": {"smsMsgId": 4711}}',
            answer=lambda sms_id: {"data": {"smsMsgId": sms_id}},
            looks=has_body({"data": {"smsMsgId": int}}),
        ),
        Variant("bare", "4711", answer=lambda sms_id: sms_id, looks=has_body(int)),
        Variant("none", "{}: the id stays unknown", answer=lambda _: {}, looks=has_body({})),
    ),
)

SMS_LIST: Dialect[Callable[[list[int]], Payload]] = Dialect(
    number="A9",
    name="sms_list",
    variants=(
        Variant(
            "smsMsgIds",
            '{"smsMsgIds": [...], "pageNumber": 1, "lastPage": true}, oldest first',
            answer=lambda ids: {"smsMsgIds": [*ids], "pageNumber": 1, "lastPage": True},
            looks=has_body({"smsMsgIds": [int]}),
        ),
        Variant("bare", "[...]", answer=lambda ids: [*ids], looks=has_body([int])),
        Variant(
            "objects",
            '[{"smsMsgId": 4711}, ...]',
            answer=lambda ids: [{"smsMsgId": sms_id} for sms_id in ids],
            looks=has_body([{"smsMsgId": int}]),
        ),
        Variant(
            "data",
            '{"data": [...]}',
            answer=lambda ids: {"data": [*ids]},
            looks=has_body({"data": ([], [int])}),
        ),
        Variant(
            "text",
            '{"smsMsgIds": ["4711", ...]}',
            answer=lambda ids: {"smsMsgIds": [str(sms_id) for sms_id in ids]},
            looks=has_body({"smsMsgIds": [str]}),
        ),
    ),
)

SMS_BODY: Dialect[Callable[[Record], Payload]] = Dialect(
    number="A10",
    name="sms_body",
    variants=(
        Variant(
            "object",
            "the SMS object",
            answer=lambda record: record,
            looks=has_body({"smsMsgId": object}),
        ),
        Variant(
            "array",
            "an array of one",
            answer=lambda record: [record],
            looks=has_body([{"smsMsgId": object}]),
        ),
        Variant(
            "data",
            '{"data": {...}}',
            answer=lambda record: {"data": record},
            looks=has_body({"data": {"smsMsgId": object}}),
        ),
    ),
)

SMS_STATUS: Dialect[Callable[[str], str]] = Dialect(
    number="A11",
    name="sms_status",
    variants=(
        Variant(
            "title",
            "Pending, Delivered, Failed",
            answer=lambda word: word,
            looks=_has_status("Delivered"),
        ),
        Variant(
            "upper",
            "PENDING, DELIVERED, FAILED",
            answer=str.upper,
            looks=_has_status(*map(str.upper, SMS_WORDS)),
        ),
        Variant(
            "in_log",
            "Delivered-InLog instead of Delivered",
            answer=lambda word: "Delivered-InLog" if word == "Delivered" else word,
            looks=_has_status("Delivered-InLog"),
            is_occasional=True,
        ),
    ),
)
