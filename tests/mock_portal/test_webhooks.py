"""Webhooks are called on this machine, and elsewhere only on request."""

import _socket
import asyncio
from collections.abc import AsyncIterator
import socket

from aiohttp import ClientSession, web
import pytest

from mock_portal import MockPortal, SetupError

from .conftest import ACTIVE, Caller, eventually

_DUE = {"extends": "demo", "timings": {"bulk_seconds": 0}}
_getaddrinfo = socket.getaddrinfo


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[int, list[str]]]:
    """Return the port of a server on all addresses of this machine, and the paths it was asked for."""
    paths: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        paths.append(request.path)
        redirect = {"Location": "http://webhook.example/"}
        return web.Response(status=307 if request.path == "/away" else 204, headers=redirect)

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    both = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    await web.SockSite(runner, both).start()
    yield both.getsockname()[1], paths
    await runner.cleanup()


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give names addresses; 192.0.2.1 is one that nobody has."""
    known = {
        "here.example": ["127.0.0.1"],
        "webhook.example": ["192.0.2.1"],
        "both.example": ["192.0.2.1", "127.0.0.1"],
        "six.example": ["2001:db8::1"],
    }

    def look_up(host: str, port: int, *rest: object, **options: object) -> object:
        found = []
        for address in known.get(host, [host]):
            found += _getaddrinfo(address, port, *rest, **options)  # type: ignore[arg-type]
        return found

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    # pytest-socket may allow 127.0.0.1 only.
    monkeypatch.setattr(socket.socket, "connect", _socket.socket.connect)


async def _outcome(portal: MockPortal, url: str) -> str:
    """Return what became of a webhook."""
    portal.journal.clear()
    portal.state.queue_bulk_edit({}, [ACTIVE], webhook_url=url)
    caller = asyncio.open_connection(*portal.url.split("/")[2].split(":"))
    _, writer = await caller
    writer.write(b"GET /_mock/health HTTP/1.0\r\n\r\n")
    await eventually(lambda: bool(portal.journal.webhooks))
    writer.close()
    return portal.journal.webhooks[0].outcome


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.8.7",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "here.example",
        "both.example",
        "user:password@127.0.0.1",
        "192.0.2.1@127.0.0.1",
    ],
)
async def test_on_this_machine(receiver: tuple[int, list[str]], host: str) -> None:
    """A loopback address is called, however it is written."""
    port, paths = receiver
    async with MockPortal(_DUE) as portal:
        assert await _outcome(portal, f"http://{host}:{port}/ping") == "204"
        assert paths == ["/ping"]
        assert "password" not in portal.journal.webhooks[0].url


async def test_edit_while_the_last_call_ends(
    receiver: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bulk edit that arrives when the calls of the one before are done is reported as well."""
    port, paths = receiver
    close = ClientSession.close
    async with MockPortal(_DUE) as portal:

        async def close_late(session: ClientSession) -> None:
            """Queue another bulk edit while the session that made the first call is being closed."""
            if len(paths) == 1:
                portal.state.queue_bulk_edit({}, [ACTIVE], webhook_url=f"http://127.0.0.1:{port}/2")
            await close(session)

        monkeypatch.setattr(ClientSession, "close", close_late)
        await _outcome(portal, f"http://127.0.0.1:{port}/1")
        await eventually(lambda: len(paths) == 2)

    assert paths == ["/1", "/2"]


@pytest.mark.parametrize(
    ("url", "stranger"),
    [
        ("http://192.0.2.1/ping", "192.0.2.1"),
        ("http://webhook.example/ping", "192.0.2.1"),
        ("https://webhook.example/ping", "192.0.2.1"),
        ("http://six.example/ping", "2001:db8::1"),
        ("http://[2001:db8::1]/ping", "2001:db8::1"),
        ("http://[::ffff:192.0.2.1]/ping", "::ffff:"),
        ("http://127.0.0.1@192.0.2.1/ping", "192.0.2.1"),
        ("http://127.0.0.1:80@webhook.example/ping", "192.0.2.1"),
        ("http://0.0.0.0/ping", "0.0.0.0"),  # noqa: S104  never called
        ("http://[::]/ping", "::"),
    ],
)
async def test_strangers(url: str, stranger: str) -> None:
    """Any other address is not called, and the journal says why, and what to do."""
    async with MockPortal(_DUE) as portal:
        outcome = await _outcome(portal, url)
    assert outcome.startswith("not called: ")
    assert stranger in outcome
    assert "--webhooks anywhere" in outcome
    assert 'webhooks="anywhere"' in outcome


