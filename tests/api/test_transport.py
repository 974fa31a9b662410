"""The connection to the portal: who receives the secrets, and how large responses may be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
import errno
from random import Random
import re
import tracemalloc
from typing import Any
import zlib

from aiohttp import ClientConnectorError, ClientSession, TCPConnector, web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.test_utils import unused_port
import pytest
from trustme import CA
from yarl import URL
from zeroconf import BadTypeInNameException

from custom_components.iot_portal.api import (
    IotPortalClient,
    IotPortalConnectionError,
    IotPortalError,
    IotPortalInputError,
    IotPortalNotFoundError,
    IotPortalOutcomeUnknownError,
    IotPortalResponseError,
    is_private,
)
from custom_components.iot_portal.api.connection import connection_error
from custom_components.iot_portal.api.responses import MAX_BODY_BYTES
from mock_portal import MockPortal
from tests import tls
from tests.common import (
    ADDRESSES_WITH_SECRETS,
    UNUSABLE_ADDRESSES,
    UnlimitedPacer,
    serving,
)

from .conftest import CREDENTIALS, ICCID

type Call = Callable[[IotPortalClient], Awaitable[Any]]

TOKEN = "a-token-of-the-portal"
CALLS: dict[str, Call] = {
    "login": lambda client: client.login(),
    "read": lambda client: client.get_usage(ICCID),
    "write": lambda client: client.send_sms(ICCID, "Hello"),
}
# These would change the path, the query or a header.
INVALID_IDENTIFIERS = [
    *("", ".", "..", "../Login", "/Login", "//example.org/x", "4711/1", "4711?a=b", "4711#a"),
    *("%2e%2e", "4711%2F1", "4711 1", "4711\r\nX-A: b", "4711\n", "\t4711", "\x00", "-4711"),
    *("\N{FULLWIDTH DIGIT FOUR}711", "47\N{ARABIC-INDIC DIGIT ONE}1", "4711é", "4" * 129),
]
BY_IDENTIFIER: dict[str, Callable[[IotPortalClient, str], Awaitable[Any]]] = {
    "get_usage": lambda client, it: client.get_usage(it),
    "get_device": lambda client, it: client.get_device(it),
    "get_session": lambda client, it: client.get_session(it),
    "get_status": lambda client, it: client.get_status(it),
    "get_sms": lambda client, it: client.get_sms(it),
    "get_sms_list": lambda client, it: client.get_sms_list(it),
    "send_sms": lambda client, it: client.send_sms(it, "Hello"),
    "request_status_change": lambda client, it: client.request_status_change(it, "ACTIVATED"),
    "edit_device": lambda client, it: client.edit_device(it, {"simNotes": "Spare"}),
}


class StubPortal:
    """A portal that accepts every log-in and passes all other requests to `answers`."""

    def __init__(self) -> None:
        """Accept log-ins only."""
        self.seen: list[tuple[str, str | None]] = []
        self.answers: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self.answers_login = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        self.seen.append((request.path, request.headers.get("Authorization")))
        if self.answers is not None and (self.answers_login or not request.path.endswith("/Login")):
            return await self.answers(request)
        return web.json_response({"data": {"token": TOKEN}})


def client_of(session: ClientSession, url: str) -> IotPortalClient:
    """Return a client with a short timeout."""
    return IotPortalClient(
        session, url, CREDENTIALS, pacer=UnlimitedPacer(), timeout=10, retry_wait=0
    )


@pytest.fixture
def authority() -> CA:
    """Return a certificate authority."""
    return CA()


@pytest.fixture
async def trusting(authority: CA, socket_enabled: None) -> AsyncIterator[ClientSession]:
    """Yield a session that trusts only this certificate authority."""
    async with ClientSession(connector=TCPConnector(ssl=tls.trusting(authority))) as session:
        yield session


async def test_valid_certificate(trusting: ClientSession, authority: CA) -> None:
    """A portal with a valid certificate is accepted."""
    portal = StubPortal()
    async with serving(portal.handle, tls=tls.server(authority)) as url:
        await client_of(trusting, url).login()

    assert portal.seen == [("/api/Login", None)]


@pytest.mark.parametrize("name", tls.BAD_CERTIFICATES)
async def test_bad_certificate(name: str, trusting: ClientSession, authority: CA) -> None:
    """An invalid certificate raises an error that says why, and nothing is sent."""
    make, host, says = tls.BAD_CERTIFICATES[name]
    portal = StubPortal()
    if name == "self-signed":
        # A trusted authority may be self-signed, so this one is not the trusted one.
        authority = CA()
    async with serving(portal.handle, tls=make(authority)) as url:
        client = client_of(trusting, url.replace("127.0.0.1", host))
        for call in CALLS.values():
            with pytest.raises(IotPortalConnectionError) as raised:
                await call(client)
            assert str(raised.value) == f"the certificate of {says}"
            assert not raised.value.may_have_arrived

    assert portal.seen == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.ECONNREFUSED, "192.0.2.1:443 refused the connection"),
        (errno.EHOSTUNREACH, "192.0.2.1:443 cannot be reached from this network"),
        (errno.ENETUNREACH, "192.0.2.1:443 cannot be reached from this network"),
        (errno.ETIMEDOUT, "192.0.2.1:443 did not accept the connection in time"),
        (errno.EADDRNOTAVAIL, "no connection to 192.0.2.1:443"),
        (None, "no connection to 192.0.2.1:443"),
    ],
)
def test_no_connection_in_words(code: int | None, says: str) -> None:
    """What the system reports when nothing answers is told in words, without its codes and tuples."""
    key = ConnectionKey("192.0.2.1", 443, True, True, None, None, None, None)
    why = OSError(code, "Connect call failed ('192.0.2.1', 443)") if code else OSError("odd")
    error = connection_error(ClientConnectorError(key, why), None)

    assert str(error) == says
    assert not error.may_have_arrived


async def test_nobody_listens(session: ClientSession) -> None:
    """A machine on which nothing listens is told with its port."""
    port = unused_port()
    with pytest.raises(IotPortalConnectionError) as raised:
        await client_of(session, f"http://127.0.0.1:{port}/api").login()

    assert str(raised.value) == f"127.0.0.1:{port} refused the connection"


async def test_unknown_name(socket_enabled: None) -> None:
    """A host name without an address is told as such."""
    async with ClientSession(
        connector=TCPConnector(resolver=StubResolver(OSError("Name not known")))
    ) as session:
        with pytest.raises(IotPortalConnectionError) as raised:
            await client_of(session, "https://portal.example.com/api").login()

    assert str(raised.value) == "no address was found for portal.example.com"


async def test_no_tls_behind_https(trusting: ClientSession) -> None:
    """A server without TLS raises an error that says so."""
    portal = StubPortal()
    async with serving(portal.handle) as url:
        client = client_of(trusting, url.replace("http:", "https:"))
        with pytest.raises(IotPortalConnectionError, match=r"127\.0\.0\.1 does not answer with an"):
            await client.login()

    assert portal.seen == []


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://api.iotportal.io/api", True),
        ("https://192.0.2.1", True),
        ("http://localhost:8089/api", True),
        ("http://127.0.0.1/", True),
        ("http://[::1]:8089", True),
        ("http://192.168.1.10", True),
        ("http://10.0.0.1", True),
        ("http://172.31.255.255", True),
        ("http://[fd00::1]", True),
        ("http://[fe80::1]", True),
        ("http://api.iotportal.io/api", False),
        ("http://8.8.8.8", False),
        ("http://172.32.0.1", False),
        ("http://[2606:4700::1]", False),
        ("http://[::ffff:8.8.8.8]", False),
        ("http://portal", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://192.168.1.10@example.org", False),
        ("http://2130706433", False),
    ],
)
def test_encryption(url: str, accepted: bool) -> None:
    """Without encryption, only this machine and private networks are allowed."""
    assert is_private(URL(url)) is accepted


@pytest.mark.parametrize("call", CALLS)
async def test_nothing_goes_unencrypted(
    call: str, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client itself refuses to send anything unencrypted over the internet."""

    def request(*args: object, **kwargs: object) -> None:
        pytest.fail("sent")

    monkeypatch.setattr(session, "request", request)

    with pytest.raises(IotPortalInputError, match="private networks only"):
        await CALLS[call](client_of(session, "http://api.iotportal.io/api"))


