"""What is refused, with which status, and in which envelope."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from http import HTTPStatus

from mock_portal.encoding import to_bytes
from mock_portal.errors import Code
from mock_portal.exchange import JSON_TYPE, Payload, Record
from mock_portal.patterns import (
    NOTHING,
    PLAIN_TEXT,
    Body,
    has_body,
    has_code,
    is_error_with,
    is_limit,
    is_refusal,
)

from .definition import Dialect, Variant

_HTML_TYPE = "text/html;charset=iso-8859-1"

# The body of 200_empty by route; {} on the others.
_NO_DATA: dict[str | None, Payload] = {"ctdUsage": [], "GetSMSIds": [], "getStatus": b""}


@dataclass(frozen=True, slots=True)
class Envelope:
    """How the message, the code and the status of an error become a body."""

    enclose: Callable[[str, Code | None, int], Payload]
    content_type: str = JSON_TYPE


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status, and the body: the usual envelope, an envelope of its own, or one by route."""

    status: int
    has_code: bool = True
    retry_after: str | None = None
    envelope: Envelope | None = None
    body: Callable[[str | None], Payload] | None = None


def _record(message_key: str, message: str, code_key: str, code: Code | None) -> Record:
    """Return message and code under these keys."""
    record: Record = {message_key: message}
    return record | {code_key: code} if code else record


def _page(message: str, _: Code | None, status: int) -> bytes:
    """Return an error page like the web server's own."""
    title = f"Error {status} {HTTPStatus(status).phrase}"
    return (
        f'<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>\n'
        f"<title>{title}</title>\n</head>\n<body><h2>HTTP ERROR {status}</h2>\n"
        f"<p>{escape(message)}</p>\n</body>\n</html>\n"
    ).encode("iso-8859-1", "xmlcharrefreplace")


_HTML = Envelope(_page, content_type=_HTML_TYPE)

LOGIN_FAILURE: Dialect[Refusal] = Dialect(
    number="A1",
    name="login_failure",
    variants=(
        Variant(
            "401",
            "wrong credentials: 401 with code 10000001",
            answer=Refusal(401),
            looks=is_refusal(401, Code.INVALID_CREDENTIALS),
        ),
        Variant(
            "403",
            "403 with code 10000001",
            answer=Refusal(403),
            looks=is_refusal(403, Code.INVALID_CREDENTIALS),
        ),
        Variant(
            "400",
            "400 with code 10000001",
            answer=Refusal(400),
            looks=is_refusal(400, Code.INVALID_CREDENTIALS),
        ),
        Variant(
            "200_no_token",
            '200 with {"data": {}}',
            answer=Refusal(200, body=lambda _: {"data": {}}),
            looks=has_body({"data": {}}),
        ),
    ),
)

TOKEN_REFUSED: Dialect[Refusal] = Dialect(
    number="A4",
    name="token_refused",
    variants=(
        Variant(
            "401",
            "an unknown or expired token: 401 with code 10000001",
            answer=Refusal(401),
            looks=is_refusal(401, Code.INVALID_CREDENTIALS, but_not=Body.EMPTY),
        ),
        Variant(
            "401_empty",
            "401 with an empty body",
            answer=Refusal(401, body=lambda _: b""),
            looks=is_error_with(Body.EMPTY, status=401),
        ),
        Variant(
            "403_code",
            "403 with code 10000001",
            answer=Refusal(403),
            looks=is_refusal(403, Code.INVALID_CREDENTIALS),
        ),
        Variant(
            "400_code",
            "400 with code 10000001",
            answer=Refusal(400),
            looks=is_refusal(400, Code.INVALID_CREDENTIALS),
        ),
    ),
)

UNKNOWN_ICCID: Dialect[Refusal] = Dialect(
    number="A14",
    name="unknown_iccid",
    variants=(
        Variant(
            "404",
            "404 with code 20000001",
            answer=Refusal(404),
            looks=is_refusal(404, Code.NOT_FOUND, but_not=Body.PAGE),
        ),
        Variant(
            "400",
            "400 with code 20000001",
            answer=Refusal(400),
            looks=is_refusal(400, Code.NOT_FOUND),
        ),
        Variant(
            "404_html",
            "404 with an HTML page",
            answer=Refusal(404, envelope=_HTML),
            looks=is_error_with(Body.PAGE, status=404),
        ),
        Variant(
            "200_empty",
            "200 with [], {} or an empty word",
            answer=Refusal(200, body=lambda route: _NO_DATA.get(route, {})),
            looks=has_body(NOTHING),
        ),
    ),
)

ROUTE_REFUSED: Dialect[Refusal] = Dialect(
    number="A15",
    name="route_refused",
    variants=(
        Variant(
            "400_code",
            "a refused route: 400 with code 10000030",
            answer=Refusal(400),
            looks=is_refusal(400, Code.NO_ACCESS),
        ),
        Variant("403", "403", answer=Refusal(403, has_code=False), looks=is_refusal(403)),
        Variant("404", "404", answer=Refusal(404, has_code=False), looks=is_refusal(404)),
        Variant("501", "501", answer=Refusal(501, has_code=False), looks=is_refusal(501)),
    ),
)

RATE_LIMIT: Dialect[Refusal | None] = Dialect(
    number="A16",
    name="rate_limit",
    variants=(
        Variant("off", "no limit is enforced", answer=None),
        Variant(
            "429_retry_after",
            "more than 5 requests within a second: 429 with Retry-After: 1",
            answer=Refusal(429, retry_after="1"),
            looks=is_limit(429, has_retry_after=True),
        ),
        Variant(
            "429",
            "429 without Retry-After",
            answer=Refusal(429),
            looks=is_limit(429, has_retry_after=False),
        ),
        Variant(
            "503",
            "503 with Retry-After: 1",
            answer=Refusal(503, retry_after="1"),
            looks=is_limit(503, has_retry_after=True),
        ),
        Variant(
            "400_code",
            "400 with code 40000029",
            answer=Refusal(400),
            looks=has_code(Code.RATE_LIMIT),
        ),
    ),
)

ERROR_ENVELOPE: Dialect[Envelope] = Dialect(
    number="A19",
    name="error_envelope",
    variants=(
        Variant(
            "cisco",
            '{"errorMessage", "errorCode"}',
            answer=Envelope(
                lambda message, code, _: _record("errorMessage", message, "errorCode", code)
            ),
            looks=is_error_with({"errorMessage": str}),
        ),
        Variant(
            "message",
            '{"message", "code"}',
            answer=Envelope(lambda message, code, _: _record("message", message, "code", code)),
            looks=is_error_with({"message": str}),
        ),
        Variant(
            "data_error",
            '{"data": {"error", "errorCode"}}',
            answer=Envelope(
                lambda message, code, _: {"data": _record("error", message, "errorCode", code)}
            ),
            looks=is_error_with({"data": {"error": str}}),
        ),
        Variant(
            "plain",
            "the message as plain text, no code",
            answer=Envelope(lambda message, *_: to_bytes(message)),
            looks=is_error_with(PLAIN_TEXT),
        ),
        Variant("html", "an HTML page, no code", answer=_HTML, looks=is_error_with(Body.PAGE)),
    ),
)
