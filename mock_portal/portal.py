"""The portal: it turns a request into a response, without a socket."""

from email.utils import formatdate
from functools import lru_cache

from . import control, handlers, pages, responses, routes
from .backend import Backend
from .errors import Code, PortalError, RouteRefusedError, TokenRefusedError
from .exchange import JSON_TYPE, Request, Response, WebhookCall, Wire
from .faults import Fault
from .locking import locked
from .routes import Match

# The ways in which no answer is sent.
UNSENT = (Wire.RESET, Wire.HANG)


class Portal(Backend):
    """A backend that answers requests."""

    @locked
    def handle(self, request: Request) -> Response:
        """Answer a request, apply the first matching fault, and record both in the journal."""
        if request.path.startswith(control.PREFIX):
            return control.handle(self, request)
        if page := pages.find(request):
            return page
        found = _find(request.method, request.path)
        route = found.route.name if found else None
        iccid = found.params.get("ICCID") if found else None
        fault = self.faults.pick(request.method, route, iccid)
        is_answered = fault is None or fault.lets_through
        response = self._answer(request, found) if is_answered else Response()
        if fault is not None:
            response = fault.apply(response)
        self._record(request, response, found, fault)
        return self._complete(response, fault)

    @locked
    def refuse(self, request: Request, err: PortalError) -> Response:
        """Answer a request that the transport could not read, and record both; no fault hits it."""
        if request.path.startswith(control.PREFIX):
            return control.refuse(err.message, status=err.status)
        found = _find(request.method, request.path)
        self.journal.near_miss(request, err.message)
        response = responses.error(err, found.route.name if found else None, self.dialects)
        self._record(request, response, found)
        return self._complete(response)

    @locked
    def abandon(self, request: Request) -> None:
        """Record a request whose client left before it had sent everything."""
        if not request.path.startswith(control.PREFIX):
            found = _find(request.method, request.path)
            self.journal.near_miss(request, "The connection ended before the body was complete")
            self._record(request, Response(wire=Wire.RESET), found)

    def _record(
        self, request: Request, response: Response, found: Match | None, fault: Fault | None = None
    ) -> None:
        """Record an exchange."""
        self.journal.record(
            request,
            route=found.route.name if found else None,
            iccid=found.params.get("ICCID") if found else None,
            status=None if response.wire in UNSENT else response.status,
            fault=None if fault is None else fault.kind,
        )

    @locked
    def take_webhooks(self) -> list[WebhookCall]:
        """Return the webhooks that are due, and remove them from the queue; the caller calls them."""
        self.state.settle()
        ended, self.state.outbox = self.state.outbox, []
        calls = [responses.webhook(edit, self.dialects) for edit in ended]
        return [call for call in calls if call is not None]

    def _answer(self, request: Request, found: Match | None) -> Response:
        """Return the response to a request, or to the error it raises."""
        try:
            self.state.check_rate()
            return self._dispatch(request, found)
        except PortalError as err:
            return responses.error(err, found.route.name if found else None, self.dialects)

    def _dispatch(self, request: Request, found: Match | None) -> Response:
        """Check the route, the token and the permission, and call the route's handler."""
        if request in self.recordings:
            return self._replay(request, found)
        if found is None:
            raise self._near_miss(request, routes.explain(request.method, request.path))
        route = found.route
        if request.query:
            msg = f"Unrecognised parameter {next(iter(request.query))!r}; no route takes a query"
            raise PortalError(msg, Code.UNRECOGNISED_PARAMETER)
        if route.name == "Login":
            return handlers.login(request, self.state, self.dialects)
        account = self.state.authorize(self._token(request))
        sim = self.state.sim(found.params["ICCID"]) if route.has_iccid else None
        if self.state.is_refused(route.name, account, sim):
            msg = f"Your role does not have access to this API function: {route.name}"
            raise RouteRefusedError(msg)
        call = handlers.Call(
            request=request,
            params=found.params,
            account=account,
            state=self.state,
            dialects=self.dialects,
        )
        if sim is None:
            return handlers.HANDLERS[route.name](call)
        return handlers.SIM_HANDLERS[route.name](call, sim)

    def _replay(self, request: Request, found: Match | None) -> Response:
        """Return the recorded answer to a client with a valid log-in or token."""
        if found is not None and found.route.name == "Login":
            handlers.login(request, self.state, self.dialects)
        else:
            self.state.authorize(self._token(request))
        newest = next(reversed(self.state.tokens))
        return self.recordings.take(request).replay(newest)

    def _token(self, request: Request) -> str:
        """Return the token of a request."""
        token = request.header("Authorization")
        if token is None:
            msg = "The Authorization header is missing"
        elif token.lower().startswith("bearer "):
            msg = "The Authorization header carries the token as it is, without the Bearer prefix"
        else:
            return token
        raise self._near_miss(request, TokenRefusedError(msg))

    def _near_miss(self, request: Request, err: PortalError) -> PortalError:
        """Record what was probably meant by a request, and return the error."""
        self.journal.near_miss(request, err.message)
        return err

    def _complete(self, response: Response, fault: Fault | None = None) -> Response:
        """Add the headers of the published examples, in their order."""
        headers = {
            "Date": _http_date(int(self.clock.now().timestamp())),
            "Content-Type": JSON_TYPE,
            "Transfer-Encoding": "chunked",
            "Connection": "keep-alive",
            "server": "Jetty(9.4.53.v20231009)",
            **response.headers,
        }
        # `dataclasses.replace` would be three times slower.
        return Response(
            status=response.status,
            headers=headers,
            body=response.body,
            wire=response.wire,
            seconds=response.seconds,
            fault=None if fault is None else fault.kind,
        )


# Clients request the same paths again and again.
_find = lru_cache(maxsize=4096)(routes.find)


@lru_cache
def _http_date(second: int) -> str:
    """Return a timestamp in the form of HTTP headers."""
    return formatdate(second, usegmt=True)
