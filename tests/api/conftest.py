"""Fixtures: the client, and a mock portal on a real socket behind it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
import socket

from aiohttp import ClientSession, TCPConnector
import pytest

from custom_components.iot_portal.api import Credentials, IotPortalClient
from mock_portal import MockPortal
from tests.common import UnlimitedPacer

ICCID = "8931082322089353632"
CREDENTIALS = Credentials(client_id="demo-client", secret_key="demo-secret")

type MakeClient = Callable[..., IotPortalClient]


@pytest.fixture
async def portal(socket_enabled: None) -> AsyncIterator[MockPortal]:
    """Return a running mock portal with the documented SIM."""
    async with MockPortal("documented") as portal:
        yield portal


@pytest.fixture
async def session(socket_enabled: None) -> AsyncIterator[ClientSession]:
    """Return an aiohttp session."""
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def write_session(socket_enabled: None) -> AsyncIterator[ClientSession]:
    """Return an aiohttp session that keeps no connection."""
    async with ClientSession(connector=TCPConnector(force_close=True)) as session:
        yield session


@pytest.fixture
def make_client(
    portal: MockPortal, session: ClientSession, write_session: ClientSession
) -> MakeClient:
    """Return a factory of clients with short timeouts."""

    def make(
        credentials: Credentials = CREDENTIALS,
        *,
        base_url: str = portal.url,
        timeout: float = 30,
        poll_timeout: float = 30,
    ) -> IotPortalClient:
        return IotPortalClient(
            session,
            base_url,
            credentials,
            write_session=write_session,
            pacer=UnlimitedPacer(),
            timeout=timeout,
            poll_timeout=poll_timeout,
            retry_wait=0.01,
        )

    return make


@pytest.fixture
def deaf_url(socket_enabled: None) -> Iterator[str]:
    """Return the address of a server that never accepts a connection."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            # These fill the queue, and the next one hangs.
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api"


@pytest.fixture
def client(make_client: MakeClient) -> IotPortalClient:
    """Return a client of the demo account."""
    return make_client()
