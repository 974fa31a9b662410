"""Helpers for the tests of several parts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
import ssl
from typing import override

from aiohttp import web
from aiohttp.test_utils import TestServer

from custom_components.iot_portal.api.pacing import Pacer


class UnlimitedPacer(Pacer):
    """A pacer without limits, for tests that move the portal's clock or stop the real one."""

    @override
    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Start the request at once."""
        self.record_request()
        yield


@asynccontextmanager
async def serving(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Serve a handler on this machine and yield its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(ssl=tls)
    try:
        yield str(server.make_url("/api"))
    finally:
        await server.close()
