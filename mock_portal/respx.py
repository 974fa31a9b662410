"""The portal for users of httpx: mounted on a respx router, without a socket."""

from collections.abc import AsyncIterator, Iterator
from typing import override

import httpx
import respx

from .encoding import decode_path, parse_query
from .errors import SetupError
from .exchange import Request, Response, Wire
from .portal import Portal
from .routes import PREFIXES
from .scenario import Source

_PRODUCTION = "https://api.iotportal.io/api"
_PORTS = {"http": 80, "https": 443}


def mount(
    router: respx.Router, base_url: str = _PRODUCTION, scenario: Source = "documented"
) -> Portal:
    """Mount a portal on a router for all requests to the host of a base URL, and return it.

    Nothing waits: an answer later than the client's read timeout raises `httpx.ReadTimeout` at
    once, and any other delay is skipped. Webhooks are not called; `portal.take_webhooks()` returns
    those that are due.
    """
    portal = Portal(scenario)
    base = httpx.URL(base_url)
    if base.scheme not in _PORTS or not base.host or base.query or base.fragment:
        msg = f"{base_url!r} is no base URL; write one like {_PRODUCTION}"
        raise SetupError(msg)

    def answer(request: httpx.Request) -> httpx.Response:
        """Answer a request of a client."""
        return _send(request, portal.handle(_read(request, base)))

    route = router.route(scheme=base.scheme, host=base.host, port=base.port or _PORTS[base.scheme])
    route.mock(side_effect=answer)
    return portal


class _BrokenBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that breaks off with an error."""

    def __init__(self, start: bytes, error: httpx.TransportError) -> None:
        """Store the bytes before the error, and the error."""
        self._start = start
        self._error = error

    @override
    def __iter__(self) -> Iterator[bytes]:
        yield self._start
        raise self._error

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def _read(request: httpx.Request, base: httpx.URL) -> Request:
    """Convert a request; paths below any base URL become paths of the portal."""
    path, _, query = request.url.raw_path.decode().partition("?")
    path = decode_path(path)
    prefix = base.path.rstrip("/")
    if path.startswith(f"{prefix}/"):
        path = PREFIXES[0] + path.removeprefix(prefix)
    return Request(
        method=request.method,
        path=path,
        query=parse_query(query),
        headers=request.headers,
        body=request.content,
    )


def _send(request: httpx.Request, response: Response) -> httpx.Response:
    """Convert a response, or raise what httpx raises where a socket would fail."""
    patience = request.extensions.get("timeout", {}).get("read")
    is_late = patience is not None and response.seconds > patience
    timeout = httpx.ReadTimeout("The read operation timed out", request=request)
    stream: httpx.ByteStream | _BrokenBody = httpx.ByteStream(response.body)
    match response.wire:
        case Wire.RESET:
            msg = "Connection reset by peer"
            raise httpx.ReadError(msg, request=request)
        case Wire.HANG:
            raise timeout
        case Wire.SEND if is_late:
            raise timeout
        case Wire.DRIP if is_late and response.body:
            stream = _BrokenBody(response.body[:1], timeout)
        case Wire.TRUNCATE:
            msg = "peer closed connection without sending complete message body"
            error = httpx.RemoteProtocolError(msg, request=request)
            stream = _BrokenBody(response.body[: len(response.body) // 2], error)
    return httpx.Response(response.status, headers=response.headers, stream=stream)
