"""The portal itself: from a request to a response, without a socket."""

from dataclasses import replace
from email.utils import format_datetime

from . import answers, control, handlers, routes
from .clock import Window
from .errors import Code, PortalError, RateLimitError, RouteRefusedError, TokenRefusedError
from .http import JSON_TYPE, Request, Response, WebhookCall, Wire
from .routes import Match, Miss
from .scenario import Source
from .world import World

_CALLS_A_SECOND = 5
_UNSENT = frozenset({Wire.RESET, Wire.HANG})


class Portal(World):
    """A world that answers requests."""

    def __init__(self, source: Source = "documented") -> None:
        """Set up a scenario."""
        super().__init__(source)
        self._window = Window()
        self._date = (0, "")

    def handle(self, request: Request) -> Response:
        """Answer a request, with the faults that strike it, and write it into the journal."""
        if request.path.startswith(control.PREFIX):
            return control.handle(self, request)
        found = routes.find(request.method, request.path)
        route, iccid = None, None
        if isinstance(found, Match):
            route, iccid = found.route.name, found.params.get("ICCID")
        self.journal.arrive()
        fault = self.faults.pick(request.method, route, iccid)
        response = Response()
        if fault is None or fault.lets_through:
            response = self._answer(request, found)
        if fault is not None:
            response = fault.spoil(response)
        self.journal.record(
            request,
            route=route,
            iccid=iccid,
            status=None if response.wire in _UNSENT else response.status,
            fault=None if fault is None else fault.kind,
        )
        return self._complete(response)

    def take_webhooks(self) -> list[WebhookCall]:
        """Return the webhooks that are due; whoever takes them calls them."""
        self.state.settle()
        ended, self.state.outbox = self.state.outbox, []
        calls = [answers.webhook(edit, self.dialects) for edit in ended]
        return [call for call in calls if call is not None]

    def _answer(self, request: Request, found: Match | Miss) -> Response:
        """Answer a request, well or with an error."""
        route = found.route.name if isinstance(found, Match) else None
        try:
            self._check_rate()
            return self._dispatch(request, self._check_route(request, found))
        except PortalError as err:
            return answers.error(err, route, self.dialects)

    def _check_rate(self) -> None:
        """Refuse a request that comes too soon, where a limit is enforced."""
        if self.dialects["rate_limit"] == "off":
            return
        now = self.clock.steady()
        if self._window.count(now) >= _CALLS_A_SECOND:
            msg = f"Rate limit exceeded: more than {_CALLS_A_SECOND} requests within a second"
            raise RateLimitError(msg, code=Code.RATE_LIMIT, status=429)
        self._window.add(now)

    def _check_route(self, request: Request, found: Match | Miss) -> Match:
        """Insist on a published route."""
        if isinstance(found, Match):
            return found
        self.journal.near_miss(request, found.message)
        raise PortalError(found.message, status=found.status)

    def _dispatch(self, request: Request, found: Match) -> Response:
        """Check who asks and for what, and call the route's handler."""
        route = found.route
        if request.query:
            msg = f"Unrecognised parameter {next(iter(request.query))!r}; no route takes a query"
            raise PortalError(msg, code=Code.UNRECOGNISED_PARAMETER)
        if route.name == "Login":
            return handlers.login(request, self.state, self.dialects)
        account = self.state.authorize(self._token(request))
        sim = self.state.sim(found.params["ICCID"]) if route.has_iccid else None
        if self.state.is_refused(route.name, account, sim):
            msg = f"Your role does not have access to this API function: {route.name}"
            raise RouteRefusedError(msg, code=Code.NO_ACCESS)
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

    def _token(self, request: Request) -> str:
        """Return the token a request carries."""
        token = request.header("Authorization")
        if token is None:
            msg = "The Authorization header is missing"
        elif token.lower().startswith("bearer "):
            msg = "The Authorization header carries the token as it is, without the Bearer prefix"
        else:
            return token
        self.journal.near_miss(request, msg)
        raise TokenRefusedError(msg, code=Code.INVALID_CREDENTIALS, status=401)

    def _complete(self, response: Response) -> Response:
        """Add the headers every published example has, in their order."""
        headers = {
            "Date": self._now(),
            "Content-Type": JSON_TYPE,
            "Transfer-Encoding": "chunked",
            "Connection": "keep-alive",
            "server": "Jetty(9.4.53.v20231009)",
        }
        return replace(response, headers={**headers, **response.headers})

    def _now(self) -> str:
        """Return the virtual time as a header has it; formatted once a second."""
        now = self.clock.now()
        second = int(now.timestamp())
        if self._date[0] != second:
            self._date = (second, format_datetime(now, usegmt=True))
        return self._date[1]
