"""Text from the portal is one line of bounded length, and names no SIM, phone or device in full."""

import pytest

from custom_components.iot_portal.api import (
    IotPortalConnectionError,
    IotPortalResponseError,
    mask_numbers,
    one_line,
    shorten,
)


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No SIM 8931082322089353632.", "No SIM …3632."),
        ("ICCID:8931082322089353632F", "ICCID:…3632"),
        ("89310800000000AB0011", "…0011"),
        ("8931 0823 2208 9353 632", "…3632"),
        ("8931-0823-2208-9353-632", "…3632"),
        ("+3197000000011", "…0011"),
        ("+31 (0)97 0000 00011", "…0011"),
        ("call 31970000011 now", "call …0011 now"),
        ("IMSI 204080000000011, IMEI 35-693800-000001-1", "IMSI …0011, IMEI …0011"),
        ("SIM …893108232208", "SIM …2208"),
        (
            "10000024: try again at 2026-11-26 09:05:30",
            "10000024: try again at 2026-11-26 09:05:30",
        ),
        ("HTTP status 503", "HTTP status 503"),
        ("2026-11-26T09:05:30.123+00:00", "2026-11-26T09:05:30.123+00:00"),
    ],
)
def test_mask_numbers(text: str, expected: str) -> None:
    """Of a long number the last four digits stay, however it is written; codes and dates stay as they are."""
    assert mask_numbers(text) == expected
    assert str(IotPortalConnectionError(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the session of 100.64.7.7 ended", "the session of … ended"),
        ("100.64.7.7:443, 10.0.0.1.", "…:443, …."),
        ("2001:db8::11 and ::ffff:100.64.7.7", "… and …"),
        ("version 1.2.3 at 09:05:30", "version 1.2.3 at 09:05:30"),
        ("SIM::NotFound", "SIM::NotFound"),
    ],
)
def test_mask_addresses(text: str, expected: str) -> None:
    """The portal's words hold no address of a SIM; versions and times stay as they are."""
    err = IotPortalResponseError(text, status=400)

    assert str(err) == err.message == expected


def test_shorten() -> None:
    """A number is named by its last digits."""
    assert shorten("8931082322089353632") == "…3632"
    assert shorten("8931082322089353632", 6) == "…353632"
