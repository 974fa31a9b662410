"""Programs with the HTTP clients of several languages read a SIM, send an SMS, and report what fails."""

from importlib.util import find_spec
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

from mock_portal import MockPortal

from .helpers import ICCID, READ

HERE = Path(__file__).parent

# The program for each client, and the command that runs it.
PROGRAMS = {
    "client.sh": ("sh",),
    "client.mjs": ("node",),
    "Client.java": ("java",),
    "client_requests.py": (sys.executable,),
    "client_httpx.py": (sys.executable,),
}
# What a program needs beside the command that runs it.
NEEDED_PROGRAMS = {"client.sh": "curl"}
NEEDED_MODULES = {"client_requests.py": "requests", "client_httpx.py": "httpx"}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> list[str]:
    """Return the command of each program; skip those that cannot run here."""
    name = request.param
    command = PROGRAMS[name]
    for needed in (command[0], NEEDED_PROGRAMS.get(name)):
        if needed and not shutil.which(needed):
            pytest.skip(f"{name} needs {needed}, which is not installed")
    module = NEEDED_MODULES.get(name)
    if module and not find_spec(module):
        pytest.skip(f"{name} needs the Python package {module}, which is not installed")
    return [*command, str(HERE / name)]


def run(program: list[str], portal: MockPortal, text: str = "Hello") -> tuple[str, int]:
    """Run a program, and return what it prints and its exit status."""
    # Java would wait 15 seconds for each `100 Continue` that does not come.
    result = subprocess.run(  # noqa: S603  ours
        [*program, portal.url, ICCID, text], capture_output=True, text=True, timeout=25, check=False
    )
    assert result.stderr == ""
    return result.stdout, result.returncode


def test_read_and_send(program: list[str], portal: MockPortal) -> None:
    """The program reads status, usage, session and device, sends an SMS, and reads it back."""
    assert run(program, portal) == (f"{READ}message: Hello (Pending)\n", 0)
    (sent,) = portal.journal.find("PUT", f"/SendSMS/{ICCID}/1")
    assert sent.body == {"messageText": "Hello"}
    assert portal.journal.total == 7


@pytest.mark.parametrize("fault", ["reset_after_read", "truncated_body"])
def test_broken_connection(program: list[str], portal: MockPortal, fault: str) -> None:
    """The connection breaks after the SMS was sent: the program says so, and does not send it again."""
    portal.faults.add(fault, route="SendSMS")
    error = "error: connection lost, the message may have been sent\n"
    assert run(program, portal) == (f"{READ}{error}", 1)
    portal.journal.assert_called_once("PUT", "/SendSMS/*")


def test_too_many_requests(program: list[str], portal: MockPortal) -> None:
    """The portal answers 429: the program says how long it is to wait."""
    portal.faults.add("rate_limited", retry_after=7, route="ctdUsage")
    error = "error: too many requests, wait 7 s\n"
    assert run(program, portal) == (f"status: ACTIVATED\n{error}", 1)
    portal.journal.assert_called_once("GET", "/ctdUsage/*")


def test_expect_continue(portal: MockPortal) -> None:
    """The portal says at once that it takes a body, which curl would otherwise send after 30 seconds."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("this test needs curl, which is not installed")
    result = subprocess.run(  # noqa: S603  ours
        [
            *(curl, "--silent", "--include", "--expect100-timeout", "30", "--max-time", "10"),
            *("--header", "Expect: 100-continue", "--data", '{"apiToken": "demo-token"}'),
            f"{portal.url}/Login",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith("HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\n")
