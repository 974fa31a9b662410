"""The program `mock-portal`."""

from contextlib import closing
import json
import os
import signal
import socket
import subprocess
import sys
from threading import Thread
import time
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from mock_portal import MockPortal
from mock_portal.cli import main

from .conftest import ACTIVE


def free_port() -> int:
    """Return a port nobody listens on."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_until_up(port: int) -> None:
    """Wait until a portal answers."""
    for _ in range(300):
        try:
            with urlopen(f"http://127.0.0.1:{port}/_mock/health", timeout=5) as answer:
                assert json.load(answer)["status"] == "ok"
                return
        except URLError:
            time.sleep(0.05)
    pytest.fail("The portal does not answer")


def _interrupt_when_up(port: int) -> None:
    """Press Ctrl-C as soon as the portal is up."""
    wait_until_up(port)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("command", [[], ["serve"]])
def test_serve(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """The program says where it is, who may log in and which SIMs there are, until Ctrl-C."""
    port = free_port()
    watcher = Thread(target=_interrupt_when_up, args=(port,))
    watcher.start()
    assert main([*command, "--port", str(port), "--scenario", "demo"]) == 0
    watcher.join()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"Base URL  http://127.0.0.1:{port}/api",
        f"Control   http://127.0.0.1:{port}/_mock/",
        "Account   clientId demo-client  secretKey demo-secret  apiToken demo-token",
    ]
    assert f"SIM       {ACTIVE}  ACTIVATED" in lines
    assert lines[-1] == "Stopped."


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use is one sentence and exit code 1."""
    with MockPortal.in_thread() as portal:
        port = portal.url.split(":")[2].removesuffix("/api")
        assert main(["--port", port]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"mock-portal: cannot listen on 127.0.0.1 port {port}: ")
    assert error.count("\n") == 1


def test_unknown_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    """A scenario nobody knows is one sentence and exit code 1."""
    assert main(["--scenario", "nonsense"]) == 1
    assert capsys.readouterr().err.startswith("mock-portal: There is no scenario 'nonsense'")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The program explains itself."""
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "serve" in capsys.readouterr().out


def test_as_a_module() -> None:
    """`python -m mock_portal` runs the same program, and stops cleanly when told to."""
    port = free_port()
    process = subprocess.Popen(
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