@pytest.mark.parametrize("to_other_host", [True, False], ids=["other host", "same host"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", CALLS)
async def test_redirect(
    call: str, status: int, to_other_host: bool, session: ClientSession
) -> None:
    """Neither the token nor the credentials follow a redirect, wherever it leads."""
    portal, other = StubPortal(), StubPortal()
    portal.answers_login = call == "login"
    async with serving(portal.handle) as url, serving(other.handle) as other_url:
        target = other_url.replace("127.0.0.1", "localhost") if to_other_host else url

        async def redirect(_: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": f"{target}/elsewhere"})

        portal.answers = redirect
        with pytest.raises(IotPortalError, match=f"HTTP status {status}") as raised:
            await CALLS[call](client_of(session, url))

    assert isinstance(raised.value, IotPortalOutcomeUnknownError) is (call == "write")
    assert other.seen == []
    assert [path for path, _ in portal.seen if "elsewhere" in path] == []
    assert len(portal.seen) == (1 if call == "login" else 2)


def packed() -> bytes:
    """Return a small gzip body that unpacks to 64 times the largest allowed body."""
    packer = zlib.compressobj(level=9, wbits=31)
    return b"".join([*(packer.compress(b"0" * MAX_BODY_BYTES) for _ in range(64)), packer.flush()])


@pytest.mark.parametrize("is_packed", [True, False], ids=["bomb", "endless"])
async def test_body_too_large(is_packed: bool, session: ClientSession) -> None:
    """Reading stops at the largest allowed body, compressed or not."""
    portal, content = StubPortal(), packed() if is_packed else b"0" * MAX_BODY_BYTES

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"} if is_packed else {})
        await response.prepare(request)
        while True:
            await response.write(content)

    portal.answers = answer
    async with serving(portal.handle) as url:
        client = client_of(session, url)
        await client.login()
        tracemalloc.start()
        try:
            with pytest.raises(IotPortalOutcomeUnknownError, match="too large"):
                await client.send_sms(ICCID, "Hello")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak < 10 * MAX_BODY_BYTES


async def test_endless_header(session: ClientSession) -> None:
    """Reading stops when the headers do not end."""
    sent = 0

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n")
        with suppress(ConnectionError):
            while sent < 64 * MAX_BODY_BYTES:
                writer.write(b"X-Header: " + b"0" * 4096 + b"\r\n")
                await writer.drain()
                sent += 4096
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(IotPortalConnectionError):
            await client_of(session, f"http://127.0.0.1:{port}").login()

    assert sent < 16 * MAX_BODY_BYTES


@pytest.mark.parametrize("name", BY_IDENTIFIER)
async def test_invalid_identifier(name: str, client: IotPortalClient, portal: MockPortal) -> None:
    """An identifier that could change the path or a header is not sent."""
    for identifier in INVALID_IDENTIFIERS:
        with pytest.raises(IotPortalInputError, match="is not a valid identifier"):
            await BY_IDENTIFIER[name](client, identifier)

    assert {call.route for call in portal.journal} <= {"Login"}


@pytest.mark.parametrize("identifier", ["4711", "a1b2-c3d4", "2026:11.24_1", "4" * 128])
async def test_valid_identifier(
    identifier: str, client: IotPortalClient, portal: MockPortal
) -> None:
    """Known forms of identifiers are sent unchanged."""
    with pytest.raises(IotPortalNotFoundError):
        await client.get_sms(identifier)

    portal.journal.assert_called_once("GET", f"/GetSMS/{identifier}")


async def test_invalid_identifiers_in_answers(session: ClientSession) -> None:
    """Ids in an answer that could change the path of a request are dropped."""
    portal = StubPortal()
    ids: list[Any] = [{"smsMsgId": bad} for bad in INVALID_IDENTIFIERS]

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(ids[-1] if "SendSMS" in request.path else {"smsMsgIds": ids})

    portal.answers = answer
    async with serving(portal.handle) as url:
        client = client_of(session, url)
        # Blanks around an id are removed.
        assert {*(await client.get_sms_list(ICCID)).ids} == {"4711"}
        assert await client.send_sms(ICCID, "Hello") is None


@pytest.mark.parametrize(
    "token", ["abc\r\nX-A: b", "abc\n", "a b", "", "é", "\x00", {"token": None}, ["abc"]]
)
async def test_invalid_token(token: object, session: ClientSession) -> None:
    """A token that does not fit into a header is not used, so it cannot inject another header."""
    portal = StubPortal()
    portal.answers_login = True

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"data": {"token": token}})

    portal.answers = answer
    async with serving(portal.handle) as url:
        client = client_of(session, url)
        if token == "abc\n":
            await client.login()
            await client.get_usage(ICCID)
        else:
            with pytest.raises(IotPortalResponseError):
                await client.login()

    assert {sent for _, sent in portal.seen} <= {None, "abc"}


def endless() -> list[Any]:
    """Return a list that contains itself."""
    items: list[Any] = []
    items.append(items)
    return items


def nested(depth: int) -> list[Any]:
    """Return a list within a list, and so on."""
    items: list[Any] = []
    for _ in range(depth):
        items = [items]
    return items


@pytest.mark.parametrize(
    "changes",
    [
        {"dateShipped": datetime(2026, 1, 1, tzinfo=UTC)},
        {"simNotes": {"a", "b"}},
        {"simNotes": b"bytes"},
        {1: {("a",): 2}},
        {"simNotes": endless()},
        {"simNotes": nested(100_000)},
    ],
    ids=["instant", "set", "bytes", "key", "endless", "deep"],
)
async def test_body_that_is_no_json(
    changes: Any, client: IotPortalClient, portal: MockPortal
) -> None:
    """A body that cannot be encoded as JSON raises an input error and is not sent."""
    with pytest.raises(IotPortalInputError, match="cannot be encoded as JSON"):
        await client.edit_device(ICCID, changes)

    portal.journal.assert_not_called("PUT", f"/EditDevice/{ICCID}")


@pytest.mark.parametrize("address", [*UNUSABLE_ADDRESSES, *ADDRESSES_WITH_SECRETS])
async def test_unusable_address(address: str, session: ClientSession) -> None:
    """An address that cannot be asked raises an input error, which does not quote it."""
    with pytest.raises(IotPortalInputError) as raised:
        client_of(session, address)

    assert "pa55" not in repr(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        *("https://localhost:1", "HTTPS://localhost:1/", "https://127.0.0.1:1", "https://[::1]:1"),
        *(
            "https://localhost.:1",
            "http://localhost:1?",
            "http://localhost:1#",
            "http://@localhost:1",
        ),
        *("http://127.0.0.1\t:1", "http://[::ffff:127.0.0.1]:1", "https://127.0.0.1:1/\x01/é/%zz"),
        *("https://a_b.invalid", "https://-a.invalid", "https://xn--.invalid", "https://ß.invalid"),
        *("https://[v1.x]", "https://[fe80::1%25lo]:1", f"https://{'abcdefgh.' * 26}invalid"),
    ],
)
async def test_odd_address(address: str, session: ClientSession) -> None:
    """A write to an odd address where nobody answers was not sent, and the error says so."""
    client = IotPortalClient(session, address, CREDENTIALS, pacer=UnlimitedPacer(), timeout=1)
    client._token = TOKEN  # noqa: SLF001  the write itself has to fail, not the log-in

    with pytest.raises(IotPortalConnectionError) as raised:
        await client.send_sms(ICCID, "Hello")

    assert not raised.value.may_have_arrived


