"""One line on standard error about each request."""

from contextlib import suppress
from datetime import UTC, datetime
import sys
import time
from urllib.parse import quote

from aiohttp import web

from .connection import target
from .dialects import DIALECTS
from .encoding import decode_path
from .exchange import Request, Response
from .portal import Portal

_LONGEST = 300


class RequestLog:
    """Writes the time, method, path, status, milliseconds, fault, and dialects of each request.

    Query, headers and bodies are left out, so that no message is in it; nor are secrets in paths.
    """

    def __init__(self, portal: Portal) -> None:
        """Store the portal."""
        self._portal = portal
        # By the identity of a request: its beginning, and what shaped its response.
        self._began: dict[int, float] = {}
        self._notes: dict[int, tuple[str, ...]] = {}

    def handle(self, raw: web.BaseRequest, request: Request) -> Response:
        """Have the portal handle a request, and note what shaped the response."""
        dialects = self._portal.dialects
        with dialects.watched() as asked:
            response = self._portal.handle(request)
        switched = (
            f"{name}={dialects[name]}"
            for name in sorted(asked)
            if dialects[name] != DIALECTS[name].variants[0].name
        )
        fault = () if response.fault is None else (f"fault={response.fault}",)
        self._notes[id(raw)] = (*fault, *switched)
        return response

    def begin(self, raw: web.BaseRequest) -> None:
        """Note when a request began."""
        self._began[id(raw)] = time.perf_counter()

    def write(self, raw: web.BaseRequest, status: int | None) -> None:
        """Write the line of a request; without a status nothing was answered."""
        now = time.perf_counter()
        milliseconds = (now - self._began.pop(id(raw), now)) * 1000
        words = (
            datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            raw.method,
            self._path(raw),
            "no answer" if status is None else str(status),
            f"{milliseconds:.0f} ms",
            *self._notes.pop(id(raw), ()),
        )
        # A log that nobody reads any more must not stop the portal.
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{' '.join(words)}\n")
            sys.stderr.flush()

    def _path(self, raw: web.BaseRequest) -> str:
        """Return the path of a request without secrets, in percent-encoding."""
        path = decode_path(target(raw).partition("?")[0])
        for secret in self._secrets():
            path = path.replace(secret, "***")
        return quote(path, safe="/*:", errors="surrogatepass")[:_LONGEST]

    def _secrets(self) -> list[str]:
        """Return what must not be in a log; the longest come first, as one may contain another."""
        state = self._portal.state
        accounts = state.accounts.values()
        secrets = {*state.tokens, *(each.secret_key for each in accounts)}
        secrets |= {each.api_token for each in accounts}
        return sorted(filter(None, secrets), key=len, reverse=True)
