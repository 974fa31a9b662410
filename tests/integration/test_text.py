"""Text of the portal is inert where Home Assistant renders it."""

import html

import pytest

from custom_components.iot_portal.text import as_html, as_markdown


@pytest.mark.parametrize(
    "text",
    [
        "Pump house",
        "SIM 8931082322089353632",
        "TEST_READY",
        "Pump (house), 2nd floor - left!",
        "0.1",
        "R&D",
    ],
)
def test_plain_text(text: str) -> None:
    """What means nothing in markdown is left as it is: titles show it without rendering."""
    assert as_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](b)", r"\[a\]\(b)"),
        ("![a](b)", r"\!\[a\]\(b)"),
        ("**bold** _it_", r"\*\*bold\*\* \_it\_"),
        ("`code` ~~no~~", r"\`code\` \~~no\~~"),
        ("<b>x</b>", r"\<b>x\</b>"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("> quote", r"\> quote"),
        ("a | b", r"a \| b"),
        ("a &lt; b", r"a \&lt; b"),
        ("a\\b", r"a\\b"),
        ("a\n\n# b", "a # b"),
        ("https://x.example www.y.example", r"https\://x.example www\.y.example"),
        ("me@x.example", r"me\@x.example"),
    ],
)
def test_markdown(text: str, expected: str) -> None:
    """What means something in markdown is escaped."""
    assert as_markdown(text) == expected


def test_html() -> None:
    """A text within HTML has no character with a meaning, and shows as it is."""
    text = "![a](b) <img src=\"x\" onerror='y'> **c** _d_ `e` | # &amp; https://f"

    shown = as_html(f"{text}\n\n")

    assert not set("<>\"'[]()*_`|!:") & set(shown)
    assert html.unescape(shown) == text
