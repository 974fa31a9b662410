"""The length of a text message: up to 160 characters of GSM-7, or 70 of UCS-2."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_GSM_LIMIT = 160
_UCS2_LIMIT = 70


def measure(text: str) -> tuple[int, int, str]:
    """Return the length of a message, its limit, and the alphabet that both are counted in."""
    if _BASIC.issuperset(set(text) - _EXTENDED):
        # A character of the extension table needs an escape before it.
        return len(text) + sum(char in _EXTENDED for char in text), _GSM_LIMIT, "GSM-7"
    return len(text.encode("utf-16-be", "surrogatepass")) // 2, _UCS2_LIMIT, "UCS-2"
