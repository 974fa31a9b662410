"""Every example of the README runs, and its tables match the code."""

from collections.abc import Iterator
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
from urllib.request import urlopen

import pytest
import yaml

import mock_portal
from mock_portal import DIALECTS, MockPortal, Portal
from mock_portal.control import ENDPOINTS
from mock_portal.faults import KINDS
from mock_portal.scenario import shipped

from .conftest import ACTIVE
from .helpers import PLUGIN, free_port, wait_until_up

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
    assert len(KINDS) == 16
    assert "Sixteen *faults*" in README


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
    """The example of a scenario can be loaded."""
    (text,) = _blocks("yaml")
    portal = Portal(yaml.safe_load(text))
    sim = portal.sims[ACTIVE]
    seen = []
    for seconds in (0, 3599, 1):
        portal.clock.advance(seconds)
        seen.append(sim.in_session)
    assert seen == [True, True, False], "the session_close of its agenda works"
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


@pytest.fixture
def real_portal() -> Iterator[MockPortal]:
    """Return a portal that acts as the real one for `record` and `probe`."""
    with MockPortal.in_thread("demo") as portal:
        yield portal


def _console(command: str, portal: MockPortal) -> list[str]:
    """Return the example of a command, with the URL and a SIM of the test portal."""
    (line,) = (block for block in _blocks("console") if block.startswith(f"mock-portal {command} "))
    line = line.replace("https://api.iotportal.io/api", portal.url).replace("8931...", ACTIVE)
    program, *arguments = line.split()
    return [str(PROGRAMS / program), *arguments]


def test_probe_example(real_portal: MockPortal, tmp_path: Path) -> None:
    """The example of `probe` writes the two files that the README names."""
    result = subprocess.run(  # noqa: S603  ours
        _console("probe", real_portal),
        cwd=tmp_path,
        env=os.environ | {"IOT_PORTAL_API_TOKEN": "demo-token"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "A5   usage_body                     confirmed  array" in result.stdout
    assert (tmp_path / "probe-report.yaml").exists()
    Portal(str(tmp_path / "probe-scenario.yaml"))


def test_record_example(real_portal: MockPortal, tmp_path: Path) -> None:
    """The example of `record` passes a log-in through and leaves a file that can be replayed."""
    port = free_port()
    process = subprocess.Popen(  # noqa: S603  ours
        [*_console("record", real_portal), "--port", str(port)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_up(port)
        body = b'{"clientId": "demo-client", "secretKey": "demo-secret"}'
        with urlopen(f"http://127.0.0.1:{port}/api/Login", body) as answer:
            assert "token" in answer.read().decode()
    finally:
        process.terminate()
    assert process.wait() == 0
    text = (tmp_path / "bug.yaml").read_text()
    assert "demo-secret" not in text
    assert Portal(str(tmp_path / "bug.yaml")).recordings.left()
