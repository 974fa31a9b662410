"""HTTP itself: methods, targets, expectations, and what is no proper request."""

import asyncio
import gzip
import json
import logging
import subprocess

import aiohttp
import pytest

from mock_portal import MockPortal
from mock_portal.routes import ROUTES, Route

from .conftest import ACTIVE, Caller
from .helpers import send_raw

STATUS = f"/getStatus/{ACTIVE}"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
MEGABYTE = 1024 * 1024


def _head(caller: Caller, line: str, *headers: str) -> bytes:
    """Return the head of a request."""
    lines = (line, "Host: portal", f"Authorization: {caller.token}", *headers, "", "")
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
async def test_methods(caller: Caller, method: str, route: Route) -> None:
    """A route names the method that it has to a client that uses another one."""
    path = route.path.format(ICCID=ACTIVE, apiVersion=1, SMS_id=1)
    answer = await caller.call(method, path)
    if method == route.method:
        assert answer.status != 405
        assert "Allow" not in answer.headers
    else:
        assert (answer.status, answer.headers["Allow"]) == (405, route.method)
        assert answer.is_assumed
        assert caller.portal.journal.find(method, path)[-1].status == 405


@pytest.mark.parametrize("path", ["/getStatus", f"{STATUS}/1", "/getStatus/", "/SendSMS/1"])
async def test_no_such_path(caller: Caller, path: str) -> None:
    """A path that no route has is not found, whatever the method is."""
    answer = await caller.call("DELETE", path)
    assert answer.status == 404
    assert "number of segments" in answer.json["errorMessage"]
    assert "Allow" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "health", "GET"),
        ("PUT", "journal", "GET, DELETE"),
        ("OPTIONS", "faults", "GET, POST, DELETE"),
        ("POST", f"sims/{ACTIVE}", "GET, PUT, PATCH"),
        ("HEAD", "reset", "POST"),
    ],
)
async def test_control_methods(caller: Caller, method: str, path: str, allowed: str) -> None:
    """The control interface names the methods of a path, too."""
    answer = await caller.control(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)
    if method != "HEAD":
        assert answer.json == {
            "error": f"{method} is the wrong method for /_mock/{path}; it has {allowed}"
        }


async def test_control_answers_are_marked(caller: Caller) -> None:
    """Whatever the control interface answers says that it is of the mock."""
    for method, path, status in (
        ("GET", "health", 200),
        ("HEAD", "health", 200),
        ("GET", "nonsense", 404),
        ("POST", "health", 405),
        ("POST", "faults", 400),
    ):
        answer = await caller.control(method, path)
        assert (answer.status, answer.headers["X-Mock-Portal"]) == (status, "control")


@pytest.mark.parametrize(
    "fault", [None, "slow_drip", "truncated_body", "delay", "maintenance_page"]
)
async def test_head_has_no_body(caller: Caller, fault: str | None) -> None:
    """The answer to HEAD ends after its headers, so that the connection can be used again."""
    if fault:
        caller.portal.faults.add(fault, times=1)
    head = _head(caller, f"HEAD /api{STATUS} HTTP/1.1")
    get = _head(caller, f"GET /api{STATUS} HTTP/1.1", "Connection: close")
    received = await send_raw(caller.portal, head + get)
    first, _, rest = received.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 503" if fault == "maintenance_page" else b"HTTP/1.1 405")
    assert rest.startswith(b"HTTP/1.1 200 OK") or (fault == "truncated_body" and not rest)


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_a_body(caller: Caller, status: int) -> None:
    """A fault with a status that has no body sends none."""
    caller.portal.faults.add("status", status=status, times=1)
    get = _head(caller, f"GET /api{STATUS} HTTP/1.1")
    last = _head(caller, f"GET /api{STATUS} HTTP/1.1", "Connection: close")
    received = await send_raw(caller.portal, get + last)
    first, _, rest = received.partition(b"\r\n\r\n")
    assert first.startswith(f"HTTP/1.1 {status}".encode())
    assert b"chunked" not in first
    assert rest.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "target",
    [
        f"http://api.iotportal.io/api{STATUS}",
        f"http://api.iotportal.io:80/api{STATUS}",
        f"HTTP://127.0.0.1/apiv2{STATUS}",
        f"https://user:password@api.iotportal.io/api{STATUS}",
        f"http://[::1]:8089/api{STATUS}",
    ],
)
async def test_as_a_proxy(caller: Caller, target: str) -> None:
    """A client that uses the portal as its HTTP proxy sends whole URLs."""
    answer = await send_raw(caller.portal, _head(caller, f"GET {target} HTTP/1.0"))
    assert answer.startswith(b"HTTP/1.0 200 OK")
    assert answer.endswith(b"ACTIVATED")
    assert caller.portal.journal.find("GET", STATUS)[0].route == "getStatus"


