"""Text from the portal: it is data, and may hold anything."""

import re
from typing import Final
import unicodedata

# Longer than what any state or name can show.
MAX_TEXT_LENGTH: Final = 2000
# They join emoji and letters, and are harmless.
_JOINERS: Final = {"\u200c", "\u200d"}
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Co"}


def one_line(text: str, limit: int = MAX_TEXT_LENGTH) -> str:
    """Return a text as one line without characters that control or cannot be seen, at most so long."""
    # A line break or a tab separates words, so it becomes a space. Enough is cut off first, as a text can be huge.
    words = re.sub(r"[\s\x1c-\x1f\x85\u2028\u2029]+", " ", text[: 8 * limit])
    if not words.isascii() or not words.isprintable():
        words = "".join(
            letter
            for letter in words
            if letter in _JOINERS or unicodedata.category(letter) not in _INVISIBLE
        )
    words = re.sub(" +", " ", words).strip()
    return words if len(words) <= limit else f"{words[: limit - 1].rstrip()}…"
