"""Every example of the README runs, and its tables say what the code says."""

from pathlib import Path
import re
import signal
import subprocess
import sys

import pytest
import yaml

import mock_portal
from mock_portal import DIALECTS, Portal
from mock_portal.control import ENDPOINTS
from mock_portal.faults import KINDS
from mock_portal.scenario import shipped

from .conftest import ACTIVE
from .test_cli import free_port, wait_until_up
from .test_pytest_plugin import PLUGIN

README = (Path(mock_portal.__file__).parent / "README.md").read_text(encoding="utf-8")
PROGRAMS = Path(sys.executable).parent

pytest_plugins = ("pytester",)


def _blocks(language: str) -> list[str]:
    """Return the code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def _table(heading: str) -> list[str]:
    """Return the first column of the table below a heading, without its head."""
    _, _, below = README.partition(f"\n## {heading}\n")
    rows = re.findall(r"^\| `(.+?)` \|", below.partition("\n## ")[0], re.MULTILINE)
    assert rows, heading
    return rows


def test_tables() -> None:
    """Scenarios, dialects, faults and control requests are listed completely, in order."""
    assert sorted(_table("Scenarios")) == shipped()
    assert _table("Dialects") == list(DIALECTS)
    assert _table("Faults") == list(KINDS)
    assert _table("Control interface") == [
        f"{endpoint.method} /_mock/{endpoint.path}" for endpoint in ENDPOINTS
    ]
    for dialect in DIALECTS.values():
        variants = ", ".join(f"`{variant.name}`" for variant in dialect.variants)
        assert f"| `{dialect.name}` | {variants} |" in README
    for kind in KINDS.values():
        assert f"| {kind.description} |" in README
        assert all(f"`{name}`" in README for name in kind.details)


def test_numbers() -> None:
    """The numbers in the text are right."""
    assert len(DIALECTS) == 20
    assert "Twenty *dialects*" in README
    assert len(KINDS) == 13
    assert "Thirteen *faults*" in README


@pytest.mark.parametrize("code", [code for code in _blocks("python") if "def test_" not in code])
def test_python(code: str) -> None:
    """The Python examples run."""
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102  the README is ours


def test_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pytest example runs."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (code,) = [code for code in _blocks("python") if "def test_" in code]
    pytester.makepyfile(code)
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_scenario() -> None:
    """The example of a scenario can be used."""
    (text,) = _blocks("yaml")
    portal = Portal(yaml.safe_load(text))
    sim = portal.sims[ACTIVE]
    portal.clock.advance(24 * 3600)
    assert (sim.status, sim.in_session, sim.device["customer"]) == ("DEACTIVATED", False, "Anna")


def test_shell() -> None:
    """The program starts as the README says, and curl gets the answers."""
    start, calls = _blocks("sh")
    install, command = start.splitlines()
    assert install.startswith("pip install .")
    port = free_port()
    program, *arguments = command.replace("8089", str(port)).split()
    process = subprocess.Popen([PROGRAMS / program, *arguments], stdout=subprocess.DEVNULL)  # noqa: S603  ours
    try:
        wait_until_up(port)
        script = calls.replace("8089", str(port))
        result = subprocess.run(  # noqa: S603  ours
            ["/bin/sh", "-ec", script], capture_output=True, text=True, check=True
        )
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert '"ctdDataUsage": 0' in result.stdout
    assert '"status_body": "object"' in result.stdout
    assert result.stdout.endswith('"iccid": "8931082322089353632",\n    "status": "INVENTORY"\n}')
