"""The portal on a respx router: the same answers and failures as on a socket."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
import respx

from mock_portal import MockPortal, Portal
from mock_portal.errors import SetupError
from mock_portal.faults import KINDS
from mock_portal.respx import mount

from .conftest import ACTIVE, DOCUMENTED
from .helpers import EXAMPLES

pytest_plugins = ("pytester",)

URL = "https://api.iotportal.io/api"
UAT = "https://uat.api.iotportal.io/apiv2"
CREDENTIALS = {"clientId": "demo-client", "secretKey": "demo-secret"}
PATIENCE = 0.2
NO_TIMEOUT = httpx.Timeout(None)
DETAILS: Mapping[str, dict[str, float]] = {
    "delay": {"seconds": 0.4},
    "slow_drip": {"seconds": 0.4},
    "oversized_body": {"size": 1000},
}

type Call = Callable[..., Awaitable[httpx.Response]]


async def _call_sync(method: str, url: str, **options: Any) -> httpx.Response:
    """Send a request with httpx's synchronous client."""
    return httpx.request(method, url, timeout=PATIENCE, **options)  # noqa: ASYNC210


async def _call_async(method: str, url: str, **options: Any) -> httpx.Response:
    """Send a request with httpx's asynchronous client."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        return await client.request(method, url, **options)


@pytest.fixture(params=[_call_sync, _call_async])
def call(request: pytest.FixtureRequest) -> Call:
    """Return one of the two ways to send a request."""
    way: Call = request.param
    return way


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    """Return a router that intercepts httpx."""
    with respx.mock(assert_all_called=False) as router:
        yield router


def _token(portal: Portal) -> dict[str, str]:
    """Return the header of a logged-in client."""
    return {"Authorization": portal.state.login(*CREDENTIALS.values()).value}


async def _outcome(call: Call, portal: Portal, url: str) -> object:
    """Return what a client sees: the answer without its date, or the error."""
    try:
        answer = await call("GET", f"{url}/ctdUsage/{DOCUMENTED}", headers=_token(portal))
    except httpx.TransportError as err:
        return type(err)
    headers = [item for item in answer.headers.multi_items() if item[0] != "date"]
    return answer.status_code, headers, answer.content


@pytest.mark.parametrize("route", sorted(EXAMPLES))
async def test_published_example(call: Call, router: respx.MockRouter, route: str) -> None:
    """The documented answers come back byte for byte, headers included."""
    portal = mount(router)
    answer = await call("GET", f"{URL}/{route}/{DOCUMENTED}", headers=_token(portal))
    published = {header["key"]: header["value"] for header in EXAMPLES[route]["header"]}
    assert answer.text == EXAMPLES[route]["body"]
    assert dict(answer.headers) | {"date": ""} == {
        name.lower(): value for name, value in published.items()
    } | {"date": ""}


async def test_state_dialects_and_journal(call: Call, router: respx.MockRouter) -> None:
    """All features of a portal work on a router as well."""
    portal = mount(router, scenario={"extends": "demo", "dialects": {"status_body": "object"}})
    login = await call("POST", f"{URL}/Login", json=CREDENTIALS)
    token = {"Authorization": login.json()["data"]["token"]}
    written = await call(
        "PUT", f"{URL}/RequestStatusChange/{ACTIVE}", headers=token, json={"status": "DEACTIVATED"}
    )
    answer = await call("GET", f"{URL}/getStatus/{ACTIVE}", headers=token)
    assert written.json() == {"iccid": ACTIVE}
    assert answer.json() == {"iccid": ACTIVE, "status": "DEACTIVATED"}
    assert portal.journal.logins == 1
    portal.journal.assert_called_once("PUT", "/RequestStatusChange/*")


@pytest.mark.parametrize(
    "url", [UAT, f"{URL}/", "http://portal.test:8089", "http://portal.test/a/b"]
)
async def test_base_urls(call: Call, router: respx.MockRouter, url: str) -> None:
    """Any base URL will do."""
    portal = mount(router, url)
    path = f"{url.rstrip('/')}/getStatus/{DOCUMENTED}"
    assert (await call("GET", path, headers=_token(portal))).text == "INVENTORY"
    portal.journal.assert_called_once("GET", f"/getStatus/{DOCUMENTED}")


@pytest.mark.parametrize(
    "url", ["", "api.iotportal.io/api", "ftp://portal.test", "https:///api", f"{URL}?a=b"]
)
def test_no_base_url(router: respx.MockRouter, url: str) -> None:
    """What is no base URL is refused with an example."""
    with pytest.raises(SetupError, match=f"is no base URL; write one like {URL}"):
        mount(router, url)


async def test_two_portals(call: Call, router: respx.MockRouter) -> None:
    """Portals on two hosts are independent."""
    mount(router)
    uat = mount(router, UAT)
    url = f"getStatus/{DOCUMENTED}"
    assert (await call("GET", f"{URL}/{url}", headers=_token(uat))).status_code == 401
    assert (await call("GET", f"{UAT}/{url}", headers=_token(uat))).status_code == 200


async def test_wrong_requests(call: Call, router: respx.MockRouter) -> None:
    """A wrong path is explained, a query is refused, and other hosts are not intercepted."""
    portal = mount(router)
    answer = await call("GET", f"https://api.iotportal.io/getStatus/{DOCUMENTED}")
    assert answer.status_code == 404
    assert "does not start with /api" in answer.json()["errorMessage"]
    answer = await call("GET", f"{URL}/getStatus/{DOCUMENTED}?page=2", headers=_token(portal))
    assert "'page'" in answer.json()["errorMessage"]
    with pytest.raises(AssertionError, match="not mocked"):
        await call("GET", f"https://api.iotportal.io.example/api/getStatus/{DOCUMENTED}")


@pytest.mark.parametrize("kind", KINDS)
async def test_faults_as_on_a_socket(call: Call, kind: str) -> None:
    """A client sees every fault as it does on a real socket."""
    scenario = {"extends": "documented", "faults": [{"kind": kind, **DETAILS.get(kind, {})}]}
    with MockPortal.in_thread(scenario) as real:
        on_a_socket = await _outcome(call, real, real.url)
    with respx.mock as router:
        portal = mount(router, scenario=scenario)
        assert await _outcome(call, portal, URL) == on_a_socket
    assert portal.journal.exchanges[0].status == real.journal.exchanges[0].status


@pytest.mark.parametrize("kind", ["delay", "slow_drip"])
async def test_no_time_passes(call: Call, router: respx.MockRouter, kind: str) -> None:
    """A delay below the client's timeout is skipped."""
    portal = mount(router)
    portal.faults.add(kind, seconds=PATIENCE)
    answer = await call("GET", f"{URL}/ctdUsage/{DOCUMENTED}", headers=_token(portal))
    assert answer.text == EXAMPLES["ctdUsage"]["body"]


