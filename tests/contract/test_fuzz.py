"""Whatever comes instead of an answer: the client returns a model or raises an error of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import json
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.iot_portal.api import (
    Credentials,
    Device,
    IotPortalClient,
    IotPortalError,
    Session,
    Sms,
    Usage,
)
from tests.common import TirelessPacer

ICCID = "8931082322089353632"
FIELDS = [
    *("data", "token", "iccid", "status", "simStatus", "imei", "ctdDataUsage", "ctdSessionCount"),
    *("dateActivated", "dateShipped", "dateSessionStarted", "dateSessionEnded", "ipAddress"),
    *("isshared", "dataquantity", "datasize", "smsMsgId", "smsMsgIds", "msgType", "messageText"),
    *("errorCode", "errorMessage", "code", "message", "error"),
]
CALLS: dict[str, tuple[Callable[[IotPortalClient], Awaitable[Any]], type | tuple[type, ...]]] = {
    "get_usage": (lambda client: client.get_usage(ICCID), Usage),
    "get_device": (lambda client: client.get_device(ICCID), Device),
    "get_session": (lambda client: client.get_session(ICCID), Session),
    "get_status": (lambda client: client.get_status(ICCID), (str, type(None))),
    "get_sms": (lambda client: client.get_sms("4711"), Sms),
    "get_sms_ids": (lambda client: client.get_sms_ids(ICCID), list),
    "send_sms": (lambda client: client.send_sms(ICCID, "Hello"), (str, type(None))),
    "request_status_change": (
        lambda client: client.request_status_change(ICCID, "ACTIVATED"),
        (dict, list, str, int, float, bool, type(None)),
    ),
    "login": (lambda client: client.login(), type(None)),
}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=8)
    ),
    max_leaves=25,
)
STATUSES = st.sampled_from([200, 200, 200, 202, 204, 302, 400, 401, 403, 404, 429, 500, 503])
BODIES = st.binary(max_size=300) | VALUES.map(lambda value: json.dumps(value).encode())


class AnyPortal:
    """A server that answers whatever it is told to, and its client."""

    def __init__(self) -> None:
        """Answer nothing yet."""
        self.status = 200
        self.body = b""
        self.is_login_fuzzed = False

    async def answer(self, request: web.Request) -> web.Response:
        """Answer."""
        if request.path == "/Login" and not self.is_login_fuzzed:
            return web.json_response({"data": {"token": "abc"}})
        return web.Response(status=self.status, body=self.body)


@pytest.fixture
async def any_portal(socket_enabled: None) -> AsyncIterator[tuple[AnyPortal, IotPortalClient]]:
    """Return a portal of any answer and a client of it."""
    portal = AnyPortal()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", portal.answer)
    async with TestServer(app, host="127.0.0.1") as server, ClientSession() as session:
        yield (
            portal,
            IotPortalClient(
                session,
                str(server.make_url("/")),
                Credentials(client_id="a", secret_key="b"),
                pacer=TirelessPacer(),
                timeout=5,
                retry_wait=0,
            ),
        )


@pytest.mark.parametrize("name", CALLS)
def test_any_answer(
    name: str,
    any_portal: tuple[AnyPortal, IotPortalClient],
    event_loop_runner: Callable[[Awaitable[Any]], Any],
) -> None:
    """Any bytes and any JSON under any status end in a model or an error of the client's own."""
    portal, client = any_portal
    call, kinds = CALLS[name]
    portal.is_login_fuzzed = name == "login"

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(status=STATUSES, body=BODIES)
    def run(status: int, body: bytes) -> None:
        portal.status, portal.body = status, body
        try:
            answer = event_loop_runner(call(client))
        except IotPortalError:
            return
        assert isinstance(answer, kinds)

    run()


@pytest.fixture
def event_loop_runner() -> Callable[[Awaitable[Any]], Any]:
    """Return a way to await something from a test that is no coroutine."""
    loop = asyncio.get_event_loop()

    async def wait(call: Awaitable[Any]) -> Any:
        return await call

    return lambda call: loop.run_until_complete(wait(call))


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