class StubResolver(AbstractResolver):
    """A resolver that fails as resolvers do."""

    def __init__(self, error: Exception) -> None:
        """Store the error."""
        self.error = error

    async def resolve(self, *args: Any, **kwargs: Any) -> list[ResolveResult]:
        """Fail."""
        raise self.error

    async def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    "error",
    [
        UnicodeError("label too long"),
        RuntimeError("closed"),
        AssertionError(),
        BadTypeInNameException("too long"),
        OSError("no name server"),
        TimeoutError(),
    ],
    ids=repr,
)
async def test_resolver_fails(error: Exception, socket_enabled: None) -> None:
    """Whatever goes wrong before the connection is made, the write was not sent."""
    async with ClientSession(connector=TCPConnector(resolver=StubResolver(error))) as session:
        client = client_of(session, "https://portal.test/api")
        client._token = TOKEN  # noqa: SLF001  the write itself has to fail, not the log-in
        with pytest.raises(IotPortalConnectionError) as raised:
            await client.send_sms(ICCID, "Hello")

    assert not raised.value.may_have_arrived


async def test_closed_session(session: ClientSession) -> None:
    """A write after the end of Home Assistant was not sent."""
    client = client_of(session, "https://127.0.0.1:1/api")
    client._token = TOKEN  # noqa: SLF001  the write itself has to fail, not the log-in
    await session.close()

    with pytest.raises(IotPortalConnectionError) as raised:
        await client.send_sms(ICCID, "Hello")

    assert not raised.value.may_have_arrived


