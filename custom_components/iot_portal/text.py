"""Text of the portal where Home Assistant renders markdown or HTML."""

import re
from typing import Final

from .api import one_line

MAX_PLACEHOLDER_LENGTH: Final = 300
# What has a meaning anywhere in a line. An underscore within a word has none, and shows in titles as it is.
_MARKED: Final = re.compile(
    r"[\\\[\]<`*|]|(?<=\])\(|!(?=\[)|~(?=~)|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])"
)
# What begins a heading, a list or a quotation.
_BLOCK: Final = re.compile(r"^(?=[-+=#>~])|^([0-9]{1,9})(?=[.)] )")
# Frontends turn addresses into links without any mark around them.
_LINK: Final = re.compile(r"(?i)(?<=[a-z])(?=://)|(?<=\bwww)(?=\.)|(?<=\w)(?=@\w)")
_HTML: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    | {mark: f"&#{ord(mark)};" for mark in "\"'[]()*_`#|!~:@"}
)


def as_markdown(text: str, limit: int = MAX_PLACEHOLDER_LENGTH) -> str:
    """Return a text as markdown that shows just this text, in one line."""
    marked = _MARKED.sub(r"\\\g<0>", one_line(text, limit))
    return _LINK.sub(r"\\", _BLOCK.sub(r"\1\\", marked))


def as_html(text: str, limit: int = MAX_PLACEHOLDER_LENGTH) -> str:
    """Return a text as HTML that shows just this text, also where markdown is around it."""
    return one_line(text, limit).translate(_HTML)
