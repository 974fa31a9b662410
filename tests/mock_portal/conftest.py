"""Fixtures: a portal on a real socket, and a client that calls it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
import json
from typing import Any

from aiohttp import ClientSession
import pytest

from mock_portal import MockPortal

DOCUMENTED = "8931082322089353632"
# The SIM of the scenario demo whose usage grows.
ACTIVE = "8931082322204500018"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of the portal."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.text)

    @property
    def is_assumed(self) -> bool:
        """Return whether the portal marks the answer as assumed."""
        return self.headers.get("X-Mock-Portal") == "assumed"


@dataclass(kw_only=True)
class Caller:
    """A plain HTTP client of one portal, which knows only its log-in."""

    portal: MockPortal
    session: ClientSession
    token: str | None = None

    async def login(self) -> str:
        """Log in, and keep the token."""
        body = {"clientId": "demo-client", "secretKey": "demo-secret"}
        answer = await self.call("POST", "/Login", body)
        self.token = str(answer.json["data"]["token"])
        return self.token

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; a body other than bytes is sent as JSON."""
        url = path if path.startswith("http") else f"{self.portal.url}{path}"
        token = {"Authorization": self.token} if self.token else {}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self.session.request(
            method, url, data=data, headers=token | dict(headers or {}), allow_redirects=False
        ) as response:
            text = await response.text(errors="replace")
            return Answer(status=response.status, headers=response.headers, text=text)

    async def get(self, path: str) -> Answer:
        """Send a GET request."""
        return await self.call("GET", path)

    async def put(self, path: str, body: object = None) -> Answer:
        """Send a PUT request."""
        return await self.call("PUT", path, body)

    async def control(self, method: str, path: str, body: object = None) -> Answer:
        """Call the control interface."""
        return await self.call(method, f"{self.portal.control_url}/{path}", body)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition becomes true in the background."""
    for _ in range(300):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("It never became true")


@pytest.fixture(autouse=True)
def sockets(socket_enabled: None) -> None:
    """Allow real sockets."""


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    """Return a client session."""
    async with ClientSession() as session:
        yield session


@pytest.fixture
def scenario(request: pytest.FixtureRequest) -> str:
    """Return the scenario of the test: demo, or what `@pytest.mark.parametrize` says."""
    return getattr(request, "param", "demo")


@pytest.fixture
async def portal(scenario: str) -> AsyncIterator[MockPortal]:
    """Return a running portal with a frozen clock."""
    async with MockPortal(scenario) as portal:
        portal.clock.freeze()
        yield portal


@pytest.fixture
async def caller(portal: MockPortal, session: ClientSession) -> Caller:
    """Return a client that has logged in."""
    caller = Caller(portal=portal, session=session)
    await caller.login()
    return caller
