"""The command `mock-portal record`, a proxy that records redacted traffic as a scenario."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
import time
from typing import Any, Self

from aiohttp import web

from mock_portal import routes
from mock_portal.encoding import decode_path, parse_query
from mock_portal.errors import SetupError
from mock_portal.exchange import Request
from mock_portal.listening import check_address, explained
from mock_portal.replay import Recorded
from mock_portal.serialization import dump
from mock_portal.signals import stop_event
from mock_portal.terminal import say

from .files import NewFile, to_yaml
from .redaction import Redactor, Rule
from .upstream import Headers, NoReplyError, Reply, Upstream

DESCRIPTION = """\
Stands between your client and a real portal, forwards everything unchanged, and records the
exchanges in a file that `mock-portal serve --scenario FILE` replays. Point your client to the
address it prints, do what goes wrong, press Ctrl-C, read the file, attach it to your bug report.

What is in the file:
  - requests (method, path, body) and answers (status, a few headers, body), in order;
  - made-up values in the place of ICCID, IMSI, MSISDN, IMEI, IPv4 addresses, client ids, message
    texts, names, notes, plans, URLs and everything else not known to be harmless. The same value
    is replaced by the same made-up one, of the same form and length;
  - statuses, counters, dates, error codes and error messages as they are (identities in them
    replaced), because a bug report is about them.
What is not: tokens, secretKey, apiToken, the Authorization header, the portal's address.

Redaction has limits: a message that names somebody in words not seen before keeps the name. Read the file before you send it.
"""
EPILOG = """\
examples:
  mock-portal record --upstream https://api.iotportal.io/api
  mock-portal record --upstream https://uat.api.iotportal.io/apiv2 --port 9000 --output bug.yaml
  mock-portal serve --scenario bug.yaml
      replays it to whoever logs in with the credentials the file states. Answers to the same
      request come in the recorded order, and the last one repeats.

