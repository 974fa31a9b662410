"""docs/field_reports.md has a row for each test here, with the text of its docstring."""

import ast
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
import re

import pytest

HERE = Path(__file__).parent
PAGE = Path(__file__).parents[2] / "docs/field_reports.md"
FORM = re.compile(r"(?P<answer>.+)\n\nCase: (?P<case>.+)\nSource: (?P<source>.+)")
FILES = sorted(path for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)


def docstrings(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of each test of a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            yield node.name, cleandoc(ast.get_docstring(node) or "")


def row(file: Path, name: str, docstring: str) -> str:
    """Return the row of a test."""
    said = FORM.fullmatch(docstring)
    assert said is not None, f"{file.name}::{name} does not say its case and source"
    cells = (said["case"], said["source"], said["answer"], f"`{file.name}::{name}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_rows(file: Path) -> None:
    """The page has the rows of the tests of a file, in their order, and no others."""
    expected = [row(file, name, docstring) for name, docstring in docstrings(file)]
    found = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if f"| `{file.name}::" in line
    ]
    assert found == expected


def test_files() -> None:
    """Every row of the page belongs to a file here."""
    named = re.findall(r"`(test_\w+\.py)::", PAGE.read_text(encoding="utf-8"))
    assert set(named) == {file.name for file in FILES}


def test_no_mock() -> None:
    """Nothing here uses the mock portal: this leg stands on its own."""
    for file in HERE.glob("*.py"):
        assert not re.search(r"^(from|import) mock_portal", file.read_text(), re.MULTILINE), file
