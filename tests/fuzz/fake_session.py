"""A client session that answers as it is told, without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import json
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import ClientSession
from yarl import URL

from custom_components.iot_portal.api import Credentials, IotPortalClient
from tests.common import UnlimitedPacer

from .strategies import Reply, good_reply


class FakeSession:
    """A stand-in for an aiohttp session that answers by route."""

    json_serialize = staticmethod(json.dumps)

    def __init__(self) -> None:
        """Start with correct replies for all routes."""
        self.replies: dict[str, Reply] = {}
        self.requests: list[str] = []

    @asynccontextmanager
    async def request(self, method: str, url: URL, **_: Any) -> AsyncIterator[Any]:
        """Return the reply to a request."""
        self.requests.append(f"{method} {url}")
        route = next((part for part in url.parts if part in ROUTES), "")
        reply = self.replies.get(route) or good_reply(route)

        async def body() -> AsyncIterator[bytes]:
            for start in range(0, len(reply.body), 100):
                yield reply.body[start : start + 100]

        yield SimpleNamespace(
            status=reply.status, headers=reply.headers, content=SimpleNamespace(iter_any=body)
        )

    @property
    def client_session(self) -> ClientSession:
        """Return itself, typed as an aiohttp session."""
        return cast(ClientSession, self)

    def client(self) -> IotPortalClient:
        """Return a client that uses this session."""
        return IotPortalClient(
            self.client_session,
            "https://portal.example/api",
            Credentials(client_id="a", secret_key="b"),
            pacer=UnlimitedPacer(),
            retry_wait=0,
        )


ROUTES = {
    *("Login", "ctdUsage", "GetDevice", "sessionInfo", "getStatus", "GetSMS", "GetSMSIds"),
    *("SendSMS", "RequestStatusChange", "EditDevice", "BulkEditDevice", "RuleUpdate"),
}
