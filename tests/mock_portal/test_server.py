"""The portal as a library: in a loop, in a thread, and without a socket."""

from http.client import HTTPConnection
import json

from aiohttp import ClientSession
import pytest

from mock_portal import MockPortal, Portal, Request, Wire

from .conftest import DOCUMENTED, Caller

LOGIN = {"clientId": "demo-client", "secretKey": "demo-secret"}


def test_in_a_thread() -> None:
    """A portal in a thread answers code without an event loop."""
    with MockPortal.in_thread("demo") as portal:
        connection = HTTPConnection("127.0.0.1", int(portal.url.split(":")[2].split("/")[0]))
        connection.request("POST", "/api/Login", json.dumps(LOGIN))
        assert json.load(connection.getresponse())["data"]["token"] in portal.state.tokens
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        connection.request("POST", "/api/Login", json.dumps(LOGIN))


def test_a_port_that_is_taken() -> None:
    """A portal in a thread that cannot listen raises the error."""
    with (
        MockPortal.in_thread() as portal,
        pytest.raises(OSError, match="in use"),
        MockPortal.in_thread(port=int(portal.url.split(":")[2].removesuffix("/api"))),
    ):
        pytest.fail("It listens")


def test_without_a_socket() -> None:
    """The portal answers requests without a socket, and returns how a fault would be sent."""
    portal = Portal("documented")
    body = json.dumps(LOGIN).encode()
    login = portal.handle(Request(method="POST", path="/api/Login", body=body))
    token = json.loads(login.body)["data"]["token"]
    read = Request(
        method="GET", path=f"/api/getStatus/{DOCUMENTED}", headers={"authorization": token}
    )
    assert portal.handle(read).body == b"INVENTORY"
    portal.faults.add("reset_after_read")
    assert portal.handle(read).wire is Wire.RESET


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")]
)
async def test_addresses(host: str, shown: str) -> None:
    """The URL can be called, whatever address the portal listens on."""
    portal = MockPortal(host=host, port=8089)
    assert portal.url == f"http://{shown}:8089/api"
    assert portal.control_url == f"http://{shown}:8089/_mock"
    assert portal.page_url == f"http://{shown}:8089/"


async def test_one_connection_serves_many_requests(caller: Caller) -> None:
    """Connections stay open unless the client asks to close them."""
    answer = await caller.get(f"/getStatus/{DOCUMENTED}")
    assert answer.headers["Connection"] == "keep-alive"
    answer = await caller.call("GET", f"/getStatus/{DOCUMENTED}", headers={"Connection": "close"})
    assert answer.headers["Connection"] == "close"


async def test_portals_side_by_side(session: ClientSession) -> None:
    """Two portals are independent."""
    async with MockPortal() as first, MockPortal() as second:
        await Caller(portal=first, session=session).login()
        assert (first.journal.logins, second.journal.logins) == (1, 0)
        first.clock.advance(3600)
        assert first.clock.now() > second.clock.now()
