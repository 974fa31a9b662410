"""ICCIDs: one spelling for each card."""

import re
from typing import Final

# Modems pad 19 digits with an F, and cards print groups. Some issuers number with hexadecimal letters.
_PATTERN: Final = re.compile(r"[0-9]{6}[0-9A-F]{12,16}")
# Spaces, hyphens and dots of all kinds, and characters that cannot be seen.
_BETWEEN: Final = re.compile(
    "[\\s.\\-\u00ad\u200b-\u200f\u2010-\u2015\u202a-\u202e\u2060-\u2069\u2212\ufe63\ufeff\uff0d]+"
)


def normalize_iccid(text: str) -> str | None:
    """Return the ICCID that a text is, without separators and padding; None if it is none."""
    iccid = _BETWEEN.sub("", text.removesuffix(".0")).upper().rstrip("F")
    return iccid if _PATTERN.fullmatch(iccid) and len(set(iccid)) > 1 else None


def spellings(iccid: str) -> frozenset[str]:
    """Return the ICCIDs that mean the same card: with its check digit, and without."""
    if not iccid.isdecimal():
        return frozenset({iccid})
    longer = f"{iccid}{_check_digit(iccid)}"
    is_checked = iccid[-1] == _check_digit(iccid[:-1])
    return frozenset({iccid, longer, iccid[:-1]} if is_checked else {iccid, longer})


def is_same_card(first: str, second: str) -> bool:
    """Return whether two ICCIDs mean one card."""
    return first == second or second in spellings(first)


def _check_digit(digits: str) -> str:
    """Return the check digit by the Luhn algorithm."""
    doubled = (int(digit) * 2 for digit in digits[::-2])
    others = (int(digit) for digit in digits[-2::-2])
    total = sum(number // 10 + number % 10 for number in doubled) + sum(others)
    return str(-total % 10)
