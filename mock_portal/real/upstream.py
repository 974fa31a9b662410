"""Requests to a real portal: each sent once, without cookies, and without following redirects."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    hdrs,
)
from yarl import URL

from mock_portal.errors import SetupError

type Headers = Iterable[tuple[str, str]]

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# Headers that aiohttp would add by itself.
_UNASKED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)


class NoReplyError(Exception):
    """A request without a complete answer; the text gives the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The unchanged answer of a real portal."""

    status: int
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return a header; names are case-insensitive."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Upstream:
    """A real portal at a base URL, used with `async with`."""

    def __init__(self, base_url: str, *, seconds: float = 60) -> None:
        """Store the base URL, and the seconds an answer may take."""
        self.base_url = _check(base_url)
        self.base_path = self.base_url.raw_path.rstrip("/")
        self.host = self.base_url.host or ""
        self._timeout = ClientTimeout(total=seconds)

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._session = ClientSession(
            cookie_jar=DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            skip_auto_headers=_UNASKED,
            middlewares=(_send_once,),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        await self._session.close()

    def below(self, path: str) -> str:
        """Return a path relative to the base URL, or unchanged if it is not below it."""
        start = f"{self.base_path}/"
        return path[len(start) - 1 :] if path.startswith(start) else path

    async def send(
        self, method: str, target: str, headers: Headers = (), body: bytes | None = None
    ) -> Reply:
        """Send a request; the target is the encoded path and query."""
        url = URL(f"{self.base_url.origin()}{target}", encoded=True)
        try:
            async with self._session.request(
                method, url, headers=list(headers), data=body, allow_redirects=False
            ) as response:
                return Reply(
                    status=response.status,
                    reason=response.reason or "",
                    headers=list(response.headers.items()),
                    body=await response.read(),
                )
        except TimeoutError as err:
            msg = "no answer in time"
            raise NoReplyError(msg) from err
        except ClientError as err:
            raise NoReplyError(str(err) or type(err).__name__) from err


async def _send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Prevent aiohttp from repeating a PUT on a broken connection, which could send a second SMS."""
    try:
        return await handler(request)
    except (TimeoutError, ClientConnectorError):
        raise
    except ClientConnectionError as err:
        msg = f"the connection broke: {type(err).__name__}"
        raise NoReplyError(msg) from err


def _check(base_url: str) -> URL:
    """Return a valid base URL; raise an error if it would expose the token."""
    try:
        parts, url = urlsplit(base_url), URL(base_url.rstrip("/"))
    except ValueError as err:
        msg = f"{base_url!r} is no base URL: {err}"
        raise SetupError(msg) from err
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"{base_url!r} is no base URL; write https://api.iotportal.io/api"
    elif parts.username or parts.password or parts.query or parts.fragment:
        msg = "A base URL has no user, no password, no query and no fragment"
    elif parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        msg = f"{base_url!r} would send the credentials in clear; only this machine may have http"
    else:
        return url
    raise SetupError(msg)
