"""One line about each request, without secrets and messages."""

import asyncio
from collections.abc import AsyncIterator
import re

from aiohttp import ClientError, ClientSession
import pytest

from mock_portal import MockPortal

from .conftest import ACTIVE, Caller, eventually
from .helpers import send_raw

STATUS = f"/getStatus/{ACTIVE}"
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\S+ \S+ (?:\d{3}|no answer)) (\d+) ms(.*)"
)


@pytest.fixture
async def caller(
    session: ClientSession, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Caller]:
    """Return a client of a portal that logs."""
    async with MockPortal("demo", log=True) as portal:
        caller = Caller(portal=portal, session=session)
        await caller.login()
        capsys.readouterr()
        yield caller


def _lines(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, int, str]]:
    """Return the lines of the log without their times."""
    found = []
    for line in capsys.readouterr().err.splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        found.append((match[1], int(match[2]), match[3].strip()))
    return found


async def test_lines(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    """Every request has its line: method, path, status, and time."""
    await caller.get(f"{STATUS}?token=abc")
    await caller.call("POST", STATUS)
    await caller.put("/RuleUpdate", b" " * (1024 * 1024 + 1))
    await caller.control("GET", "health")
    await send_raw(caller.portal, b"nonsense\r\n\r\n")
    assert [line for line, _, _ in _lines(capsys)] == [
        f"GET /api{STATUS} 400",
        f"POST /api{STATUS} 405",
        "PUT /api/RuleUpdate 413",
        "GET /_mock/health 200",
        "UNKNOWN / 400",
    ]


async def test_what_shaped_an_answer(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the fault, and the dialects that differ from their default."""
    caller.portal.dialects["status_body"] = "object"
    caller.portal.dialects["sms_id"] = "bare"
    caller.portal.faults.add("delay", seconds=0.2)
    await caller.get(STATUS)
    ((line, milliseconds, shaped),) = _lines(capsys)
    assert line == f"GET /api{STATUS} 200"
    assert milliseconds >= 200
    assert shaped == "fault=delay status_body=object"


@pytest.mark.parametrize("fault", ["reset_before_read", "reset_after_read", "hang"])
async def test_no_answer(caller: Caller, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    """A request without an answer has a line that says so."""
    caller.portal.faults.add(fault)
    with pytest.raises((ClientError, TimeoutError)):
        await asyncio.wait_for(caller.put(f"/EditDevice/{ACTIVE}", {}), 0.3)
    lines: list[tuple[str, int, str]] = []

    def is_logged() -> bool:
        lines.extend(_lines(capsys))
        return bool(lines)

    await eventually(is_logged)
    assert lines[0][0] == f"PUT /api/EditDevice/{ACTIVE} no answer"
    assert lines[0][2] == f"fault={fault}"


async def test_secrets(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    """No token, secret or message is in the log, even where a client puts it into the path."""
    token = caller.token or ""
    await caller.login()
    await caller.call("POST", "/Login", {"clientId": "demo-client", "secretKey": "demo-secret"})
    await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": "a message"})
    await caller.get(f"/Login/{token}")
    await caller.get("/Login/demo%2Dsecret")
    await caller.get("/Login/demo-token")
    await send_raw(caller.portal, f"GET /x HTTP/1.1\r\nAuthorization {token}\r\n\r\n".encode())
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 7
    for secret in (token, "demo-secret", "demo%2Dsecret", "demo-token", "a message"):
        assert secret not in err
    assert "/api/Login/*** 404" in err


async def test_one_line_each(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    """A path cannot forge a line, nor hold what a terminal takes for an order."""
    await caller.get("/a%0d%0aGET%20/b%1b%5B31m%E2%80%AE%ED%A0%BD")
    await caller.get(f"/{'x' * 5000}")
    first, second = _lines(capsys)
    assert first[0].isascii()
    assert first[0].endswith(" 404")
    assert len(second[0]) < 400


async def test_a_log_that_nobody_reads(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard error does not stop the portal."""

    class Closed:
        def write(self, _: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Closed())
    assert (await caller.get(STATUS)).status == 200


async def test_only_on_request(session: ClientSession, capsys: pytest.CaptureFixture[str]) -> None:
    """Without being asked the portal writes nothing."""
    async with MockPortal("demo") as portal:
        await Caller(portal=portal, session=session).login()
    assert capsys.readouterr().err == ""
