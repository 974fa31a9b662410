"""One journey through the client, under every variant of every dialect."""

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

from .world import ABZORB, FRESH, REFUSING, SCENARIO, UNKNOWN, USED, VARIANTS, expected

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
    """A receiver of webhooks that remembers the last one."""

    def __init__(self) -> None:
        """Start without any."""
        self.seen: tuple[str, str] | None = None
        self.called = asyncio.Event()
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        """Note the method and the queue id."""
        body = await request.json() if request.can_read_body else request.query
        self.seen = (request.method, body["queueId"])
        self.called.set()
        return web.Response()


@pytest.fixture
async def webhook(socket_enabled: None) -> AsyncIterator[Webhook]:
    """Return a receiver of webhooks that listens."""
    webhook = Webhook()
    app = web.Application()
    app.router.add_route("*", "/ping", webhook.receive)
    async with TestServer(app, host="127.0.0.1") as server:
        webhook.url = str(server.make_url("/ping"))
        yield webhook


@pytest.fixture
async def session(socket_enabled: None) -> AsyncIterator[ClientSession]:
    """Return an aiohttp session."""
    async with ClientSession() as session:
        yield session


async def result(call: Awaitable[Any]) -> Any:
    """Return what a call returns, or the name of the client's own error; nothing else may come."""
    try:
        return await call
    except IotPortalError as err:
        return type(err).__name__


class Journey:
    """What a user of the client does, and what comes of it."""

    def __init__(self, session: ClientSession, portal: MockPortal, webhook: Webhook) -> None:
        """Take a client along."""
        self._session = session
        self._portal = portal
        self._webhook = webhook
        self._client = IotPortalClient(
            session, portal.url, CREDENTIALS, pacer=UnlimitedPacer(), timeout=5, retry_wait=0
        )

    async def run(self) -> dict[str, Any]:
        """Go all the way."""
        return {
            **await self._read(),
            **await self._send_sms(),
            **await self._change_status(),
            **await self._fail(),
            "new token": await self._wear_the_token_out(),
        }

    async def _after_a_while(self, call: Awaitable[Any]) -> Any:
        """Wait so long that no limit is hit, then call."""
        self._portal.clock.advance(2)
        return await result(call)

    async def _field(self, call: Awaitable[Any], name: str) -> Any:
        """Return one field of an answer."""
        answer = await self._after_a_while(call)
        return answer if isinstance(answer, str) else getattr(answer, name)

    async def _read(self) -> dict[str, Any]:
        """Read everything."""
        client = self._client
        return {
            "usage": await self._field(client.get_usage(USED), "data_bytes"),
            "fresh usage": await self._field(client.get_usage(FRESH), "data_bytes"),
            "label": await self._field(client.get_device(USED), "label"),
            "open": await self._field(client.get_session(USED), "is_open"),
            "address": await self._field(client.get_session(USED), "ip_address"),
            "never": await self._never(),
            "status": await self._after_a_while(client.get_status(USED)),
            "abzorb status": await self._after_a_while(client.get_status(ABZORB)),
            "abzorb usage": await self._field(client.get_usage(ABZORB), "data_bytes"),
        }

    async def _never(self) -> Any:
        """Read the session of a SIM that never had one."""
        session = await self._after_a_while(self._client.get_session(FRESH))
        if isinstance(session, str):
            return session
        return (session.ip_address, session.started, session.ended)

    async def _send_sms(self) -> dict[str, Any]:
        """Send an SMS and follow it."""
        client = self._client
        sent = await self._after_a_while(client.send_sms(USED, "Hello"))
        listed = await self._after_a_while(client.get_sms_ids(USED))
        self._portal.clock.advance(10)
        return {
            "sms id": sent is not None,
            "sms listed": listed == [sent or "4711"],
            "sms status": await self._field(client.get_sms(listed[-1]), "status"),
        }

    async def _change_status(self) -> dict[str, Any]:
        """Change a status, then another one by a bulk edit."""
        client = self._client
        answer = await self._after_a_while(client.request_status_change(USED, "DEACTIVATED"))
        refused = answer if isinstance(answer, str) and answer.startswith("IotPortal") else None
        self._portal.clock.advance(60)
        changed = await self._status_in_the_end(USED)
        queued = await self._after_a_while(
            client.bulk_edit_devices(
                [FRESH], {"status": "INVENTORY"}, queue_id="1234", webhook_url=self._webhook.url
            )
        )
        self._portal.clock.advance(60)
        is_refused = isinstance(queued, str) and queued.startswith("IotPortal")
        if not is_refused and self._portal.dialects["bulk_webhook"] != "silent":
            await asyncio.wait_for(self._webhook.called.wait(), 5)
        self._portal.clock.advance(60)
        return {
            "changed": refused or changed,
            "bulk": await self._status_in_the_end(FRESH),
            "webhook": self._webhook.seen,
        }

    async def _status_in_the_end(self, iccid: str) -> Any:
        """Read a status as often as it may take to change."""
        return [await self._after_a_while(self._client.get_status(iccid)) for _ in range(4)][-1]

    async def _fail(self) -> dict[str, Any]:
        """Do what the portal refuses."""
        wrong = IotPortalClient(
            self._session, self._portal.url, WRONG, pacer=UnlimitedPacer(), timeout=5
        )
        unknown = await self._after_a_while(self._client.get_usage(UNKNOWN))
        return {
            "unknown": unknown if isinstance(unknown, str) else bool(unknown),
            "refused": await self._after_a_while(self._client.get_session(REFUSING)),
            "wrong": await self._after_a_while(wrong.login()),
        }

    async def _wear_the_token_out(self) -> Any:
        """Ask often, for long, and after somebody else has logged in."""
        self._portal.clock.advance(7200)
        other = IotPortalClient(
            self._session, self._portal.url, CREDENTIALS, pacer=UnlimitedPacer(), timeout=5
        )
        await self._after_a_while(other.login())
        for _ in range(101 if self._portal.dialects["token_life"] == "hundred_calls" else 1):
            await self._after_a_while(self._client.get_device(REFUSING))
        return await self._after_a_while(self._client.get_status(REFUSING))


