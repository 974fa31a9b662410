"""The program `mock-portal`."""

import asyncio
from importlib import import_module
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from threading import Thread
import time

import pytest

from mock_portal import MockPortal
from mock_portal.cli import main
from mock_portal.terminal import say

from .conftest import ACTIVE
from .helpers import free_port, wait_until_up


def _interrupt_when_up(port: int) -> None:
    """Press Ctrl-C as soon as the portal is up."""
    wait_until_up(port)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("command", [[], ["serve"]])
def test_serve(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """The program prints its URLs, the credentials and the SIMs, and runs until Ctrl-C."""
    port = free_port()
    watcher = Thread(target=_interrupt_when_up, args=(port,))
    watcher.start()
    options = ["--port", str(port), "--scenario", "demo", "--dialect", "sms_id=bare"]
    assert main([*command, *options]) == 0
    watcher.join()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        f"Base URL  http://127.0.0.1:{port}/api",
        f"Page      http://127.0.0.1:{port}/",
        f"Control   http://127.0.0.1:{port}/_mock/",
        "Account   clientId demo-client  secretKey demo-secret  apiToken demo-token",
    ]
    assert f"SIM       {ACTIVE}  ACTIVATED" in lines
    assert lines[-1] == "Stopped."


def test_serve_for_a_program(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With --json the program prints one line, and the port is in a file until Ctrl-C."""
    port, file = free_port(), tmp_path / "port"
    seen: list[str] = []

    def look_and_interrupt() -> None:
        wait_until_up(port)
        while not file.exists():
            time.sleep(0.01)
        seen.append(file.read_text())
        os.kill(os.getpid(), signal.SIGINT)

    watcher = Thread(target=look_and_interrupt)
    watcher.start()
    assert main(["--port", str(port), "--json", "--port-file", str(file)]) == 0
    watcher.join()
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["port"] == port
    assert seen == [f"{port}\n"]
    assert not file.exists()


def test_serving_loads_no_tools_for_a_real_portal() -> None:
    """A portal starts without the modules of record and probe, for which it would have to wait."""
    program = (
        "import sys, mock_portal.cli\n"
        "mock_portal.cli.main(['serve', '--scenario', 'none'])\n"
        "assert 'mock_portal.serve' in sys.modules\n"
        "assert not {'mock_portal.real.record', 'mock_portal.real.probe_command'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  ours


def test_output_to_a_closed_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised, now or at the end of Python, if nobody reads the output any more."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        say("Stopped.")
        output.flush()


def test_ctrl_c_on_windows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the program without a traceback even if the event loop cannot handle signals."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
    port = free_port()
    watcher = Thread(target=_interrupt_when_up, args=(port,))
    watcher.start()
    assert main(["--port", str(port)]) == 0
    watcher.join()
    assert capsys.readouterr().err == ""


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use is reported in one sentence, with exit code 1."""
    with MockPortal.in_thread() as portal:
        port = portal.url.split(":")[2].removesuffix("/api")
        assert main(["--port", port]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"mock-portal: cannot listen on 127.0.0.1 port {port}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scenario", "nonsense"], "There is no scenario 'nonsense'"),
        (["--dialect", "sms_id"], "scenario.dialects: Dialect sms_id has no variant ''"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    """An unknown scenario or dialect is reported in one sentence, with exit code 1."""
    assert main(options) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"mock-portal: {message}")
    assert error.count("\n") == 1


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The help describes the program and its commands."""
    monkeypatch.setattr(sys, "argv", ["mock-portal", "--help"])
    with pytest.raises(SystemExit) as left:
        import_module("mock_portal.__main__")
    assert left.value.code == 0
    assert "serve" in capsys.readouterr().out


def test_as_a_module() -> None:
    """`python -m mock_portal` runs the same program, and stops cleanly on SIGTERM."""
    port = free_port()
    process = subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-m", "mock_portal", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until_up(port)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert out.endswith("Stopped.\n")
