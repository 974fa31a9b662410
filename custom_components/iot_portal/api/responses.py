"""Turn the portal's HTTP responses into answers or errors."""

import codecs
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
import json
import math
import re
import sys
from typing import Final, Self

from aiohttp import ClientResponse

from .const import ErrorCode
from .exceptions import (
    Evidence,
    IotPortalAuthenticationError,
    IotPortalConnectionError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalRateLimitError,
    IotPortalResponseError,
)
from .models import error_code, error_message, says_failed
from .reasons import Cause, Reason
from .text import mask_addresses, one_line
from .values import Json

# The largest documented answer has less than 2 kB, so anything larger does not come from the portal.
MAX_BODY_BYTES: Final = 1024 * 1024
MAX_MESSAGE_LENGTH: Final = 200
MAX_RETRY_AFTER: Final = 60 * 60
MAX_DEPTH: Final = 32
MAX_INTEGER: Final = 2**63 - 1
MIN_ERROR_CODE_LENGTH: Final = len(ErrorCode.NO_ACTIVE_SESSION)

# Some servers do not escape control characters.
_JSON: Final = json.JSONDecoder(strict=False)
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
# A letter in UTF-8; bytes without any are of an older charset.
_MULTIBYTE: Final = re.compile(rb"[\xc3-\xf4][\x80-\xbf]")
_TITLE: Final = re.compile(r"<(?:title|h1)\b[^>]*>\s*([^<\s][^<]*)<", re.IGNORECASE)
# Around the body, some servers send byte order marks or zero bytes.
_MARKS: Final = "\ufeff\0 \t\r\n"

_BY_CODE: Final[dict[str, type[IotPortalResponseError]]] = {
    ErrorCode.INVALID_CREDENTIALS: IotPortalAuthenticationError,
    ErrorCode.NO_ACCESS: IotPortalNotAvailableError,
    ErrorCode.NOT_FOUND: IotPortalNotFoundError,
    ErrorCode.NO_ACTIVE_SESSION: IotPortalNotFoundError,
    ErrorCode.RATE_LIMIT: IotPortalRateLimitError,
}
_BY_STATUS: Final[dict[int, type[IotPortalResponseError]]] = {
    401: IotPortalAuthenticationError,
    403: IotPortalNotAvailableError,
    404: IotPortalNotFoundError,
    405: IotPortalNotAvailableError,
    429: IotPortalRateLimitError,
    501: IotPortalNotAvailableError,
    503: IotPortalRateLimitError,
}


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response of the portal."""

    status: int
    text: str
    retry_after: str | None

    @classmethod
    async def read(cls, response: ClientResponse) -> Self:
        """Read a response to its end."""
        return cls(
            status=response.status,
            text=await _read_body(response),
            retry_after=response.headers.get("Retry-After"),
        )

    @cached_property
    def answer(self) -> Json:
        """Return the body, parsed if it is JSON."""
        try:
            # Some servers put JSON into a string.
            parsed = _JSON.decode(self.text)
            if isinstance(parsed, str) and parsed.lstrip().startswith(("{", "[")):
                parsed = _JSON.decode(parsed)
            return _sanitize(parsed, MAX_DEPTH)
        except ValueError, RecursionError:
            return self.text.strip()

    @property
    def is_success(self) -> bool:
        """Return whether the HTTP status is a success."""
        return self.status in range(200, 300)

    @property
    def is_error(self) -> bool:
        """Return whether the response is an error.

        Errors can come with a 2xx status and a long code; `{"message": "OK", "code": "0"}` is none.
        """
        if not self.is_success:
            return True
        if not isinstance(self.answer, Mapping):
            return self.is_page or self.evidence is Evidence.STRONG
        code = error_code(self.answer) or ""
        return len(code) >= MIN_ERROR_CODE_LENGTH or says_failed(self.answer)

    @property
    def evidence(self) -> Evidence:
        """Return how much the response says, if it is an error: the one place that decides."""
        if error_code(self.answer) in _BY_CODE:
            return Evidence.STRONG
        return Evidence.PAGE if self.is_page else Evidence.WEAK

    @property
    def is_page(self) -> bool:
        """Return whether the body is a page of HTML or XML: somebody else has answered."""
        return isinstance(self.answer, str) and self.answer.startswith("<")

    @property
    def is_refusal(self) -> bool:
        """Return whether an error means that nothing was done: only the portal's own word does.

        That is a code that we know, an error envelope with a 4xx status, or a 401 that is no page: a rejected token.
        """
        if self.evidence is Evidence.STRONG or (self.status == 401 and not self.is_page):  # noqa: PLR2004
            return True
        if isinstance(self.answer, str) or self.status not in range(400, 500):
            return False
        return bool(error_message(self.answer) or error_code(self.answer))

    @property
    def _title(self) -> str:
        """Return the title of a page, an empty text if there is none."""
        found = _TITLE.search(self.text) if self.is_page else None
        return one_line(found[1], MAX_MESSAGE_LENGTH) if found else ""

    def _explain(self, secrets: Iterable[str | None]) -> str | Cause:
        """Return the portal's message, or what is known without one, with all secrets masked."""
        message = error_message(self.answer)
        if not message and self.is_page and self.is_success:
            return Cause(Reason.NOT_THE_PORTAL)
        text = message or self._title
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        text = mask_addresses(text[:MAX_MESSAGE_LENGTH])
        if message:
            return text
        reason = Reason.PAGE if text else Reason.HTTP_STATUS
        return Cause(reason, {"status": str(self.status), "title": text})

    def as_error(self, *, secrets: Iterable[str | None]) -> IotPortalResponseError:
        """Return the error that the response is, with all secrets masked.

        The portal's error code takes precedence over the HTTP status.
        """
        message = self._explain(secrets)
        code = error_code(self.answer)
        kind = _BY_CODE.get(code or "") or _BY_STATUS.get(self.status, IotPortalResponseError)
        if kind is IotPortalRateLimitError:
            return IotPortalRateLimitError(
                message,
                status=self.status,
                code=code,
                evidence=self.evidence,
                retry_after=_parse_retry_after(self.retry_after),
            )
        return kind(message, status=self.status, code=code, evidence=self.evidence)


