"""docs/api.md and the mock portal list the same assumptions."""

from pathlib import Path
import re

from mock_portal.dialects import DIALECTS

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "api.md"
ROW = re.compile(r"^\| (A\d+) \| `(\w+)` \| `(\w+)` \| .+ \| (.+) \|$", re.MULTILINE)


def test_every_row_is_a_variant() -> None:
    """Every row has a variant and every variant a row, in the same order and with the same mark."""
    rows = [
        (number, dialect, variant, mark.startswith("documented"))
        for number, dialect, variant, mark in ROW.findall(DOCUMENT.read_text())
    ]
    variants = [
        (dialect.number, dialect.name, variant.name, variant.documented)
        for dialect in DIALECTS.values()
        for variant in dialect.variants
    ]

    assert rows == variants


def test_number_of_dialects() -> None:
    """There are at least 14 dialects and 45 variants."""
    assert len(DIALECTS) >= 14
    assert sum(len(dialect.variants) for dialect in DIALECTS.values()) >= 45
