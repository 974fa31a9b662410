"""HTTP as aiohttp reads it, with the errors that it would answer by itself."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
import re
from typing import Any, override

from aiohttp import HttpVersion10, hdrs, web

from .errors import PortalError

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")

type Answer = Callable[[web.BaseRequest, PortalError], web.Response]


class Server(web.Server):
    """A server whose own errors are answered by the portal."""

    def __init__(self, handler: Any, answer: Answer) -> None:
        """Store the handler of requests, and the function that answers errors."""
        super().__init__(handler, access_log=None)
        self._answer = answer

    @override
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._answer, **self._kwargs)


class _Connection(web.RequestHandler):
    """A connection; what is no proper HTTP, or fails, gets an answer of the portal."""

    __slots__ = ("_answer",)

    def __init__(self, server: Server, answer: Answer, **options: Any) -> None:
        """Store the function that answers errors."""
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._answer = answer

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            # The client has gone.
            raise exc
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            # What is quoted was sent, and may be a token.
            reason = re.split(r"(?:bytearray\()?b?['\"\n]", message or "")[0].rstrip(" :")
            err = PortalError(f"The request is no valid HTTP: {reason}", status=status)
        else:
            self.log_exception("The mock portal failed to answer", exc_info=exc)
            err = PortalError("The mock portal failed; its log says why", status=status)
        return self._answer(request, err)

    @override
    def log_exception(self, *args: Any, **kw: Any) -> None:
        # aiohttp reads on after the answer, and meets the same error again.
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)


def target(raw: web.BaseRequest) -> str:
    """Return path and query; a client that uses the portal as its proxy sends a whole URL."""
    if raw.raw_path.startswith("/"):
        return raw.raw_path
    below = _ORIGIN.sub("", raw.raw_path, count=1)
    return f"/{below}" if below.startswith("?") or not below else below


async def read(raw: web.BaseRequest, limit: int) -> bytes:
    """Return the body of a request; raise an error if it is too large, or cannot be read."""
    if hdrs.EXPECT in raw.headers:
        await _meet_expectation(raw, limit)
    if not raw.body_exists:
        return b""
    body = bytearray()
    try:
        async for chunk in raw.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except web.RequestPayloadError as err:
        msg = f"The body cannot be read: {str(err).partition('\n')[0]}"
        raise PortalError(msg) from err
    return bytes(body)


async def _meet_expectation(raw: web.BaseRequest, limit: int) -> None:
    """Ask for the body of a client that waits to be asked, or raise an error."""
    if raw.headers[hdrs.EXPECT].lower() != "100-continue":
        err = PortalError("The only expectation that is met is 100-continue", status=417)
    elif (raw.content_length or 0) > limit:
        err = _too_large(limit)
    else:
        if raw.version > HttpVersion10:
            await raw.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            raw.writer.output_size = 0
        return
    # The body will not come; aiohttp would wait for it.
    raw.content.feed_eof()
    raise err


def _too_large(limit: int) -> PortalError:
    """Return the error for a body above the limit."""
    return PortalError(f"The body is larger than {limit // 1024 // 1024} MB", status=413)