class ClosingServer:
    """A portal that closes each connection a moment after it has answered, as many do after some idle seconds."""

    def __init__(self, window: float) -> None:
        """Close within so many seconds."""
        self.requests = 0
        self._window = window
        self._random = Random(1)  # noqa: S311

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection until it is closed."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"Content-Length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                self.requests += 1
                body = b'{"data": {"token": "T1"}}' if b"/Login " in head else b"[]"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                asyncio.get_running_loop().call_later(
                    self._random.uniform(0, self._window), writer.close
                )
        writer.close()


def client_with_sessions(
    server: asyncio.Server, session: ClientSession, write_session: ClientSession
) -> IotPortalClient:
    """Return a client of a server, with a session of its own for writes."""
    return IotPortalClient(
        session,
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        CREDENTIALS,
        write_session=write_session,
        pacer=UnlimitedPacer(),
        retry_wait=0,
    )


async def test_writes_while_kept_connections_are_closed(
    session: ClientSession, write_session: ClientSession
) -> None:
    """A server that closes kept connections leaves the outcome of no write unknown."""
    # The debug mode of the event loop is five times slower.
    asyncio.get_running_loop().set_debug(False)
    portal, spread = ClosingServer(0.002), Random(2)  # noqa: S311
    async with await asyncio.start_server(portal.answer, "127.0.0.1") as server:
        client = client_with_sessions(server, session, write_session)
        unknown = 0
        for _ in range(600):
            try:
                await client.request_status_change(ICCID, "ACTIVATED")
            except IotPortalOutcomeUnknownError:
                unknown += 1
            await asyncio.sleep(spread.uniform(0, 0.002))

    assert unknown == 0
    assert portal.requests == 601


async def test_reads_while_kept_connections_are_closed(
    session: ClientSession, write_session: ClientSession
) -> None:
    """A read over a connection that was closed in the meantime is repeated over another one."""
    asyncio.get_running_loop().set_debug(False)
    portal, spread = ClosingServer(0.002), Random(3)  # noqa: S311
    async with await asyncio.start_server(portal.answer, "127.0.0.1") as server:
        client = client_with_sessions(server, session, write_session)
        for _ in range(100):
            await asyncio.gather(client.get_usage(ICCID), client.get_sms_list(ICCID))
            await asyncio.sleep(spread.uniform(0, 0.002))

    # Some were repeated, or this would test nothing.
    assert client.pacer.requests_in_last_hour > 201
