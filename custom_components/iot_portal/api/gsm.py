"""Length of an SMS."""

from typing import Final

# The basic character set of GSM 03.38, and its extension, whose characters count twice.
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("^{}\\[~]|€\f")
GSM_LIMIT: Final = 160
UCS2_LIMIT: Final = 70


def sms_length(text: str) -> tuple[int, int]:
    """Return the length of a text in an SMS, and the limit of one SMS.

    A single character outside the GSM character set makes the whole text UCS-2, with a lower limit.
    """
    if set(text) <= _BASIC | _EXTENSION:
        return len(text) + sum(character in _EXTENSION for character in text), GSM_LIMIT
    return len(text.encode("utf-16-be", "surrogatepass")) // 2, UCS2_LIMIT
