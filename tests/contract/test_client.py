"""The same sequence of requests under every variant of every dialect."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from allpairspy import AllPairs
import pytest

from custom_components.iot_portal.api import Credentials, IotPortalClient, IotPortalError
from mock_portal import MockPortal
from mock_portal.dialects import DIALECTS
from tests.common import UnlimitedPacer

from .scenario import ABZORB, FRESH, REFUSING, SCENARIO, UNKNOWN, USED, VARIANTS, expected

CREDENTIALS = Credentials(client_id="demo-client", secret_key="demo-secret")
WRONG = Credentials(client_id="demo-client", secret_key="wrong")

USUAL: dict[str, Any] = {
    "usage": 1_500_000,
    "fresh usage": 0,
    "label": "Pump",
    "open": True,
    "address": "10.0.0.1",
    "never": (None, None, None),
    "status": "ACTIVATED",
    "abzorb status": "ACTIVATED",
    "abzorb usage": 2_000_000,
    "sms id": True,
    "sms listed": True,
    "sms status": "Delivered",
    "changed": "DEACTIVATED",
    "bulk": "INVENTORY",
    "webhook": ("POST", "1234"),
    "unknown": "IotPortalNotFoundError",
    "refused": "IotPortalNotAvailableError",
    "wrong": "IotPortalAuthenticationError",
    "new token": "ACTIVATED",
}
DIFFERENT: dict[tuple[str, str], dict[str, Any]] = {
    ("usage_body", "empty_array"): {"fresh usage": None},
    ("sms_id", "none"): {"sms id": False},
    ("sms_status", "upper"): {"sms status": "DELIVERED"},
    ("sms_status", "in_log"): {"sms status": "Delivered-InLog"},
    ("status_change", "never"): {"changed": "ACTIVATED", "bulk": "ACTIVATED"},
    ("status_change", "refused"): {"changed": "IotPortalResponseError", "bulk": "ACTIVATED"},
    ("unknown_iccid", "200_empty"): {"unknown": False},
    ("route_refused", "404"): {"refused": "IotPortalNotFoundError"},
    ("abzorb", "object"): {"abzorb status": "Active"},
    ("abzorb", "nested"): {"abzorb status": "Active"},
    ("abzorb", "no_usage"): {"abzorb usage": "IotPortalNotAvailableError"},
    ("bulk_webhook", "get"): {"webhook": ("GET", "1234")},
    ("bulk_webhook", "silent"): {"webhook": None},
    # Without a code nobody can tell a refused function from any other bad request.
    ("error_envelope", "plain"): {"refused": "IotPortalResponseError"},
    ("error_envelope", "html"): {"refused": "IotPortalResponseError"},
    ("never_session", "404"): {"never": "IotPortalNotFoundError"},
}


class Webhook:
    """A webhook receiver that remembers the last call."""

    def __init__(self) -> None:
        """Start without a call."""
        self.seen: tuple[str, str] | None = None
        self.called = asyncio.Event()
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        """Remember the method and the queue id."""
        body = await request.json() if request.can_read_body else request.query
        self.seen = (request.method, body["queueId"])
        self.called.set()
        return web.Response()


@pytest.fixture
async def webhook(socket_enabled: None) -> AsyncIterator[Webhook]:
    """Yield a running webhook receiver."""
    webhook = Webhook()
    app = web.Application()
    app.router.add_route("*", "/ping", webhook.receive)
    async with TestServer(app, host="127.0.0.1") as server:
        webhook.url = str(server.make_url("/ping"))
        yield webhook


@pytest.fixture
async def session(socket_enabled: None) -> AsyncIterator[ClientSession]:
    """Yield an aiohttp session."""
    async with ClientSession() as session:
        yield session


async def result(call: Awaitable[Any]) -> Any:
    """Return the result of a call, or the name of the client's error; other errors fail the test."""
    try:
        return await call
    except IotPortalError as err:
        return type(err).__name__


