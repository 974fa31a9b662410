"""The import order of the mock portal."""

import ast
from collections.abc import Iterator
from pathlib import Path
import subprocess
import sys

import pytest

import mock_portal

PACKAGE = Path(mock_portal.__file__).parent

# A module may import from lines above its own only; within the first line, from those to its left.
LINES = (
    (
        "errors",
        "locking",
        "encoding",
        "files",
        "environment",
        "listening",
        "terminal",
        "certificates",
        "routes",
        "connection",
        "exchange",
        "gsm",
        "serialization",
        "clock",
        "signals",
        "patterns",
    ),
    ("filters", "schema", "pages"),
    ("checks", "control_openapi"),
    ("journal", "faults", "replay", "sim"),
    ("contents",),
    ("dialects.definition",),
    (
        "dialects.logins",
        "dialects.refusals",
        "dialects.sim_reads",
        "dialects.sms",
        "dialects.writes",
    ),
    ("dialects",),
    ("state", "scenario"),
    ("backend", "responses"),
    ("handlers", "overview"),
    ("control",),
    ("portal",),
    ("cors", "request_log", "webhooks"),
    ("sending",),
    ("server", "respx"),
    ("real.files", "real.redaction", "real.upstream", "real.evidence"),
    ("real.shapes",),
    ("real.assumptions",),
    ("real.probe", "real.record"),
    ("real.probe_command",),
    ("serve",),
    ("cli", "pytest_plugin"),
    ("__init__", "__main__", "real"),
)
ORDER = [module for line in LINES for module in line]
PEERS = [set(line) for line in LINES[1:]]


FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def _imports(module: str) -> Iterator[str]:
    """Yield the modules of the package that a module imports."""
    path = FILES[module]
    parents = ["mock_portal", *path.parent.relative_to(PACKAGE).parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = parents[: len(parents) - node.level + 1] if node.level else []
        source = ".".join([*base, *filter(None, [node.module])])
        for alias in node.names:
            # An imported name is a module itself, or stands inside the module before it.
            for name in (f"{source}.{alias.name}", source):
                imported = name.removeprefix("mock_portal.")
                if name != imported and imported in ORDER:
                    yield imported
                    break
            else:
                assert not source.startswith("mock_portal"), source


def test_every_module_has_a_place() -> None:
    """No module is missing from the order."""
    assert sorted(ORDER) == sorted(FILES)


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_one_way(module: str) -> None:
    """A module imports only modules before it, and none of its own line."""
    before = ORDER[: ORDER.index(module)]
    peers = next((line for line in PEERS if module in line), set())
    assert {name for name in _imports(module) if name not in before or name in peers} == set()


def test_the_mock_loads_no_tools_for_a_real_portal() -> None:
    """Importing the library, the pytest plugin or the transport for httpx loads nothing of `real`."""
    program = (
        "import sys, mock_portal, mock_portal.pytest_plugin, mock_portal.respx\n"
        "assert not [name for name in sys.modules if name.startswith('mock_portal.real')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  ours
