"""ICCIDs, as people, modems and portals write them."""

import pytest

from custom_components.iot_portal.api import is_same_card, normalize_iccid

# Digits of another script.
ARABIC = "\u0668" * 19
PRINTED = "8931082322204600032"


@pytest.mark.parametrize(
    "text",
    [
        PRINTED,
        f"{PRINTED}F",
        f"{PRINTED}f",
        "8931 0823 2220 4600 032",
        "8931-0823-2220-4600-032",
        "8931\u00a00823\u00a02220\u00a04600\u00a0032",
        "8931\u20110823\u20112220\u20114600\u2011032",
        f"\ufeff{PRINTED}\u200b",
        f" {PRINTED}\r\n",
    ],
)
def test_one_spelling(text: str) -> None:
    """Groups, hyphens, the padding of modems and unseen characters do not belong to an ICCID."""
    assert normalize_iccid(text) == PRINTED


@pytest.mark.parametrize(
    "text", ["", "893108", PRINTED * 2, "F" * 20, "0" * 19, "n/a", "8931082322204600X32", ARABIC]
)
def test_no_iccid(text: str) -> None:
    """What has not the form of an ICCID is none."""
    assert normalize_iccid(text) is None


def test_letters() -> None:
    """Some issuers number with letters, and their case makes no other card."""
    assert normalize_iccid("898604b7192271001234") == "898604B7192271001234"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("8988303000000614227", "8988303000000614227", True),
        ("8988303000000614227", "89883030000006142274", True),
        ("89883030000006142274", "8988303000000614227", True),
        ("8988303000000614227", "89883030000006142275", False),
        ("8988303000000614227", "8988303000000614228", False),
        ("898604B7192271001234", "898604B71922710012345", False),
    ],
)
def test_same_card(first: str, second: str, same: bool) -> None:
    """A card with its check digit and without is one card; any other digit makes another."""
    assert is_same_card(first, second) is same
