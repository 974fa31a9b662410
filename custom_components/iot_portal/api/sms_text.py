"""Texts of SMS that a portal passes on undecoded."""

from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from .envelope import get_field, plain_word
from .values import Json

_UCS2: Final = frozenset({"ucs2", "utf16", "utf16be"})


def decoded_text(raw: Mapping[str, Json]) -> Json:
    """Return the text of an SMS; decoded where the answer names an encoding and the text is in it, else as it is."""
    encoding = plain_word(str(get_field(raw, "encoding", "messageEncoding")))
    text = get_field(raw, "messageText")
    if text is None:
        # Some portals name the field after the encoding.
        encoding, text = "ucs2", get_field(raw, "ucs-2")
    if not isinstance(text, str):
        return text
    with suppress(ValueError):
        if encoding in _UCS2:
            return _printable(bytes.fromhex(text).decode("utf-16-be"))
        if encoding == "hex":
            return _printable(bytes.fromhex(text).decode())
        if encoding == "base64":
            return _printable(b64decode(text, validate=True).decode())
    return text


def _printable(text: str) -> str:
    """Return a text; raise ValueError for one that nobody would send, so it was not encoded."""
    if not text.replace("\n", " ").replace("\r", " ").isprintable():
        msg = "control characters"
        raise ValueError(msg)
    return text
