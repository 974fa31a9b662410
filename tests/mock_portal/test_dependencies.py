"""Who may import whom inside the mock portal."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mock_portal

PACKAGE = Path(mock_portal.__file__).parent

# A module may import from lines above its own only; within a line, from those to its left.
LINES = (
    ("errors", "clock", "http", "routes", "gsm", "plain", "signals", "files", "upstream", "shapes"),
    ("journal", "faults", "dialects", "recording"),
    ("sim", "redaction", "assumptions"),
    ("state",),
    ("scenario",),
    ("world",),
    ("answers",),
    ("handlers", "control"),
    ("app",),
    ("server", "respx", "record", "prober"),
    ("probe",),
    ("cli", "pytest_plugin"),
    ("__init__", "__main__"),
)
ORDER = [module for line in LINES for module in line]
PEERS = [set(line) for line in LINES[1:]]


def _imports(module: str) -> Iterator[str]:
    """Yield the modules of the package that a module imports."""
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield from [node.module] if node.module else [alias.name for alias in node.names]


def test_every_module_has_a_place() -> None:
    """No module stands outside the order."""
    assert sorted(ORDER) == sorted(path.stem for path in PACKAGE.glob("*.py"))


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_one_way(module: str) -> None:
    """A module imports what stands before it, and no peer."""
    before = ORDER[: ORDER.index(module)]
    peers = next((line for line in PEERS if module in line), set())
    assert {name for name in _imports(module) if name not in before or name in peers} == set()