class Journey:
    """Calls every method of the client and collects the results."""

    def __init__(self, session: ClientSession, portal: MockPortal, webhook: Webhook) -> None:
        """Create a client of the portal."""
        self._session = session
        self._portal = portal
        self._webhook = webhook
        self._client = IotPortalClient(
            session, portal.url, CREDENTIALS, pacer=UnlimitedPacer(), retry_wait=0
        )

    async def run(self) -> dict[str, Any]:
        """Make all calls and return their results by name."""
        return {
            **await self._read(),
            **await self._send_sms(),
            **await self._change_status(),
            **await self._fail(),
            "new token": await self._read_with_expired_token(),
        }

    async def _call(self, call: Awaitable[Any]) -> Any:
        """Advance the portal's clock past every rate limit, then return the result of a call."""
        self._portal.clock.advance(2)
        return await result(call)

    async def _field(self, call: Awaitable[Any], name: str) -> Any:
        """Return one field of the result of a call, or the name of its error."""
        answer = await self._call(call)
        return answer if isinstance(answer, str) else getattr(answer, name)

    async def _read(self) -> dict[str, Any]:
        """Read usage, label, session and status of the SIMs."""
        client = self._client
        return {
            "usage": await self._field(client.get_usage(USED), "data_bytes"),
            "fresh usage": await self._field(client.get_usage(FRESH), "data_bytes"),
            "label": await self._field(client.get_device(USED), "label"),
            "open": await self._field(client.get_session(USED), "is_open"),
            "address": await self._field(client.get_session(USED), "ip_address"),
            "never": await self._read_missing_session(),
            "status": await self._call(client.get_status(USED)),
            "abzorb status": await self._call(client.get_status(ABZORB)),
            "abzorb usage": await self._field(client.get_usage(ABZORB), "data_bytes"),
        }

    async def _read_missing_session(self) -> Any:
        """Read the session of a SIM that never had one."""
        session = await self._call(self._client.get_session(FRESH))
        if isinstance(session, str):
            return session
        return (session.ip_address, session.started, session.ended)

    async def _send_sms(self) -> dict[str, Any]:
        """Send an SMS and read its status."""
        client = self._client
        sent = await self._call(client.send_sms(USED, "Hello"))
        listed = await self._field(client.get_sms_list(USED), "ids")
        self._portal.clock.advance(10)
        return {
            "sms id": sent is not None,
            "sms listed": listed == [sent or "4711"],
            "sms status": await self._field(client.get_sms(listed[-1]), "status"),
        }

    async def _change_status(self) -> dict[str, Any]:
        """Change a status, then another one by a bulk edit."""
        client = self._client
        answer = await self._call(client.request_status_change(USED, "DEACTIVATED"))
        refused = answer if isinstance(answer, str) and answer.startswith("IotPortal") else None
        self._portal.clock.advance(60)
        changed = await self._final_status(USED)
        queued = await self._call(
            client.bulk_edit_devices(
                [FRESH], {"status": "INVENTORY"}, queue_id="1234", webhook_url=self._webhook.url
            )
        )
        self._portal.clock.advance(60)
        is_refused = isinstance(queued, str) and queued.startswith("IotPortal")
        if not is_refused and self._portal.dialects["bulk_webhook"] != "silent":
            await self._webhook.called.wait()
        self._portal.clock.advance(60)
        return {
            "changed": refused or changed,
            "bulk": await self._final_status(FRESH),
            "webhook": self._webhook.seen,
        }

    async def _final_status(self, iccid: str) -> Any:
        """Read a status four times, which is enough for every change, and return the last."""
        return [await self._call(self._client.get_status(iccid)) for _ in range(4)][-1]

    async def _fail(self) -> dict[str, Any]:
        """Make the calls that the portal refuses."""
        wrong = IotPortalClient(self._session, self._portal.url, WRONG, pacer=UnlimitedPacer())
        unknown = await self._call(self._client.get_usage(UNKNOWN))
        return {
            "unknown": unknown if isinstance(unknown, str) else bool(unknown),
            "refused": await self._call(self._client.get_session(REFUSING)),
            "wrong": await self._call(wrong.login()),
        }

    async def _read_with_expired_token(self) -> Any:
        """Read after everything that may end the life of a token: time, another log-in, many requests."""
        self._portal.clock.advance(7200)
        other = IotPortalClient(
            self._session, self._portal.url, CREDENTIALS, pacer=UnlimitedPacer()
        )
        await self._call(other.login())
        for _ in range(101 if self._portal.dialects["token_life"] == "hundred_calls" else 1):
            await self._call(self._client.get_device(REFUSING))
        return await self._call(self._client.get_status(REFUSING))


def scenario_with(dialects: dict[str, str]) -> dict[str, Any]:
    """Return the scenario with a label and some dialects."""
    sims = SCENARIO["sims"]
    named = {**sims, USED: {**sims[USED], "device": {"deviceID": "Pump"}}}
    return SCENARIO | {"sims": named, "dialects": dialects}


@pytest.mark.parametrize(("dialect", "variant"), VARIANTS)
async def test_variant(
    session: ClientSession, webhook: Webhook, dialect: str, variant: str
) -> None:
    """Under every variant the calls have the expected results."""
    async with MockPortal(scenario_with({dialect: variant})) as portal:
        found = await Journey(session, portal, webhook).run()

    assert found == expected(USUAL, DIFFERENT, (dialect, variant))


@pytest.mark.parametrize(
    "variant",
    [variant.name for variant in DIALECTS["rate_limit"].variants if variant.name != "off"],
)
async def test_rate_limit(session: ClientSession, variant: str) -> None:
    """Every form of a rate limit error is recognised."""
    async with MockPortal(scenario_with({"rate_limit": variant})) as portal:
        client = IotPortalClient(
            session, portal.url, CREDENTIALS, pacer=UnlimitedPacer(), retry_wait=0
        )

        answers = [await result(client.get_status(USED)) for _ in range(7)]

    assert answers[0] == "ACTIVATED"
    assert answers[-1] == "IotPortalRateLimitError"


async def test_pairs(session: ClientSession, webhook: Webhook) -> None:
    """With any pair of variants, the client returns a model or raises its own errors."""
    names = list(DIALECTS)
    variants = [[variant.name for variant in dialect.variants] for dialect in DIALECTS.values()]
    async with MockPortal(scenario_with({})) as portal:
        for chosen in AllPairs(variants):
            portal.load(scenario_with(dict(zip(names, chosen, strict=True))))
            webhook.called.clear()
            found = await Journey(session, portal, webhook).run()
            assert found.keys() == USUAL.keys()
