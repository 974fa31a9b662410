"""Every example of the README runs, and its tables match the code."""

from collections.abc import Iterator
from importlib.metadata import metadata, version
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
from typing import Any
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
CLIENTS = Path(__file__).parents[1] / "clients"

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


def _block(language: str, text: str) -> str:
    """Return the only code block in a language that contains a text."""
    (block,) = (block for block in _blocks(language) if text in block)
    return block


def test_links() -> None:
    """Every link works outside of the repository, too."""
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@pytest.mark.parametrize("code", [code for code in _blocks("python") if "def test_" not in code])
def test_python(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python examples run, beside the clients of other languages."""
    monkeypatch.chdir(CLIENTS)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102  the README is ours


def test_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pytest example runs."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(_block("python", "def test_"))
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_scenario() -> None:
    """The example of a scenario can be loaded."""
    portal = Portal(yaml.safe_load(_block("yaml", "extends:")))
    sim = portal.sims[ACTIVE]
    seen = []
    for seconds in (0, 3599, 1):
        portal.clock.advance(seconds)
        seen.append(sim.in_session)
    assert seen == [True, True, False], "the session_close of its agenda works"
    portal.clock.advance(24 * 3600)
    assert (sim.status, sim.in_session, sim.device["customer"]) == ("DEACTIVATED", False, "Anna")


def test_options() -> None:
    """The table has every option of the program, and no other."""
    (table,) = re.findall(
        r"^## Options of the program\n(.*?)^Each can", README, re.DOTALL | re.MULTILINE
    )
    listed = re.findall(
        r"`(--[a-z-]+)[^`]*`[,|]? ", "".join(re.findall(r"^\|(.*?)\|", table, re.MULTILINE))
    )
    usage = _run("mock-portal serve --help", 0).partition("\n\n")[0]
    assert sorted(listed) == sorted(re.findall(r"\[(--[a-z-]+)", usage))


@pytest.fixture
def program() -> Iterator[int]:
    """Start the program as the README says, and return its port."""
    port = free_port()
    name, *arguments = (
        _block("sh", "mock-portal --port 8089 --scenario").replace("8089", str(port)).split()
    )
    process = subprocess.Popen([PROGRAMS / name, *arguments], stdout=subprocess.DEVNULL)  # noqa: S603  ours
    try:
        wait_until_up(port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def _run(script: str, port: int, folder: Path | None = None) -> str:
    """Run a shell script with another port, and return what it prints."""
    return subprocess.run(  # noqa: S603  ours
        ["/bin/sh", "-ec", script.replace("8089", str(port))],
        cwd=folder,
        env=os.environ | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_start(program: int) -> None:
    """After the first start curl gets the answers."""
    printed = _run(_block("sh", "TOKEN="), program)
    assert '"ctdDataUsage": 0' in printed
    assert '"status_body": "object"' in printed
    assert printed.endswith('"iccid": "8931082322089353632",\n    "status": "INVENTORY"\n}')


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "<title>Mock portal"),
        ("/openapi.yaml", "openapi: "),
        ("/_mock/openapi.yaml", "openapi: "),
    ],
)
def test_pages(program: int, path: str, text: str) -> None:
    """The page and the two descriptions are where the README says."""
    assert f"`http://127.0.0.1:8089{path}`" in README
    with urlopen(f"http://127.0.0.1:{program}{path}") as answer:
        assert text in answer.read().decode()


def test_faults(program: int) -> None:
    """A fault can be added in any language."""
    assert '"kind": "reset_after_read"' in _run(_block("sh", "/_mock/faults"), program)


def test_checks(program: int) -> None:
    """The checks hold for a client that has done nothing, and fail with the calls for one that has."""
    checks = _block("sh", "/_mock/verify")
    assert _run(checks, program).count('"ok": true') == 3
    put = f"curl -s -X PUT http://127.0.0.1:{program}/api/SendSMS/{ACTIVE}/1\n"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        _run(put + checks, program)
    assert f"PUT /SendSMS/{ACTIVE}/1 -> 401" in failed.value.stdout


def test_refused_check(program: int) -> None:
    """A check with a misspelt path is refused, with a suggestion."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        _run(_block("sh", "/_mock/verify").replace("/SendSMS/*", "SendSMS/*"), program)
    assert "did you mean '/SendSMS/*'?" in failed.value.stdout


def test_container() -> None:
    """The Dockerfile installs the same wheel as the first start, and starts the portal with its variables."""
    lines = _block("dockerfile", "FROM").splitlines()
    commands = dict(line.split(" ", 1) for line in lines)
    assert f"{commands['RUN']}\n" == _block("sh", "pip install")
    assert commands["EXPOSE"] == "8089"
    port = free_port()
    script = f"""
        export {commands["ENV"]}
        {" ".join(json.loads(commands["CMD"]))} &
        trap "kill $!" EXIT
        curl --silent --retry 9 --retry-connrefused http://127.0.0.1:8089/_mock/sims
    """
    assert ACTIVE in _run(script, port)


def test_port_file(tmp_path: Path) -> None:
    """The port of a portal on any free port is in its file."""
    assert '"status": "ok"' in _run(_block("sh", "--port-file"), 0, tmp_path)


def test_https(tmp_path: Path) -> None:
    """Curl trusts the portal with the file that it writes."""
    assert '"status": "ok"' in _run(_block("sh", "--cacert"), free_port(), tmp_path)


def test_install() -> None:
    """The wheel of this version is installed, everywhere."""
    project, number = metadata("mock-portal"), version("mock-portal")
    (repository,) = (
        url.removeprefix("Repository, ")
        for url in project.get_all("Project-URL", [])
        if url.startswith("Repository, ")
    )
    wheel = f"{repository}/releases/download/v{number}/mock_portal-{number}-py3-none-any.whl"
    assert _block("sh", "pip install") == f"pip install {wheel}\n"
    assert _ci()[0]["run"] == f"pip install {wheel}"
    assert f"pip install git+{repository}`" in README
    assert f"Python {project['Requires-Python'].removeprefix('>=')} or later" in README


def _ci() -> list[dict[str, Any]]:
    """Return the steps of the example for GitHub Actions."""
    steps: list[dict[str, Any]] = yaml.safe_load(_block("yaml", "steps:"))["steps"]
    return steps


def test_ci() -> None:
    """The steps for CI start the portal, wait for it, and run tests with its address."""
    _, start, wait, tests = _ci()
    port = free_port()
    script = f"""
        {start["run"]}
        trap "kill $!" EXIT
        {wait["run"]}
        curl --fail {tests["env"]["IOT_PORTAL_URL"]}/Login -d '{{"apiToken": "demo-token"}}'
    """
    printed = _run(script, port)
    assert '"status": "ok"' in printed
    assert '"token"' in printed


@pytest.fixture
def real_portal() -> Iterator[MockPortal]:
    """Return a portal that acts as the real one for `record` and `probe`."""
    with MockPortal.in_thread("demo") as portal:
        yield portal


def _console(command: str, portal: MockPortal) -> list[str]:
    """Return the example of a command, with the URL and a SIM of the test portal."""
    line = _block("console", f"mock-portal {command} ")
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
