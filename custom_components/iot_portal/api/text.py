"""Text from the portal: it is data, and may hold anything."""

from ipaddress import ip_address
import re
from typing import Final
import unicodedata

# Longer than what any state or name can show.
MAX_TEXT_LENGTH: Final = 2000
# They join emoji and letters, and are harmless.
_JOINERS: Final = {"\u200c", "\u200d"}
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Co"}
# How much of a number is shown: enough to tell SIMs apart, too little to call or to track one.
SHOWN_DIGITS: Final = 4
# The longest of the portal's codes has eight digits. People and cards write long numbers in groups, and some ICCIDs
# have hexadecimal letters.
_LONG_NUMBER: Final = re.compile(
    r"…?(?:89[0-9]{4}[0-9A-Fa-f]{12,16}|[0-9]{9,}|[0-9](?:[ -]?[0-9]){11,}|\+[0-9](?:[ ()./-]{0,2}[0-9]){6,})"
)
_IPV4: Final = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.]*[0-9])")
_IPV6: Final = re.compile(
    r"(?<![0-9A-Za-z:])[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?![0-9A-Za-z:])"
)


def one_line(text: str, limit: int = MAX_TEXT_LENGTH) -> str:
    """Return a text as one line without characters that control or cannot be seen, at most so long."""
    if len(text) <= limit and text.isascii() and text.isprintable() and "  " not in text:
        # Nearly every text of the portal: the rest would find nothing to change.
        return text.strip()
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


def mask_numbers(text: str) -> str:
    """Return a text with only the last four digits of each number as long as those of SIMs, phones and devices."""
    return _LONG_NUMBER.sub(lambda found: shorten(found[0]), text)


def mask_addresses(text: str) -> str:
    """Return a text without the IP addresses in it."""
    return _IPV4.sub("…", _IPV6.sub(_mask_ipv6, text))


def shorten(number: str, digits: int = SHOWN_DIGITS) -> str:
    """Return a number by its last digits, without the F that modems pad an ICCID with."""
    return f"…{re.sub('[^0-9A-Fa-f]', '', number).rstrip('Ff')[-digits:]}"


def _mask_ipv6(found: re.Match[str]) -> str:
    """Return what stands for a part of a text that looks like an address: a time stays as it is."""
    try:
        ip_address(found[0].rstrip(".:") or found[0])
    except ValueError:
        return found[0]
    return "…"
