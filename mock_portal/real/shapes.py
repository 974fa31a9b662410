"""The shape of answers: fields and types, without identifying values."""

import json
import re

from mock_portal.exchange import Json
from mock_portal.patterns import Answer, Body

from .upstream import Reply

_KEY = re.compile(r"(?!.*\d{6})[A-Za-z_][\w.-]{0,40}", re.ASCII)
_TELLING_KEY = re.compile(r"(sim)?status|(error)?code|msgtype", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z _-]{0,30}|\d{1,8}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?")
_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")


def read(reply: Reply) -> Answer:
    """Parse a portal's reply."""
    text = reply.body.decode(errors="replace").strip()
    value: Json = text
    try:
        value, body = json.loads(text), Body.JSON
    except (ValueError, RecursionError):
        body = _kind(text)
    return Answer(
        status=reply.status, body=body, value=value, retry_after=reply.header("Retry-After")
    )


def _kind(text: str) -> Body:
    """Return the kind of a body that is not JSON."""
    if text.startswith("<"):
        return Body.PAGE
    return (Body.EMPTY, Body.WORD, Body.TEXT)[min(len(text.split()), 2)]


def describe(answer: Answer, route: str) -> Json:
    """Return the shape of a body; only a bare word from getStatus is shown."""
    is_shown = answer.body is Body.JSON or route == "getStatus"
    if answer.body in {Body.PAGE, Body.EMPTY} or not is_shown:
        return str(answer.body)
    return shape(answer.value, "status" if route == "getStatus" else "")


def shape(value: Json, key: str = "") -> Json:
    """Return a value with types in place of values; equal items of a list appear once."""
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
    """Return the shape of a text; words of a vocabulary are shown."""
    if _TELLING_KEY.fullmatch(key) and _WORD.fullmatch(text):
        return text
    if text in {"", "True", "False"}:
        return text
    if _MOMENT.fullmatch(text):
        return re.sub(r"\d", "0", text)
    if _ADDRESS.fullmatch(text):
        return "an IPv4 address"
    return f"{len(text)} digits" if text.isdecimal() else "a text"