def test_no_timeout(router: respx.MockRouter) -> None:
    """A client without a timeout gets a late answer, but cannot hang."""
    portal = mount(router)
    portal.faults.add("delay", seconds=3600, times=1)
    portal.faults.add("hang")
    url = f"{URL}/ctdUsage/{DOCUMENTED}"
    assert httpx.get(url, headers=_token(portal), timeout=NO_TIMEOUT).status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(url, headers=_token(portal), timeout=NO_TIMEOUT)


def test_webhooks(router: respx.MockRouter) -> None:
    """The webhooks of bulk edits are returned when they are due."""
    portal = mount(router, scenario="demo")
    body = {
        "update": {"status": "DEACTIVATED"},
        "queueId": "1234",
        "webhookUrl": "http://client.test/ping",
        "iccids": [ACTIVE],
    }
    assert httpx.put(f"{URL}/BulkEditDevice", headers=_token(portal), json=body).is_success
    assert portal.take_webhooks() == []
    portal.clock.advance(60)
    assert [hook.url for hook in portal.take_webhooks()] == ["http://client.test/ping"]


def test_from_outside(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A separate project can test its client with only respx and this package."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        client="""
            import httpx

            def send_sms(client_id, secret_key, iccid, text):
                with httpx.Client(base_url="https://api.iotportal.io/api") as client:
                    login = client.post("/Login", json={"clientId": client_id, "secretKey": secret_key})
                    client.headers["Authorization"] = login.json()["data"]["token"]
                    return client.put(f"/SendSMS/{iccid}/1", json={"messageText": text}).json()["smsMsgId"]
        """,
        test_client="""
            import httpx
            import pytest

            from client import send_sms
            from mock_portal.respx import mount

            CALL = ("demo-client", "demo-secret", "8931082322204500018", "Hello")

            def test_sent(respx_mock):
                portal = mount(respx_mock, scenario="demo")
                assert portal.state.sms[send_sms(*CALL)].text == "Hello"

            def test_never_sent_twice(respx_mock):
                portal = mount(respx_mock, scenario="demo")
                portal.faults.add("reset_after_read", route="SendSMS")
                with pytest.raises(httpx.ReadError):
                    send_sms(*CALL)
                portal.journal.assert_called_once("PUT", "/SendSMS/*")
                assert len(portal.state.sms) == 1
        """,
    )
    result = pytester.runpytest_inprocess("-p", "respx.plugin")
    result.assert_outcomes(passed=2)
