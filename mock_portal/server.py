"""The portal on a real socket."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir
from threading import Thread
from typing import Any, Self

from aiohttp import web

from . import certificates, control, cors as sharing, pages, webhooks as webhook_calls
from .certificates import Certificate, Tls
from .connection import Server, read, target
from .encoding import decode_path, parse_query
from .errors import PortalError, SetupError
from .exchange import Request, Response
from .files import write_whole
from .listening import check_address
from .portal import UNSENT, Portal
from .request_log import RequestLog
from .routes import PREFIXES
from .scenario import Source
from .sending import Sender

_API_LIMIT = 1024 * 1024
_CONTROL_LIMIT = 64 * 1024 * 1024
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  read, never bound
_STOP_SECONDS = 1.0

type Action = Callable[[], Coroutine[Any, Any, None]]


class MockPortal(Portal):
    """A portal on a socket, used with `async with` or `with MockPortal.in_thread()`."""

    def __init__(
        self,
        scenario: Source = "documented",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        dialects: Mapping[str, str] | None = None,
        faults: Sequence[Mapping[str, object]] | None = None,
        tls: Tls = False,
        ca_file: str | Path | None = None,
        cors: bool = False,
        log: bool = False,
        webhooks: str = webhook_calls.LOOPBACK,
    ) -> None:
        """Load a scenario; dialects and faults replace those of the scenario.

        With `tls=True` the authority of the certificate is in `ca_file`, or in a temporary file,
        while the portal listens.
        """
        check_address(host, port)
        webhook_calls.check(webhooks)
        changes: dict[str, Any] = {"dialects": dialects, "faults": faults}
        given = {name: value for name, value in changes.items() if value is not None}
        super().__init__({"extends": scenario, **given})
        self._host = host
        self._port = port
        self._certificate = _certificate(tls, host)
        self._ca_file = ca_file
        self._cors = cors
        self._log = RequestLog(self) if log else None
        self._webhooks = webhooks
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.ServerRunner | None = None
        self._webhook_calls: asyncio.Task[None] | None = None

    @classmethod
    @contextmanager
    def in_thread(
        cls,
        scenario: Source = "documented",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        dialects: Mapping[str, str] | None = None,
        faults: Sequence[Mapping[str, object]] | None = None,
        tls: Tls = False,
        ca_file: str | Path | None = None,
        cors: bool = False,
        log: bool = False,
        webhooks: str = webhook_calls.LOOPBACK,
    ) -> Iterator[Self]:
        """Run a portal in its own thread, for tests without an event loop."""
        portal = cls(
            scenario,
            host=host,
            port=port,
            dialects=dialects,
            faults=faults,
            tls=tls,
            ca_file=ca_file,
            cors=cors,
            log=log,
            webhooks=webhooks,
        )
        loop = asyncio.new_event_loop()
        thread = Thread(target=loop.run_forever, name="mock-portal", daemon=True)
        thread.start()
        portal._adopt(loop)
        try:
            portal.start_now()
            yield portal
        finally:
            portal.stop_now()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def __aenter__(self) -> Self:
        """Start listening."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        await self.stop()

    async def start(self) -> None:
        """Start listening, unless it does; port 0 means any free port, once chosen it is kept."""
        await self._run(self._start)

    async def stop(self) -> None:
        """Stop listening, if it does, and end all waiting requests; may be called from any loop."""
        await self._run(self._stop)

    def start_now(self) -> None:
        """Start again from code without an event loop."""
        self._run_now(self._start)

    def stop_now(self) -> None:
        """Stop from code without an event loop."""
        self._run_now(self._stop)

    def _adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use an event loop; what belongs to another one is replaced."""
        self._loop = loop
        self._lock = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._sender = Sender(self._stopping, cors=self._cors)

    async def _run(self, action: Action) -> None:
        """Run an action in the portal's event loop, which is the current one if it has none."""
        here = asyncio.get_running_loop()
        if self._loop is None or (self._runner is None and not self._loop.is_running()):
            self._adopt(here)
        if self._loop is here:
            await action()
        else:
            await asyncio.wrap_future(self._submit(action))

    def _run_now(self, action: Action) -> None:
        """Run an action in the portal's event loop, and wait for it."""
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                msg = "This is the event loop of the portal: await portal.start() or portal.stop()"
                raise SetupError(msg)
        self._submit(action).result()

    def _submit(self, action: Action) -> Future[None]:
        """Have an action run by the portal's event loop, from outside."""
        if self._loop is None or not self._loop.is_running():
            msg = (
                "The event loop in which the portal started does not run; "
                "MockPortal.in_thread() runs a portal in an event loop of its own"
            )
            raise SetupError(msg)
        return asyncio.run_coroutine_threadsafe(action(), self._loop)

    async def _start(self) -> None:
        """Start listening in this event loop."""
        async with self._lock:
            if self._runner is None:
                self._runner = await self._listen()

    async def _listen(self) -> web.ServerRunner:
        """Return a running server."""
        self._stopping.clear()
        server = Server(self._serve, self._answer_error)
        runner = web.ServerRunner(server, shutdown_timeout=_STOP_SECONDS)
        await runner.setup()
        try:
            context = self._certificate.context if self._certificate else None
            await web.TCPSite(runner, self._host, self._port, ssl_context=context).start()
            self._write_authority()
        except BaseException:
            await runner.cleanup()
            raise
        self._port = runner.addresses[0][1]
        return runner

    async def _stop(self) -> None:
        """Stop listening in this event loop."""
        async with self._lock:
            self._stopping.set()
            if self._webhook_calls is not None:
                self._webhook_calls.cancel()
                await asyncio.gather(self._webhook_calls, return_exceptions=True)
            if self._runner is not None:
                await self._runner.cleanup()
                if self.ca_file is not None:
                    self.ca_file.unlink(missing_ok=True)
            self._runner = None

    def _write_authority(self) -> None:
        """Write what clients have to trust."""
        if self.ca_file is not None and self._certificate is not None:
            write_whole(self.ca_file, self._certificate.authority or "", mode=0o644)

    @property
    def url(self) -> str:
        """Return the base URL for clients."""
        return f"{self._root}{PREFIXES[0]}"

    @property
    def port(self) -> int:
        """Return the port; 0 until any free port was chosen."""
        return self._port

    @property
    def ca_file(self) -> Path | None:
        """Return the file with the authority that clients have to trust, if it was made here."""
        if self._certificate is None or self._certificate.authority is None:
            return None
        if self._ca_file is None:
            self._ca_file = Path(gettempdir()) / f"mock-portal-{token_hex(8)}.pem"
        return Path(self._ca_file)

    @property
    def page_url(self) -> str:
        """Return the URL of the page to look at."""
        return f"{self._root}/"

    @property
    def control_url(self) -> str:
        """Return the URL of the control interface."""
        return f"{self._root}{control.PREFIX}"

    @property
    def _root(self) -> str:
        """Return the address of the socket."""
        host = _ANYWHERE.get(self._host, self._host)
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}"

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        """Read a request, handle it, and send the response."""
        if self._log is not None:
            self._log.begin(raw)
        if self._cors and sharing.is_preflight(raw):
            return await self._send(raw, sharing.preflight(raw))
        path = target(raw).partition("?")[0]
        is_control = path.startswith(control.PREFIX) or path in pages.PAGES
        try:
            body = await read(raw, _CONTROL_LIMIT if is_control else _API_LIMIT)
        except PortalError as err:
            return self._answer_error(raw, err)
        except ConnectionError:
            self.abandon(_request(raw))
            self._note(raw, None)
            raise
        with nullcontext() if is_control else self.journal.in_flight():
            request = _request(raw, body)
            response = self._log.handle(raw, request) if self._log else self.handle(request)
            if self.state.is_busy and (self._webhook_calls is None or self._webhook_calls.done()):
                self._webhook_calls = asyncio.create_task(
                    webhook_calls.call_due(self, self._webhooks)
                )
            return await self._send(raw, response)

    def _answer_error(self, raw: web.BaseRequest, err: PortalError) -> web.Response:
        """Return the answer to a request that could not be read, or that failed."""
        response = self.refuse(_request(raw), err)
        answer = web.Response(status=response.status, body=response.body)
        self._sender.prepare(raw, answer, response).headers.pop("Connection", None)
        # What the client sends next may be the rest of this request.
        answer.force_close()
        self._note(raw, answer.status)
        return answer

    def _note(self, raw: web.BaseRequest, status: int | None) -> None:
        """Write a line about a request, if there is a log."""
        if self._log is not None:
            self._log.write(raw, status)

    async def _send(self, raw: web.BaseRequest, response: Response) -> web.StreamResponse:
        """Send a response, and log it."""
        if self._log is None:
            return await self._sender.send(raw, response)
        status = None if response.wire in UNSENT else response.status
        try:
            return await self._sender.send(raw, response)
        except ConnectionError:
            status = None
            raise
        finally:
            self._log.write(raw, status)


def _certificate(tls: Tls, host: str) -> Certificate | None:
    """Return the certificate of a portal, or None for plain HTTP."""
    if isinstance(tls, bool):
        return certificates.make(host) if tls else None
    return certificates.load(*tls)


def _request(raw: web.BaseRequest, body: bytes = b"") -> Request:
    """Return a request without its transport."""
    path, _, query = target(raw).partition("?")
    return Request(
        method=raw.method,
        path=decode_path(path),
        query=parse_query(query),
        headers=raw.headers,
        body=body,
        scheme=raw.scheme,
    )
