"""Pages in a browser may use the portal, if it is asked to let them."""

from collections.abc import AsyncIterator

from aiohttp import ClientSession
import pytest

from mock_portal import MockPortal

from .conftest import ACTIVE, Answer, Caller
from .helpers import send_raw

ORIGIN = {"Origin": "https://app.example"}
STATUS = f"/getStatus/{ACTIVE}"


@pytest.fixture
async def caller(session: ClientSession) -> AsyncIterator[Caller]:
    """Return a client of a portal that lets pages use it."""
    async with MockPortal("demo", cors=True) as portal:
        caller = Caller(portal=portal, session=session)
        await caller.login()
        portal.journal.clear()
        yield caller


async def _preflight(caller: Caller, path: str, method: str = "PUT") -> Answer:
    """Ask as a browser does before it sends a request of a page."""
    headers = {
        **ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,x-own",
        "Access-Control-Request-Private-Network": "true",
    }
    caller.token = None
    return await caller.call("OPTIONS", path, headers=headers)


@pytest.mark.parametrize("path", [STATUS, "/nonsense", "http://{host}/_mock/dialects"])
async def test_preflight(caller: Caller, path: str) -> None:
    """A browser learns that a page may send everything; the API and its journal know nothing of it."""
    caller.portal.faults.add("hang")
    answer = await _preflight(caller, path.format(host=caller.portal.url.split("/")[2]))
    assert (answer.status, answer.text) == (204, "")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"]
    assert allowed == "authorization,content-type,x-own"
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
    assert "X-Mock-Portal" in answer.headers
    assert caller.portal.journal.total == 0
    assert next(iter(caller.portal.faults)).seen == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", STATUS, None, 200),
        ("POST", STATUS, None, 405),
        ("OPTIONS", STATUS, None, 405),
        ("GET", "/nonsense", None, 404),
        ("PUT", "/RuleUpdate", b" " * (1024 * 1024 + 1), 413),
        ("GET", "http://{host}/_mock/health", None, 200),
        ("GET", "http://{host}/_mock/nonsense", None, 404),
        ("POST", "http://{host}/_mock/faults", b"{", 400),
    ],
)
async def test_answers(
    caller: Caller, method: str, path: str, body: bytes | None, status: int
) -> None:
    """A page may read every answer, errors too, with its headers."""
    path = path.format(host=caller.portal.url.split("/")[2])
    answer = await caller.call(method, path, body, headers=ORIGIN)
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Expose-Headers"] == "*"


@pytest.mark.parametrize("fault", ["status", "rate_limited", "slow_drip", "maintenance_page"])
async def test_faults(caller: Caller, fault: str) -> None:
    """A page sees a fault as one, not as a breach of its sandbox."""
    caller.portal.faults.add(fault, **({"seconds": 0} if fault == "slow_drip" else {}))
    answer = await caller.call("GET", STATUS, headers=ORIGIN)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_fault_may_take_it_away(caller: Caller) -> None:
    """A header of a fault is sent as it was set."""
    headers = {"Access-Control-Allow-Origin": "https://other.example"}
    caller.portal.faults.add("status", headers=headers)
    answer = await caller.call("GET", STATUS, headers=ORIGIN)
    assert answer.headers.getall("Access-Control-Allow-Origin") == ["https://other.example"]  # type: ignore[attr-defined]


async def test_no_http(caller: Caller) -> None:
    """What is no HTTP is answered with the header, too."""
    assert b"Access-Control-Allow-Origin: *" in await send_raw(caller.portal, b"nonsense\r\n\r\n")


async def test_only_on_request(session: ClientSession) -> None:
    """Without being asked the portal lets no page in."""
    async with MockPortal("demo") as portal:
        caller = Caller(portal=portal, session=session)
        answer = await _preflight(caller, STATUS)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
