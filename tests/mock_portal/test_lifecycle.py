"""A portal that stops and starts again, whoever says so: its own loop, another one, or a thread."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection
import socket
import time
from urllib.request import urlopen

from aiohttp import ClientConnectionError, ClientSession
import pytest

from mock_portal import MockPortal, SetupError

from .helpers import PLUGIN

pytest_plugins = ("pytester",)


@pytest.fixture
def portal() -> Iterator[MockPortal]:
    """Return a portal in a thread."""
    with MockPortal.in_thread("demo") as portal:
        yield portal


def _is_up(portal: MockPortal) -> bool:
    """Return whether the portal answers."""
    connection = HTTPConnection(portal.control_url.split("/")[2], timeout=5)
    try:
        connection.request("GET", "/_mock/health")
        return connection.getresponse().status == HTTPStatus.OK
    except ConnectionRefusedError:
        return False
    finally:
        connection.close()


def _by_a_new_loop(portal: MockPortal) -> None:
    """Stop, and start again, each in a loop that ends."""
    asyncio.run(portal.stop())
    assert not _is_up(portal)
    asyncio.run(portal.start())


def _by_one_loop(portal: MockPortal) -> None:
    """Stop, and start again, in another loop than the portal's."""

    async def restart() -> None:
        await portal.stop()
        assert not _is_up(portal)
        await portal.start()

    asyncio.run(restart())


def _without_a_loop(portal: MockPortal) -> None:
    """Stop, and start again, without any loop."""
    portal.stop_now()
    assert not _is_up(portal)
    portal.start_now()


def _by_another_thread(portal: MockPortal) -> None:
    """Stop, and start again, in threads of their own."""
    for action in (portal.stop_now, portal.start_now):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(action).result(10)
        assert _is_up(portal) is (action == portal.start_now)


@pytest.mark.parametrize(
    "restart", [_by_a_new_loop, _by_one_loop, _without_a_loop, _by_another_thread]
)
def test_restart(portal: MockPortal, restart: Callable[[MockPortal], None]) -> None:
    """The portal comes back at its address, with what it held, as often as wanted."""
    url, token = portal.url, portal.state.login("demo-client", "demo-secret").value
    for _ in range(3):
        restart(portal)
        assert _is_up(portal)
    assert portal.url == url
    assert token in portal.state.tokens


@pytest.mark.parametrize("action", ["stop", "start"])
def test_twice(portal: MockPortal, action: str) -> None:
    """What is done already is done no second time, also when several ask at once."""
    with ThreadPoolExecutor(4) as pool:
        for asked in [pool.submit(getattr(portal, f"{action}_now")) for _ in range(8)]:
            asked.result(10)
    assert _is_up(portal) is (action == "start")
    asyncio.run(getattr(portal, action)())
    assert _is_up(portal) is (action == "start")


async def test_in_a_running_loop(portal: MockPortal) -> None:
    """An asynchronous test takes the portal of a thread down, and its client recovers."""
    async with ClientSession() as session:
        for _ in range(2):
            async with session.get(f"{portal.control_url}/health") as answer:
                assert answer.status == 200
            await portal.stop()
            with pytest.raises(ClientConnectionError):
                await session.get(f"{portal.control_url}/health")
            await portal.start()


async def test_from_a_thread_while_its_loop_runs() -> None:
    """A portal of this loop is stopped and started by code in a thread."""
    async with MockPortal() as portal:
        for action in (portal.stop_now, portal.start_now):
            await asyncio.to_thread(action)
            assert await asyncio.to_thread(_is_up, portal) is (action == portal.start_now)
        await asyncio.to_thread(asyncio.run, portal.stop())
        assert not await asyncio.to_thread(_is_up, portal)


async def test_waiting_would_never_end() -> None:
    """In its own loop a portal can only be awaited, and says so."""
    async with MockPortal() as portal:
        with pytest.raises(SetupError, match="await portal"):
            portal.stop_now()
    with pytest.raises(SetupError, match="await portal"):
        portal.start_now()


def test_one_loop_after_another() -> None:
    """A portal that was stopped starts in the next loop, delays and all."""
    portal = MockPortal()
    portal.faults.add("delay", seconds=0.05)

    async def serve() -> None:
        async with portal, ClientSession() as session:
            requests = [session.get(f"{portal.url}/getStatus/1") for _ in range(3)]
            answers = await asyncio.gather(*requests)
            assert [answer.status for answer in answers] == [401] * 3

    asyncio.run(serve())
    asyncio.run(serve())


def test_a_loop_that_ended() -> None:
    """A portal whose loop ended before it was stopped says how to do better."""
    portal = MockPortal()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(portal.start())
    with pytest.raises(SetupError, match="in_thread"):
        portal.stop_now()
    with pytest.raises(SetupError, match="in_thread"):
        asyncio.run(portal.stop())
    loop.run_until_complete(portal.stop())
    loop.close()


def test_stop_before_start() -> None:
    """A portal that never listened can be stopped; without a loop it cannot start."""
    portal = MockPortal()
    asyncio.run(portal.stop())
    with pytest.raises(SetupError, match="in_thread"):
        portal.start_now()


def test_stop_ends_waiting_requests(portal: MockPortal) -> None:
    """A request that hangs ends when the portal stops."""
    portal.faults.add("hang")
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(urlopen, f"{portal.url}/getStatus/1")
        while portal.journal.total == 0:
            time.sleep(0.01)
        start = time.monotonic()
        portal.stop_now()
        assert isinstance(hanging.exception(10), OSError)
        assert time.monotonic() - start < 2


def test_a_port_taken_meanwhile(portal: MockPortal) -> None:
    """A portal whose port somebody else took says so, and can try again."""
    portal.stop_now()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(portal.url.split(":")[2].removesuffix("/api"))))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            portal.start_now()
    portal.start_now()
    assert _is_up(portal)


FIXTURE_TEST = """
    import asyncio
    from urllib.error import URLError
    from urllib.request import urlopen

    from aiohttp import ClientConnectionError, ClientSession
    import pytest

    async def test_in_its_loop(mock_portal):
        async with ClientSession() as session:
            await mock_portal.stop()
            with pytest.raises(ClientConnectionError):
                await session.get(mock_portal.url)
            await mock_portal.start()
            assert (await session.get(mock_portal.url)).status == 404

    async def test_left_down(mock_portal):
        await mock_portal.stop()

    def test_in_a_loop_of_its_own(mock_portal):
        asyncio.run(mock_portal.stop())
        with pytest.raises(URLError):
            urlopen(mock_portal.url)

    def test_without_a_loop(mock_portal):
        mock_portal.stop_now()
        with pytest.raises(URLError):
            urlopen(mock_portal.url)
        mock_portal.start_now()
        assert urlopen(mock_portal.control_url + "/health").status == 200
"""


def test_fixture(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixture's portal can be taken down by any test."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(FIXTURE_TEST)
    asyncio_plugin = ("-p", "pytest_asyncio.plugin", "--asyncio-mode=auto")
    scope = ("-o", "asyncio_default_fixture_loop_scope=function")
    pytester.runpytest_inprocess(*PLUGIN, *asyncio_plugin, *scope).assert_outcomes(passed=4)
