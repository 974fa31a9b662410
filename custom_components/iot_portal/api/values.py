"""Readers of single values: what has not the form of a value is none."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_interface
import math
import re
from typing import Final, Self

from .text import one_line

type Json = Mapping[str, Json] | list[Json] | str | int | float | bool | None

MAX_LABEL_LENGTH: Final = 100
# What Home Assistant takes as a state.
MAX_NAME_LENGTH: Final = 255

# Words for "nothing", in lower case.
_PLACEHOLDERS: Final = frozenset(
    [
        *(
            "",
            "-",
            "--",
            "---",
            "?",
            ".",
            "n/a",
            "n.a.",
            "na",
            "null",
            "(null)",
            "nil",
            "none",
            "nan",
        ),
        *("undefined", "unknown", "unavailable", "not available", "not set", "unassigned"),
    ]
)
_YES: Final = frozenset({"true", "1", "yes", "y"})
_NO: Final = frozenset({"false", "0", "no", "n"})
# No counter of a SIM comes near it, and floats are exact below. It is the largest integer of JavaScript.
_COUNT_LIMIT: Final = 2**53 - 1
# Digits, points, signs and letters of the width of Chinese ones.
_FULL_WIDTH: Final = {0xFF01 + n: 0x21 + n for n in range(94)}
# The largest signed and unsigned number of 32 bits: "no reading", or a counter that is stuck.
_SENTINELS: Final = frozenset({2**31 - 1, 2**32 - 1})
# The same of 16 bits, which only a number of bytes or seconds reaches.
_COUNT_SENTINELS: Final = _SENTINELS | {2**16 - 1}

_KILO: Final = 1000
_KIBI: Final = 1024
_UNIT: Final = re.compile(
    r"(?i)([kmgtp]?)(i?)(?:b|o|bytes?|octets?)|(kilo|mega|giga|tera|peta)bytes?"
)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_QUANTITY: Final = re.compile(r"([+-]?[0-9][0-9.,' \u00a0\u2009\u202f]*?)\s*([A-Za-z]{1,10})?")
_PLAIN: Final = re.compile(
    r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?"
)
_DECIMAL_COMMA: Final = re.compile(r"[+-]?(0,[0-9]{1,9}|[0-9]{1,20},([0-9]{1,2}|[0-9]{4,9}))")
# Groups of three, of one separator: a single comma or point could also be the decimal one.
_GROUPED: Final = re.compile(
    r"[+-]?[0-9]{1,3}(?:"
    r"(?:,[0-9]{3}){2,}|(?:,[0-9]{3})+\.[0-9]{1,9}"
    r"|(?:\.[0-9]{3}){2,}|(?:\.[0-9]{3})+,[0-9]{1,9}"
    r"|(?:[' \u00a0\u2009\u202f][0-9]{3})+(?:[.,][0-9]{1,9})?)"
)

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FAR_AHEAD: Final = timedelta(days=366)
# How far the clocks of the portal and of Home Assistant may differ.
_CLOCK_SKEW: Final = timedelta(minutes=10)
_HTTP_DATE: Final = re.compile(r"[A-Za-z]{3}, [0-9]{1,2} [A-Za-z]{3} [0-9]{4}")
_EPOCH: Final = re.compile(r"(?:/Date\()?([0-9]{9,13}(?:\.[0-9]{1,9})?)(?:(?:[+-][0-9]{4})?\)/)?")
_SECONDS: Final = (10**9, 4 * 10**9)

_BETWEEN_DIGITS: Final = re.compile(r"[\s().-]")
_WORD: Final = re.compile(r"[^\W_][\w .()/+&'-]{0,63}")
_LONG_NUMBER: Final = re.compile(r"[0-9]{7}")
_MAX_STATUS_DIGITS: Final = 2
_MAX_WORDS: Final = 3
# With characters that cannot be seen.
_MAX_WORD_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class DataSize:
    """A quantity of data in the unit that the portal names; `power` is 2 for MB, 3 for GB."""

    quantity: float
    power: int
    is_binary: bool = False

    @classmethod
    def read(cls, quantity: Json, unit: Json = None) -> Self | None:
        """Read a quantity and its unit, which may be in one text; None if one is missing or they disagree."""
        number, own = _split_quantity(quantity)
        named = {_unit(text) for text in (own, read_text(unit)) if text is not None}
        if number is None or len(named) != 1 or (found := named.pop()) is None:
            return None
        size = cls(number, *found)
        with suppress(OverflowError):
            return size if size.in_bytes() < _COUNT_LIMIT else None
        return None

    def __str__(self) -> str:
        """Return the size as the portal says it, such as "500 MB"."""
        unit = ("", "k", "M", "G", "T", "P")[self.power]
        return f"{self.quantity:.12g} {unit.upper() + 'i' if self.is_binary and unit else unit}B"

    def in_bytes(self, kilo: int = _KILO) -> int:
        """Return the size in bytes, with a kilobyte of so many; binary units always have 1024."""
        unit: int = (_KIBI if self.is_binary else kilo) ** self.power
        return round(self.quantity * unit)


def is_missing(value: Json) -> bool:
    """Return whether nothing is said: null, a blank, or a word for it."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _PLACEHOLDERS)


