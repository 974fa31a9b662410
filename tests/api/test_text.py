"""Text from the portal is one line of bounded length."""

import pytest

from custom_components.iot_portal.api import one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pump house", "Pump house"),
        ("a\r\nb\tc\u2028d\x85e", "a b c d e"),
        ("a\x00b\x1b[31mc\x07", "ab[31mc"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("Gew\u00f6lbe \U0001f468\u200d\U0001f469", "Gew\u00f6lbe \U0001f468\u200d\U0001f469"),
        ("\ufeff\u200b\u00ad", ""),
        ("  a  \n\n  b  ", "a b"),
        ("\ud83d", ""),
    ],
)
def test_one_line(text: str, expected: str) -> None:
    """Breaks become spaces; characters that control or cannot be seen are dropped."""
    assert one_line(text) == expected


def test_length() -> None:
    """A long text ends in an ellipsis."""
    assert one_line("x" * 10, 10) == "x" * 10
    assert one_line("x" * 11, 10) == "x" * 9 + "\u2026"
    assert len(one_line("x\n" * 10**6)) == 2000
