"""Whatever is received, the client returns a model or raises an error of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiohttp import ClientSession
from homeassistant.helpers.json import json_bytes
from hypothesis import given, strategies as st
import pytest

from custom_components.iot_portal.api import (
    Credentials,
    Device,
    IotPortalClient,
    IotPortalError,
    Session,
    Sms,
    SmsList,
    Usage,
)
from tests.common import UnlimitedPacer

from .conftest import Run
from .fake_session import FakeSession
from .strategies import GOOD, ICCID, VALUES, Reply, examples, good_reply, replies

type Call = Callable[[IotPortalClient], Awaitable[Any]]

JSON = (dict, list, str, int, float, bool, type(None))
CALLS: dict[str, tuple[Call, type | tuple[type, ...]]] = {
    "Login": (lambda client: client.login(), type(None)),
    "ctdUsage": (lambda client: client.get_usage(ICCID), Usage),
    "GetDevice": (lambda client: client.get_device(ICCID), Device),
    "sessionInfo": (lambda client: client.get_session(ICCID), Session),
    "getStatus": (lambda client: client.get_status(ICCID), (str, type(None))),
    "GetSMS": (lambda client: client.get_sms("4711"), Sms),
    "GetSMSIds": (lambda client: client.get_sms_list(ICCID), SmsList),
    "SendSMS": (lambda client: client.send_sms(ICCID, "Hello"), (str, type(None))),
    "RequestStatusChange": (lambda client: client.request_status_change(ICCID, "TRIAL"), JSON),
    "EditDevice": (lambda client: client.edit_device(ICCID, {"simNotes": "Spare"}), JSON),
    "BulkEditDevice": (lambda client: client.bulk_edit_devices([ICCID], {"a": "b"}), JSON),
    "RuleUpdate": (lambda client: client.update_rule({"a": "b"}), JSON),
}


@pytest.mark.parametrize("route", CALLS)
def test_answers(route: str, run: Run) -> None:
    """Any response, also to a log-in, ends in a model or an error of the client."""
    call, kinds = CALLS[route]
    session = FakeSession()

    @examples(0.2)
    @given(replies(route), replies("Login") | st.just(good_reply("Login")))
    def check(reply: Reply, login: Reply) -> None:
        session.replies = {"Login": login, route: reply}
        with suppress(IotPortalError):
            answer = run(call(session.client()))
            assert isinstance(answer, kinds)
            # Home Assistant can store it, and return it from an action.
            json_bytes(getattr(answer, "raw", answer))

    check()


@pytest.mark.parametrize("route", CALLS)
def test_good_answers(route: str, run: Run) -> None:
    """The correct responses that are varied above can be read, so the variations reach the parser."""
    call, kinds = CALLS[route]

    assert isinstance(run(call(FakeSession().client())), kinds)


class RawServer:
    """A server that sends arbitrary bytes."""

    def __init__(self) -> None:
        """Start without content."""
        self.content = b""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send the content and close the connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.content)
            await writer.drain()
        writer.close()


@pytest.fixture
async def raw_server(socket_enabled: None) -> AsyncIterator[tuple[RawServer, IotPortalClient]]:
    """Return a server of arbitrary bytes and a client of it."""
    raw = RawServer()
    server = await asyncio.start_server(raw.answer, "127.0.0.1")
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, ClientSession() as session:
        yield (
            raw,
            IotPortalClient(
                session,
                url,
                Credentials(client_id="a", secret_key="b"),
                pacer=UnlimitedPacer(),
            ),
        )


HEADS = st.sampled_from(
    [
        *(b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200\r\n", b"HTTP/1.1 99999 OK\r\n"),
        *(b"HTTP/9.9 200 OK\r\n", b"HTTP/1.1 302 Found\r\nLocation: \xff\r\n", b"\r\n"),
    ]
)
LINES = st.lists(
    st.sampled_from(
        [
            *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 1, 2"),
            *(b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", b"Content-Encoding: br"),
            *(b"Content-Type: \xff/\x00", b"Set-Cookie: \xff=;;=\x01", b"Retry-After: \xff"),
            *(b"Connection: upgrade", b"No colon", b": no name", b"Location: http://[", b" folded"),
        ]
    )
    | st.binary(max_size=30),
    max_size=4,
).map(lambda lines: b"".join(line + b"\r\n" for line in lines))
BODIES = st.binary(max_size=60) | st.sampled_from(
    [b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"-1\r\n", b'{"data":{"token":"a"}}']
)


def test_bytes(raw_server: tuple[RawServer, IotPortalClient], run: Run) -> None:
    """Any bytes on the wire end in a token or an error of the client."""
    server, client = raw_server

    @examples(0.4)
    @given(HEADS, LINES, st.sampled_from([b"\r\n", b""]), BODIES)
    def check(head: bytes, lines: bytes, end: bytes, body: bytes) -> None:
        server.content = head + lines + end + body
        with suppress(IotPortalError):
            run(client.login())

    check()


@examples(0.2)
@given(VALUES)
def test_models(value: Any) -> None:
    """Any JSON value becomes a model whose fields are of their types."""
    usage = Usage.from_answer(value)
    assert usage.data_bytes is None or usage.data_bytes >= 0
    assert usage.status is None or usage.status
    device = Device.from_answer(value)
    assert device.date_activated is None or device.date_activated.tzinfo is not None
    assert isinstance(Session.from_answer(value).is_open, bool)
    assert Sms.from_answer(value).sms_id != ""


@examples(0.2)
@given(st.text(), st.text(), st.dictionaries(st.text(), VALUES))
def test_what_is_asked_for(identifier: str, text: str, changes: dict[str, Any]) -> None:
    """Whatever is to be sent, only the intended path is requested."""
    session = FakeSession()
    client = session.client()

    async def call() -> None:
        for asking in (
            client.get_sms(identifier),
            client.send_sms(identifier, text),
            client.edit_device(ICCID, changes),
            client.request_status_change(ICCID, text),
        ):
            with suppress(IotPortalError):
                await asking

    asyncio.run(call())

    base = "https://portal.example/api"
    assert {*session.requests} <= {
        f"POST {base}/Login",
        f"GET {base}/GetSMS/{identifier}",
        f"PUT {base}/SendSMS/{identifier}/1",
        f"PUT {base}/EditDevice/{ICCID}",
        f"PUT {base}/RequestStatusChange/{ICCID}",
    }
    assert all(url.count("/") <= 6 and "?" not in url for url in session.requests)


def test_routes() -> None:
    """Every route is covered."""
    assert CALLS.keys() >= GOOD.keys()