never done: repeating a request, following a redirect, sending a token to another host or over
plain http, overwriting a file, writing a file that others can read. The file grows to 2 MB at
most; later exchanges are forwarded, but not written.
"""

_MOST_CHARACTERS = 2 * 1024 * 1024
# Headers that concern a single connection, and are not forwarded.
_CONNECTION_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# The recorded headers of an answer: their spelling, and how they are redacted.
_RECORDED_HEADERS = {
    "allow": ("Allow", Rule.CLEAN),
    "content-type": ("Content-Type", Rule.CLEAN),
    "location": ("Location", Rule.FAKE),
    "retry-after": ("Retry-After", Rule.CLEAN),
    "server": ("server", Rule.CLEAN),
    "www-authenticate": ("WWW-Authenticate", Rule.CLEAN),
}

_HEADER = {
    "description": "Recorded from a real portal by mock-portal record; every identity is made up.",
    "accounts": {
        "recorded-client": {"secret_key": "recorded-secret", "api_token": "recorded-token"}
    },
}


class Recorder:
    """Redacts exchanges and writes them to a file, which is complete after each exchange."""

    def __init__(
        self, file: NewFile, host: str = "", *, most_characters: int = _MOST_CHARACTERS
    ) -> None:
        """Write an empty recording; `host` is redacted."""
        self.is_full = False
        self.count = 0
        self._file = file
        self._most_characters = most_characters
        self._redactor = Redactor()
        self._redactor.keep_secret(host)
        self._text = to_yaml(_HEADER)
        file.write(self._text)

    def record(self, request: Request, reply: Reply | None, at: float) -> str:
        """Add an exchange, and return a redacted line about it."""
        recorded = self._redact(request, reply, at)
        outcome = "no answer" if recorded.status is None else recorded.status
        self._add(recorded)
        note = " (not recorded: the file is full)" if self.is_full else ""
        return f"{recorded.method} {recorded.path} -> {outcome}{note}"

    def _add(self, recorded: Recorded) -> None:
        """Append an exchange, unless the file is full."""
        start = "" if self.count else "recorded:\n"
        text = f"{self._text}{start}{to_yaml([dump(recorded)])}"
        self.is_full |= len(text) > self._most_characters
        if not self.is_full:
            self._text = text
            self.count += 1
            self._file.write(text)

    def _redact(self, request: Request, reply: Reply | None, at: float) -> Recorded:
        """Return a redacted exchange; the request comes first, as its values may recur in the answer."""
        redactor = self._redactor
        redactor.keep_secret((request.header("Authorization") or "").rpartition(" ")[2])
        return Recorded(
            method=request.method,
            path=redactor.path(request.method, request.path),
            query=redactor.query(request.query),
            at=round(at, 3),
            sent=redactor.sent(_decode(request.body, request.header("Content-Encoding"))[0]),
            **({} if reply is None else self._redact_reply(reply, request)),
        )

    def _redact_reply(self, reply: Reply, request: Request) -> dict[str, Any]:
        """Return the fields of a redacted answer."""
        found = routes.find(request.method, f"{routes.PREFIXES[0]}{request.path}")
        body, is_latin1 = _decode(reply.body, reply.header("Content-Encoding"))
        return {
            "status": reply.status,
            "headers": {
                known[0]: self._redactor.value(value, known[1])
                for name, value in reply.headers
                if (known := _RECORDED_HEADERS.get(name.lower()))
            },
            "body": self._redactor.answered(
                body, found.route.name if found else None, reply.status
            ),
            "is_latin1": is_latin1,
        }


class Proxy:
    """A proxy to a real portal, used with `async with`."""

    def __init__(
        self,
        upstream: Upstream,
        recorder: Recorder,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        say: Callable[[str], object] = print,
    ) -> None:
        """Prepare to listen at an address; `say` receives a line for each exchange."""
        check_address(host, port)
        self._upstream = upstream
        self._recorder = recorder
        self._host = host
        self._port = port
        self._say = say
        self._start = time.monotonic()
        self._runner = web.ServerRunner(
            web.Server(self._relay, access_log=None, auto_decompress=False), shutdown_timeout=1.0
        )

    async def __aenter__(self) -> Self:
        """Start listening."""
        await self._runner.setup()
        with explained(self._host, self._port):
            await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Return the base URL for the client."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}{self._upstream.base_path}"

    async def _relay(self, raw: web.BaseRequest) -> web.StreamResponse:
        """Forward a request, record the exchange, and return the answer."""
        at = time.monotonic() - self._start
        body = await raw.read()
        try:
            reply = await self._upstream.send(
                raw.method, raw.raw_path, _passed_on(raw.headers.items()), body or None
            )
        except NoReplyError as err:
            self._say(f"No answer: {err}")
            reply = None
        self._record(raw, body, reply, at)
        if reply is None:
            return _hang_up(raw)
        answer = web.Response(status=reply.status, reason=reply.reason, body=reply.body)
        for name, value in _passed_on(reply.headers):
            answer.headers.add(name, value)
        return answer

    def _record(self, raw: web.BaseRequest, body: bytes, reply: Reply | None, at: float) -> None:
        """Record an exchange; print a failure to write, so that the client still gets its answer."""
        path, _, query = raw.raw_path.partition("?")
        request = Request(
            method=raw.method,
            path=decode_path(self._upstream.below(path)),
            query=parse_query(query),
            headers=raw.headers,
            body=body,
        )
        try:
            self._say(self._recorder.record(request, reply, at))
        except SetupError as err:
            self._say(str(err))


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--upstream", required=True, metavar="URL", help="base URL of the portal")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--port", type=int, default=8090, help="port to listen on; 0 means any free port"
    )
    parser.add_argument(
        "--output", default="recording.yaml", metavar="FILE", help="a file that does not exist yet"
    )


async def run(options: Namespace) -> None:
    """Record until Ctrl-C or SIGTERM."""
    stop = stop_event()
    async with Upstream(options.upstream) as upstream:
        recorder = Recorder(NewFile(options.output), upstream.host)
        proxy = Proxy(upstream, recorder, host=options.host, port=options.port, say=say)
        async with proxy:
            say(f"Base URL  {proxy.url}\nRecording {options.output}")
            await stop.wait()
    say(f"Stopped after {recorder.count} exchanges. Read {options.output} before you send it.")


def _passed_on(headers: Headers) -> list[tuple[str, str]]:
    """Return the headers that are forwarded."""
    return [(name, value) for name, value in headers if name.lower() not in _CONNECTION_HEADERS]


def _hang_up(raw: web.BaseRequest) -> web.Response:
    """Abort the connection, as there is no answer to forward."""
    if raw.transport is not None:
        raw.transport.abort()
    return web.Response()


def _decode(body: bytes, content_encoding: str | None) -> tuple[str, bool]:
    """Return a body as text, and whether it is Latin-1, which any bytes are, instead of UTF-8.

    A compressed body cannot be redacted: an empty text is returned.
    """
    if content_encoding not in {None, "identity"}:
        return "", False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return body.decode("latin-1"), True