@pytest.mark.parametrize("host", ["3221225985", "192.0.513", "0xC0000201", "nobody.invalid"])
async def test_odd_addresses(host: str) -> None:
    """Other forms of an address, and names that nobody has, are not called either."""
    async with MockPortal(_DUE) as portal:
        outcome = await _outcome(portal, f"http://{host}/ping")
    assert outcome.startswith(("not called", "InvalidUrl", "ClientConnectorDNSError"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "ws://127.0.0.1/",
        "127.0.0.1:80",
        "/ping",
        "?",
        "http:///ping",
    ],
)
@pytest.mark.parametrize("where", ["loopback", "anywhere"])
async def test_other_schemes(url: str, where: str) -> None:
    """What is no URL of HTTP is not called anywhere."""
    async with MockPortal(_DUE, webhooks=where) as portal:
        assert await _outcome(portal, url) == "not called: a webhook has an http or https URL"


async def test_no_url() -> None:
    """What is no URL at all is not called, and the journal says so."""
    async with MockPortal(_DUE) as portal:
        assert await _outcome(portal, "http://[") == "not called: this is no URL"


async def test_redirect(receiver: tuple[int, list[str]]) -> None:
    """A redirect is not followed, neither here nor elsewhere."""
    port, paths = receiver
    async with MockPortal(_DUE) as portal:
        assert await _outcome(portal, f"http://127.0.0.1:{port}/away") == "307"
    assert paths == ["/away"]


async def test_a_name_that_moves(
    receiver: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that counts is the one that is called, also if the name had another one before."""
    port, paths = receiver
    answers = iter(["127.0.0.1", "192.0.2.1"])
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda _, *rest, **options: _getaddrinfo(next(answers), *rest, **options),
    )
    async with MockPortal(_DUE) as portal:
        assert await _outcome(portal, f"http://moves.example:{port}/ping") == "204"
        await asyncio.sleep(0.2)
        assert (await _outcome(portal, f"http://moves.example:{port}/ping")).startswith(
            "not called"
        )
    assert paths == ["/ping"]


async def test_anywhere(receiver: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """On request, every address is called."""
    port, paths = receiver
    own = _getaddrinfo("0.0.0.0", port)  # noqa: S104  reaches this machine
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: own)
    async with MockPortal(_DUE, webhooks="anywhere") as portal:
        assert await _outcome(portal, f"http://webhook.example:{port}/ping") == "204"
    assert paths == ["/ping"]


def test_a_word_that_is_neither() -> None:
    """Only two words say where webhooks are called."""
    with pytest.raises(SetupError, match="loopback or anywhere, not 'everywhere'"):
        MockPortal(webhooks="everywhere")
    with pytest.raises(SetupError), MockPortal.in_thread(webhooks="everywhere"):
        pytest.fail("It listens")


async def test_published_example(caller: Caller) -> None:
    """The webhook of the published example is a stranger's."""
    caller.portal.state.timings.bulk_seconds = 0
    body = {"update": {}, "iccids": [ACTIVE], "webhookUrl": "https://webhook.example/8fa0cd3e"}
    assert (await caller.put("/BulkEditDevice", body)).status == 200
    await eventually(lambda: bool(caller.portal.journal.webhooks))
    journal = await caller.control("GET", "journal")
    assert journal.json["webhooks"][0]["outcome"].startswith(
        "not called: webhook.example is 192.0.2.1"
    )
