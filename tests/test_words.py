"""Docstrings in the words of Home Assistant."""

import ast
from collections.abc import Iterator
from pathlib import Path
import re

import pytest

REPOSITORY = Path(__file__).parent.parent
FOLDERS = ("benchmarks", "custom_components", "mock_portal", "scripts", "tests")
# Home Assistant writes "Return whether", "Record", "Follow", "Keep"; ruff's D401 checks the mood, not the word.
UNUSUAL = re.compile(r"(Tell|Let|Say|Hold|Insist|Take in|Go on|Keep in mind|Look after)\b")


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the docstring of every function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            text := ast.get_docstring(node)
        ):
            yield node.lineno, text


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings(folder: str) -> None:
    """No docstring of a function begins with a word that Home Assistant does not use there."""
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}: {text.splitlines()[0]}"
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for line, text in docstrings(path)
        if UNUSUAL.match(text)
    ]
    assert found == []
