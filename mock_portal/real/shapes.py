"""Answers by their shape: which fields, which types, no value that identifies anybody."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
import json
import re
from typing import Any

from mock_portal.exchange import Json

from .upstream import Reply

ABSENT: Any = object()
"""In a pattern, the value of a key that an object must not have."""

_KEY = re.compile(r"(?!.*\d{6})[A-Za-z_][\w.-]{0,40}", re.ASCII)
_TELLING_KEY = re.compile(r"(sim)?status|(error)?code|msgtype", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z _-]{0,30}|\d{1,8}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?")
_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")


class Body(StrEnum):
    """What a body is."""

    JSON = "JSON"
    WORD = "a bare word"
    TEXT = "plain text"
    PAGE = "a page of HTML"
    EMPTY = "empty"


type Pattern = Any
"""What a body looks like: a member of `Body`, or JSON with types in the place of values.

An object may have more keys than its pattern, a list has one or more items like the one in its
pattern, `{}` and `[]` are empty, `str` is not empty, `object` is anything, a tuple is any one of
its patterns.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer of a portal; `value` is its JSON, or the text of what is none."""

    status: int
    body: Body
    value: Json
    retry_after: str | None = None

    @property
    def is_ok(self) -> bool:
        """Tell whether the request was carried out, as far as the status says."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def code(self) -> str | None:
        """Return the error code, in whatever envelope."""
        return self.pick("errorCode", "code", "data.errorCode")

    def fits(self, pattern: Pattern) -> bool:
        """Tell whether the body looks like a pattern."""
        if isinstance(pattern, tuple):
            return any(self.fits(each) for each in pattern)
        if isinstance(pattern, Body):
            return self.body is pattern
        return self.body is Body.JSON and _matches(self.value, pattern)

    def pick(self, *paths: str) -> str | None:
        """Return the first text or number found at one of these paths; "" is the body itself."""
        for path in paths:
            value = self.value
            for key in filter(None, path.split(".")):
                value = value[0] if isinstance(value, list) and value else value
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, str | int) and value != "":
                return str(value)
        return None


def read(reply: Reply) -> Answer:
    """Read what a portal answered."""
    text = reply.body.decode(errors="replace").strip()
    value: Json = text
    try:
        value, body = json.loads(text), Body.JSON
    except ValueError, RecursionError:
        body = _kind(text)
    return Answer(
        status=reply.status, body=body, value=value, retry_after=reply.header("Retry-After")
    )


def _kind(text: str) -> Body:
    """Tell what a body is that is not JSON."""
    if text.startswith("<"):
        return Body.PAGE
    return (Body.EMPTY, Body.WORD, Body.TEXT)[min(len(text.split()), 2)]


def describe(answer: Answer, route: str) -> Json:
    """Return the shape of a body; only getStatus answers a bare word that may be shown."""
    is_shown = answer.body is Body.JSON or route == "getStatus"
    if answer.body in {Body.PAGE, Body.EMPTY} or not is_shown:
        return str(answer.body)
    return shape(answer.value, "status" if route == "getStatus" else "")


def shape(value: Json, key: str = "") -> Json:
    """Return a value with types in the place of values; like items of a list are shown once."""
    if isinstance(value, dict):
        return {
            name if _KEY.fullmatch(name) else "(a key)": shape(item, name)
            for name, item in value.items()
        }
    if isinstance(value, list):
        shapes: list[Json] = []
        for item in value:
            if (seen := shape(item, key)) not in shapes:
                shapes.append(seen)
        return shapes
    if isinstance(value, str):
        return _shape_of_text(value, key)
    if value is None or isinstance(value, bool):
        return value
    return "a number"


def _shape_of_text(text: str, key: str) -> str:
    """Return the shape of a text; words from a vocabulary are shown."""
    if _TELLING_KEY.fullmatch(key) and _WORD.fullmatch(text):
        return text
    if text in {"", "True", "False"}:
        return text
    if _MOMENT.fullmatch(text):
        return re.sub(r"\d", "0", text)
    if _ADDRESS.fullmatch(text):
        return "an IPv4 address"
    return f"{len(text)} digits" if text.isdecimal() else "a text"


def _matches(value: Any, pattern: Pattern) -> bool:
    """Tell whether JSON looks like a pattern."""
    if isinstance(pattern, tuple):
        return any(_matches(value, each) for each in pattern)
    if isinstance(pattern, dict) and pattern:
        return isinstance(value, dict) and all(
            _matches(value.get(key, ABSENT), each) for key, each in pattern.items()
        )
    if isinstance(pattern, list) and pattern:
        return (
            isinstance(value, list)
            and value != []
            and all(_matches(item, pattern[0]) for item in value)
        )
    if pattern is object:
        return value is not ABSENT
    if isinstance(pattern, type):
        return type(value) is pattern and value != ""
    return value is pattern or (type(value) is type(pattern) and value == pattern)