def scenario(dialects: dict[str, str]) -> dict[str, Any]:
    """Return the scenario of the journey, spoken in some dialects."""
    sims = SCENARIO["sims"]
    named = {**sims, USED: {**sims[USED], "device": {"deviceID": "Pump"}}}
    return SCENARIO | {"sims": named, "dialects": dialects}


@pytest.mark.parametrize(("dialect", "variant"), VARIANTS)
async def test_variant(
    session: ClientSession, webhook: Webhook, dialect: str, variant: str
) -> None:
    """Under every variant the journey finds what the variant says, and nothing breaks."""
    async with MockPortal(scenario({dialect: variant})) as portal:
        found = await Journey(session, portal, webhook).run()

    assert found == expected(USUAL, DIFFERENT, (dialect, variant))


@pytest.mark.parametrize(
    "variant",
    [variant.name for variant in DIALECTS["rate_limit"].variants if variant.name != "off"],
)
async def test_too_fast(session: ClientSession, variant: str) -> None:
    """However the portal says that it is asked too often, it is understood."""
    async with MockPortal(scenario({"rate_limit": variant})) as portal:
        client = IotPortalClient(
            session, portal.url, CREDENTIALS, pacer=UnlimitedPacer(), timeout=5, retry_wait=0
        )

        answers = [await result(client.get_status(USED)) for _ in range(7)]

    assert answers[0] == "ACTIVATED"
    assert answers[-1] == "IotPortalRateLimitError"


async def test_pairs(session: ClientSession, webhook: Webhook) -> None:
    """Whatever two dialects meet: the client returns a model or raises an error of its own."""
    names = list(DIALECTS)
    variants = [[variant.name for variant in dialect.variants] for dialect in DIALECTS.values()]
    async with MockPortal(scenario({})) as portal:
        for chosen in AllPairs(variants):
            portal.load(scenario(dict(zip(names, chosen, strict=True))))
            webhook.called.clear()
            found = await Journey(session, portal, webhook).run()
            assert found.keys() == USUAL.keys()