@pytest.mark.parametrize("target", ["http://portal/_mock/health", "http://portal/_mock/health?"])
async def test_control_as_a_proxy(caller: Caller, target: str) -> None:
    """The control interface is found in a whole URL, too."""
    assert b'"status": "ok"' in await send_raw(
        caller.portal, _head(caller, f"GET {target} HTTP/1.0")
    )


@pytest.mark.parametrize("target", ["*", "http://portal", "http://portal?x=1", "portal:443"])
async def test_other_targets(caller: Caller, target: str) -> None:
    """A target without a path is not found, and is in the journal."""
    method = "CONNECT" if target == "portal:443" else "OPTIONS"
    answer = await send_raw(
        caller.portal, _head(caller, f"{method} {target} HTTP/1.1", "Connection: close")
    )
    assert answer.startswith(b"HTTP/1.1 404 Not Found")
    assert b"X-Mock-Portal: assumed" in answer
    assert caller.portal.journal.find(method)[0].status == 404


async def _converse(caller: Caller, head: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Send a head, wait for an answer, and send the body if it may come; return both answers."""
    port = int(caller.portal.url.split(":")[2].removesuffix("/api"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(5):
        writer.write(head)
        first = await reader.readuntil(b"\r\n\r\n")
        if b" 100 " in first:
            writer.write(body)
        rest = await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    return first, rest


@pytest.mark.parametrize("size", [100, MEGABYTE])
@pytest.mark.parametrize("value", ["100-continue", "100-Continue"])
async def test_expect_continue(caller: Caller, size: int, value: str) -> None:
    """A client that asks first whether it may send a body is told so at once."""
    body = json.dumps({"messageText": "Hello"}).ljust(size).encode()
    head = _head(
        caller,
        f"PUT /api/SendSMS/{ACTIVE}/1 HTTP/1.1",
        f"Expect: {value}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    first, rest = await _converse(caller, head, body)
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"smsMsgId" in rest
    assert caller.portal.journal.find("PUT")[0].body == {"messageText": "Hello"}


async def test_expect_continue_of_the_control_interface(caller: Caller) -> None:
    """The control interface answers such a client, too."""
    body = b'{"advance": 1}'
    head = _head(
        caller,
        "POST /_mock/clock HTTP/1.1",
        "Expect: 100-continue",
        "Transfer-Encoding: chunked",
        "Connection: close",
    )
    first, rest = await _converse(caller, head, b"e\r\n" + body + b"\r\n0\r\n\r\n")
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b'"frozen": true' in rest


async def test_expect_of_http_1_0(caller: Caller) -> None:
    """A client of HTTP/1.0 knows no interim answer, and gets none."""
    body = b'{"messageText": "Hello"}'
    line = f"PUT /api/SendSMS/{ACTIVE}/1 HTTP/1.0"
    head = _head(caller, line, "Expect: 100-continue", f"Content-Length: {len(body)}")
    assert (await send_raw(caller.portal, head + body)).startswith(b"HTTP/1.0 200 OK")


async def test_unknown_expectation(caller: Caller) -> None:
    """An expectation that nobody knows is refused, and nothing is done."""
    head = _head(
        caller,
        f"PUT /api/SendSMS/{ACTIVE}/1 HTTP/1.1",
        "Expect: 200-ok",
        "Content-Length: 24",
        "Connection: close",
    )
    first, rest = await _converse(caller, head, b"")
    assert first.startswith(b"HTTP/1.1 417 Expectation Failed")
    assert b"X-Mock-Portal: assumed" in first
    assert b"Connection: close" in first
    assert b"100-continue" in rest
    assert caller.portal.journal.find("PUT")[0].status == 417
    assert not caller.portal.state.sms


async def test_expect_with_too_large_a_body(caller: Caller) -> None:
    """A client that asks first is spared to send a body that is too large."""
    head = _head(
        caller,
        "PUT /api/RuleUpdate HTTP/1.1",
        "Expect: 100-continue",
        f"Content-Length: {MEGABYTE + 1}",
        "Connection: close",
    )
    first, _ = await _converse(caller, head, b"")
    assert first.startswith(b"HTTP/1.1 413 ")


def test_curl_does_not_wait(tmp_path: object) -> None:
    """Curl, which asks first for a body above a megabyte, does not wait the second that it would."""
    with MockPortal.in_thread() as portal:
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{time_total} %{http_code}"]
        command += [
            "-X",
            "POST",
            "-H",
            "Expect: 100-continue",
            "-d",
            "@-",
            f"{portal.control_url}/clock",
        ]
        body = b'{"freeze": true}'.ljust(2 * MEGABYTE)
        done = subprocess.run(command, input=body, capture_output=True, check=True)  # noqa: S603
    seconds, status = done.stdout.split()
    assert status == b"200"
    assert float(seconds) < 0.9


async def test_too_large_a_body(caller: Caller) -> None:
    """A body above the limit is answered in the portal's form, and is in the journal."""
    for body in (b" " * (MEGABYTE + 1), gzip.compress(b" " * (MEGABYTE + 1))):
        headers = {"Content-Encoding": "gzip"} if body[:1] != b" " else {}
        answer = await caller.call("PUT", "/RuleUpdate", body, headers=headers)
        assert (answer.status, answer.is_assumed) == (413, True)
        assert answer.json["errorMessage"] == "The body is larger than 1 MB"
    refused = caller.portal.journal.find("PUT", "/RuleUpdate")
    assert [exchange.status for exchange in refused] == [413, 413]
    assert "larger than 1 MB" in caller.portal.journal.near_misses[-1].message


async def test_error_envelope_of_too_large_a_body(caller: Caller) -> None:
    """The chosen envelope holds for errors of the transport, too."""
    caller.portal.dialects["error_envelope"] = "plain"
    answer = await caller.put("/RuleUpdate", b" " * (MEGABYTE + 1))
    assert answer.text == "The body is larger than 1 MB"


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"get /api/getStatus/1 HTTP/1.1\r\n\r\n",
        b"GET /api/getStatus/1 HTTP/9.9.9\r\n\r\n",
        b"GET /api/getStatus/1 HTTP/1.1\r\nAuthorization secret-token\r\n\r\n",
        b"GET /api/getStatus/1 HTTP/1.1\r\nAuthorization: secret-token\x00\r\n\r\n",
        b"GET /api/getStatus/1 HTTP/1.1\r\nAuthorization: " + b"secret-token" * 1000 + b"\r\n\r\n",
        b"GET /api/getStatus/1 HTTP/1.1\r\nContent-Length: two\r\n\r\n",
        b"GET /api/" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        pytest.param(
            b"GET http://[ HTTP/1.1\r\n\r\n",
            marks=pytest.mark.skipif(
                aiohttp.__version__ < "3.14", reason="older versions of aiohttp hang up"
            ),
        ),
    ],
)
async def test_no_http(caller: Caller, caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    """What is no HTTP gets 400 from the portal, is in the journal, and leaves no traceback."""
    answer = await send_raw(caller.portal, data)
    assert b" 400 Bad Request\r\n" in answer
    assert b"X-Mock-Portal: assumed\r\n" in answer
    assert b"The request is no valid HTTP" in answer
    assert b"bytearray" not in answer
    assert b"secret-token" not in answer
    exchange = list(caller.portal.journal)[-1]
    assert exchange.status == 400
    assert "no valid HTTP" in caller.portal.journal.near_misses[-1].message
    assert "secret-token" not in (await caller.control("GET", "journal")).text
    assert not caplog.records


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (("Transfer-Encoding: chunked",), b"zz\r\n{}\r\n0\r\n\r\n"),
        (("Content-Encoding: gzip", "Content-Length: 4"), b"none"),
        (("Content-Encoding: deflate", "Content-Length: 4"), b"none"),
    ],
)
async def test_unreadable_body(
    caller: Caller, caplog: pytest.LogCaptureFixture, headers: tuple[str, ...], body: bytes
) -> None:
    """A body that breaks its own framing or compression gets 400, and is in the journal."""
    head = _head(caller, "PUT /api/RuleUpdate HTTP/1.1", *headers, "Connection: close")
    answer = await send_raw(caller.portal, head + body)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"X-Mock-Portal: assumed\r\n" in answer
    assert list(caller.portal.journal)[-1].status == 400
    assert not caplog.records


async def test_half_a_body(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    """A client that leaves before its body is complete is in the journal without an answer."""
    head = _head(caller, f"PUT /api/SendSMS/{ACTIVE}/1 HTTP/1.1", "Content-Length: 100")
    port = int(caller.portal.url.split(":")[2].removesuffix("/api"))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b'{"messageText": ')
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    for _ in range(100):
        if caller.portal.journal.find("PUT"):
            break
        await asyncio.sleep(0.01)
    exchange = caller.portal.journal.find("PUT")[0]
    assert (exchange.status, exchange.route, exchange.iccid) == (None, "SendSMS", ACTIVE)
    assert not caplog.records


async def test_a_bug(
    caller: Caller, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the portal itself fail, that is answered, logged and in the journal."""
    monkeypatch.setattr(caller.portal.state, "authorize", lambda _: 1 / 0)
    answer = await caller.get(STATUS)
    assert (answer.status, answer.is_assumed) == (500, True)
    assert "The mock portal failed" in answer.json["errorMessage"]
    assert caller.portal.journal.find("GET", STATUS)[0].status == 500
    assert caplog.records[0].levelno == logging.ERROR
    assert "ZeroDivisionError" in caplog.text
