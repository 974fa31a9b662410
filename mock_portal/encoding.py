"""Texts, JSON and paths as bytes, whatever a client has put into them."""

import json
from math import isfinite
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

_DEEPEST = 100
_TOO_DEEP = f"it is nested more than {_DEEPEST} levels deep"


def to_bytes(text: str) -> bytes:
    r"""Encode a text as UTF-8; half a surrogate pair becomes an escape (\ud83d), as in JSON."""
    return text.encode(errors="backslashreplace")


def from_json(body: bytes, *, unique_names: bool = False) -> Any:
    """Parse JSON; raise ValueError also for what `to_json` could not write again.

    With `unique_names` raise it for a name that an object has twice, too.
    """
    try:
        text = body.decode(json.detect_encoding(body), "surrogatepass")
        value = (_UNIQUE_DECODER if unique_names else _DECODER).decode(text)
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


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; raise an error for a name that is there twice, of which one would get lost."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(twice(name))
        found[name] = value
    return found


def twice(name: str) -> str:
    """Return what is wrong with a name that is there twice."""
    return f"{name!r} is there twice"


_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_number)
_UNIQUE_DECODER = json.JSONDecoder(
    parse_float=_number, parse_constant=_number, object_pairs_hook=unique
)


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


def parse_query(query: str) -> dict[str, str]:
    """Return a query by name; of a name that is there twice both values, with a comma as in headers."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True) if query else ():
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