def read_text(value: Json) -> str | None:
    """Return a text or the digits of a number, as they are; None for blanks, placeholders and other types."""
    if isinstance(value, bool) or is_missing(value):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _COUNT_LIMIT:
        return str(int(value))
    return value.strip() if isinstance(value, str) else None


def read_name(value: Json, limit: int = MAX_NAME_LENGTH) -> str | None:
    """Return a name or a message as it can be shown: one line, at most so long."""
    text = read_text(value)
    line = None if text is None else one_line(text, limit)
    return None if is_missing(line) else line


def read_digits(value: Json, lengths: range, *, prefix: str = "") -> str | None:
    """Return an identity of so many digits; None for one repeated digit, and for what lost digits as a number."""
    if isinstance(value, bool | float):
        return None
    text = _plain(read_text(value) or "").removesuffix(".0")
    digits = _BETWEEN_DIGITS.sub("", text).removeprefix(prefix).rstrip("Ff")
    is_valid = digits.isascii() and digits.isdecimal() and len(digits) in lengths
    return digits if is_valid and len(set(digits)) > 1 else None


def read_imei(value: Json) -> str | None:
    """Return an IMEI, or one with a software version, of 14 to 16 digits."""
    imei = read_digits(value, range(14, 17))
    # No device has a type of zeros.
    if imei is None or imei.startswith("00000000"):
        return None
    # As a number 14 digits are a whole IMEI or one whose leading zero was lost.
    return None if isinstance(value, int) and len(imei) < len("0" * 15) else imei


def read_imsi(value: Json) -> str | None:
    """Return an IMSI of 14 or 15 digits; no country has the code 000."""
    imsi = read_digits(value, range(14, 16))
    return None if imsi is None or imsi.startswith("000") else imsi


def read_msisdn(value: Json) -> str | None:
    """Return a phone number in its international form, without the plus or the zeros before it."""
    text = _plain(value).removeprefix("+") if isinstance(value, str) else value
    return read_digits(text, range(5, 17), prefix="00")


def read_word(value: Json) -> str | None:
    """Return a status of a few words, or the number of one; None for sentences, long numbers and other types."""
    text = read_text(value)
    if text is None or len(text) > _MAX_WORD_LENGTH:
        return None
    line = one_line(text)
    if not _WORD.fullmatch(line) or _LONG_NUMBER.search(line) or len(line.split()) > _MAX_WORDS:
        return None
    return None if line.isdecimal() and len(line) > _MAX_STATUS_DIGITS else line


def read_number(value: Json) -> float | None:
    """Return a number; one in a text only where it can be read in a single way."""
    if isinstance(value, bool):
        return None
    number: float | None = None
    with suppress(ValueError, OverflowError):
        if isinstance(value, int | float):
            number = value
        elif isinstance(value, str):
            number = _number_in(_plain(value))
    if isinstance(number, float):
        # One that is whole is shown without ".0".
        number = (
            None if not math.isfinite(number) else int(number) if number.is_integer() else number
        )
    return number


def read_amount(value: Json) -> float | None:
    """Return a counter of bytes or seconds; fractions keep their value."""
    number = read_number(value)
    is_valid = number is not None and 0 <= number < _COUNT_LIMIT and number not in _SENTINELS
    return number if is_valid else None


def read_data(value: Json) -> tuple[float | None, bool]:
    """Return a counter of data, in bytes where it names its unit, as in `10 MB`; and whether it does."""
    found = _QUANTITY.fullmatch(_plain(value)) if isinstance(value, str) else None
    if found is None or found[2] is None:
        return read_amount(value), False
    amount, unit = read_amount(found[1]), _unit(found[2])
    if amount is None or unit is None:
        return None, True
    return read_amount(DataSize(amount, *unit).in_bytes()), True


