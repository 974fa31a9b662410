"""Helpers for the tests of several parts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
import ssl
from typing import override

from aiohttp import web
from aiohttp.test_utils import TestServer

from custom_components.iot_portal.api.pacing import Pacer

# They cannot be asked.
UNUSABLE_ADDRESSES = [
    *(
        "",
        "portal",
        "portal.test/api",
        "//portal.test",
        "https:",
        "https:portal.test",
        "https:///api",
    ),
    *(
        "ftp://portal.test",
        "file:///api",
        "javascript:alert(1)",
        "unix:///run/portal",
        "ws://portal.test",
    ),
    *("https://127.1:1", "https://127.1", "https://1.2.3.4.5", "https://256.1.1.1", "https://0"),
    *(
        "https://2130706433:1",
        "https://0x7f.1",
        "https://01.02.03.04",
        "https://1.2.3",
        "https://a.7",
    ),
    *("https://portal.test:0", "https://portal.test:65536", "https://portal.test:99999999999"),
    *(
        "https://portal.test:-1",
        "https://portal.test:abc",
        "https://portal.test:1:2",
        "https://:8080",
    ),
    *("https://[::1", "https://::1", "https://[]", "https://[::g]", "https://[1.2.3.4]extra"),
    *(
        "https://a..b/api",
        "https://.test",
        "https://.",
        "https://..",
        "https://a.b..",
        "https://..local",
    ),
    *(f"https://{'a' * 64}.test", f"https://{'b' * 64}.local", f"https://{'c' * 300}/api"),
    *(f"https://{'d.' * 127}test", f"https://{'é' * 60}.test", f"https://{'abcdefgh.' * 28}test"),
    *("https://a b.test", "https://a%20b.test", "https://a%2eb.test", "https://127.0.0.1%2f"),
    *("https://*.test", "https://a,b.test", "https://{a}.test", "https://a|b.test", "https://$a"),
    *(
        "https://a\\b.test",
        "https://a\x00b.test",
        "https://\ud800.test",
        "https://\N{IDEOGRAPHIC FULL STOP}",
    ),
    *("https://\N{ARABIC-INDIC DIGIT ONE}27.1", "\N{FULLWIDTH LATIN SMALL LETTER H}ttps://a"),
]
# Their password, or what may be one, must not be stored or logged.
ADDRESSES_WITH_SECRETS = [
    *(
        "https://:pa55@portal.test/api",
        "https://me:pa55@portal.test",
        "https://pa55@portal.test/api",
    ),
    *(
        "https://me:@portal.test/pa55",
        "https://portal.test/api?key=pa55",
        "https://portal.test/api#pa55",
    ),
    *(
        "https://me:pa55@127.0.0.1:1/api",
        "http://me:pa55@example.com",
        "https://me:pa55@me@portal.test",
    ),
]


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
