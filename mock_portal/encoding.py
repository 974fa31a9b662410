"""Texts, JSON and paths as bytes, whatever a client has put into them."""

import json
from math import isfinite
from typing import Any
from urllib.parse import unquote_to_bytes

_DEEPEST = 100
_TOO_DEEP = f"it is nested more than {_DEEPEST} levels deep"


def to_bytes(text: str) -> bytes:
    r"""Encode a text as UTF-8; half a surrogate pair becomes an escape (\ud83d), as in JSON."""
    return text.encode(errors="backslashreplace")


def from_json(body: bytes) -> Any:
    """Parse JSON; raise ValueError also for what `to_json` could not write again."""
    try:
        text = body.decode(json.detect_encoding(body), "surrogatepass")
        value = _DECODER.decode(text)
    except RecursionError as err:
        raise ValueError(_TOO_DEEP) from err
    if body.count(b"[") + body.count(b"{") > _DEEPEST and _is_too_deep(value):
        raise ValueError(_TOO_DEEP)
    return value


def _number(text: str) -> float:
    """Return a number; raise an error if it is infinite or none."""
    number = float(text)
    if not isfinite(number):
        msg = f"expected a number that JSON can carry, not {text}"
        raise ValueError(msg)
    return number


_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_number)


def _is_too_deep(value: object) -> bool:
    """Return whether lists and objects are nested too deep."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


def decode_path(path: str) -> str:
    """Return a path without percent-encoding; what is no UTF-8 becomes U+FFFD."""
    if "%" not in path and path.isascii():
        return path
    raw = unquote_to_bytes(path.encode(errors="surrogateescape"))
    try:
        return raw.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return raw.decode(errors="replace")