def read_count(value: Json) -> int | None:
    """Return a counter of things."""
    number = read_amount(value)
    return None if number is None or number in _COUNT_SENTINELS else int(number)


def read_flag(value: Json) -> bool | None:
    """Return a yes or a no: JSON's own, a number, or a word."""
    word = str(value).strip().lower()
    return True if word in _YES else False if word in _NO else None


def read_instant(value: Json, ahead: timedelta = _FAR_AHEAD) -> datetime | None:
    """Return a moment such as `2023-06-23 11:14:37.998+0000`, or so many seconds or milliseconds since 1970.

    Without an offset it is UTC. Dates before 2000 and too far ahead, a year unless said otherwise, are placeholders.
    """
    with suppress(ValueError, OverflowError, TypeError, AttributeError):
        moment = _instant(value)
        if moment is not None and _EARLIEST <= moment <= datetime.now(UTC) + ahead:
            return moment
    return None


def read_ip(value: Json) -> str | None:
    """Return an IP address that a SIM can have, without a prefix length."""
    if not isinstance(value, str):
        return None
    with suppress(ValueError):
        address = ip_interface(value.strip().partition("%")[0]).ip
        mapped = getattr(address, "ipv4_mapped", None) or address
        is_one = not (mapped.is_unspecified or mapped.is_loopback or mapped.is_multicast)
        return str(address) if is_one and str(mapped) != "255.255.255.255" else None
    return None


def _plain(text: str) -> str:
    """Return a text in ASCII where it is only of another width, and without what cannot be seen."""
    return one_line(text if text.isascii() else text.translate(_FULL_WIDTH))


def _number_in(text: str) -> float | None:
    """Return the number that a text is, if there is only one way to read it."""
    if _PLAIN.fullmatch(text):
        return float(text) if not text.lstrip("+-").isdecimal() else int(text)
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    if _GROUPED.fullmatch(text):
        digits = re.sub(r"[^0-9.,+-]", "", text)
        last = max(digits.rfind("."), digits.rfind(","))
        if re.fullmatch(r"[+-]?[0-9]+([.,])[0-9]{3}(\1[0-9]{3})*", digits) and last >= 0:
            return int(re.sub("[.,]", "", digits))
        if last < 0:
            return int(digits)
        return float(f"{re.sub('[.,]', '', digits[:last])}.{digits[last + 1 :]}")
    return None


def _split_quantity(value: Json) -> tuple[float | None, str | None]:
    """Return the number and the unit in a quantity; a quantity without a limit has no number."""
    if not isinstance(value, str):
        number, unit = read_number(value), None
    elif found := _QUANTITY.fullmatch(_plain(value)):
        number, unit = read_number(found[1]), found[2]
    else:
        number, unit = read_number(value), None
    is_limit = number is not None and number > 0 and not re.fullmatch("9{5,}", str(number))
    return number if is_limit else None, unit


def _unit(text: str) -> tuple[int, bool] | None:
    """Return the power and whether it is binary of a unit such as `GB` or `MiB`."""
    found = _UNIT.fullmatch(text)
    if found is None:
        return None
    if found[3]:
        return _POWERS[found[3][0].lower()], False
    return _POWERS[found[1].lower()], bool(found[2])


def _instant(value: Json) -> datetime | None:
    """Return the moment in a value, however implausible it is."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _since_1970(value)
    if not isinstance(value, str):
        return None
    text = _plain(value)
    if number := _EPOCH.fullmatch(text):
        return _since_1970(float(number[1]))
    # Java adds the name of the zone to the offset.
    text = re.sub(r"\[[\w/+-]+\]$", "", text)
    text = re.sub(r"^([0-9]{4})/([0-9]{2})/([0-9]{2})\b", r"\1-\2-\3", text)
    text = re.sub(r"(?i) ?(?:UTC|GMT|Z)$", "+00:00", text)
    text = re.sub(r" (?=[+-][0-9]{2}:?[0-9]{2}$)", "", text)
    if _HTTP_DATE.match(value.strip()):
        parsed = parsedate_to_datetime(value.strip())
    else:
        parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
        if parsed > datetime.now(UTC) + _CLOCK_SKEW:
            # It is the local time of a place that nobody knows.
            return None
    return parsed.astimezone(UTC)


def _since_1970(number: float) -> datetime | None:
    """Return the moment so many seconds or milliseconds after 1970 began."""
    least, limit = _SECONDS
    if least <= number < limit:
        return datetime.fromtimestamp(number, UTC)
    if least <= number / 1000 < limit:
        return datetime.fromtimestamp(number / 1000, UTC)
    return None