def unreadable_answer() -> IotPortalResponseError:
    """Return the error for an unreadable 2xx answer."""
    return IotPortalResponseError(Reason.NOT_THE_PORTAL, status=200, evidence=Evidence.PAGE)


async def _read_body(response: ClientResponse) -> str:
    """Return the body as text; raise an error when it is too large."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise IotPortalConnectionError(Reason.ANSWER_TOO_LARGE, may_have_arrived=True)
    declared = _CHARSET.search(response.headers.get("Content-Type", ""))
    return _decode(bytes(body), declared[1].lower() if declared else "utf-8").strip(_MARKS)


def _decode(body: bytes, declared: str) -> str:
    """Return a body as text.

    A byte order mark decides, then UTF-8 where it fits, as many servers declare a charset that they do not use.
    """
    charsets = ["utf-8", declared]
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        charsets = ["utf-16"]
    elif declared.startswith(("utf-16", "utf-32", "utf16", "utf32")):
        # Its zero bytes are valid in UTF-8.
        charsets = [declared, "utf-8"]
    for charset in charsets:
        with suppress(LookupError, ValueError):
            return body.decode(charset)
    if _MULTIBYTE.search(body):
        return body.decode(errors="replace")
    return body.decode("cp1252", errors="replace")


def _sanitize(value: Json, depth: int) -> Json:
    """Return a value that every JSON encoder can write, without NaN, huge integers and surrogates.

    The answers about all SIMs share the names of their fields, which would else take 2 kB for each.
    """
    if depth == 0:
        msg = "the answer is nested too deeply"
        raise ValueError(msg)
    match value:
        case dict():
            return {
                sys.intern(_replace_lone_surrogates(key)): _sanitize(item, depth - 1)
                for key, item in value.items()
            }
        case list():
            return [_sanitize(item, depth - 1) for item in value]
        case str():
            return _replace_lone_surrogates(value)
        case float() if not math.isfinite(value):
            return None
        case int() if not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
            # An id can have that many digits, and must keep them all.
            return str(value)
    return value


def _replace_lone_surrogates(text: str) -> str:
    """Return a text with a question mark for each lone surrogate, which UTF-8 cannot encode."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _parse_retry_after(header: str | None) -> float | None:
    """Return a Retry-After header, a number of seconds or a date, as seconds from now."""
    if header is None:
        return None
    with suppress(ValueError, OverflowError):
        seconds = float(header) if header.strip().isdecimal() else _seconds_until(header)
        return min(max(seconds, 0), MAX_RETRY_AFTER)
    return None


def _seconds_until(date: str) -> float:
    """Return the seconds until a date of HTTP; one of unknown zone is UTC."""
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
