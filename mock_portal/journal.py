"""The requests that the portal received, and checks on them."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from .clock import Clock, Window
from .exchange import Exchange, Request, WebhookCall
from .routes import strip_prefix

_LIMIT = 10_000
_BODY_LIMIT = 10_000
_SHOWN = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class NearMiss:
    """A request that resembles a documented one, and what was probably meant."""

    method: str
    path: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookRecord:
    """A webhook that the portal called; the outcome is a status, or the name of an error."""

    url: str
    outcome: str


class Journal:
    """The last exchanges, the highest request rate, and the most requests at once."""

    def __init__(self, clock: Clock) -> None:
        """Start empty."""
        self._clock = clock
        self._width = 0
        self.clear()

    def clear(self) -> None:
        """Delete all records."""
        self.exchanges: deque[Exchange] = deque(maxlen=_LIMIT)
        self.near_misses: deque[NearMiss] = deque(maxlen=_LIMIT)
        self.webhooks: deque[WebhookRecord] = deque(maxlen=_LIMIT)
        self.total = 0
        self.logins = 0
        self.peak_rate = 0
        self.peak_width = self._width
        self._window = Window()

    def __iter__(self) -> Iterator[Exchange]:
        """Iterate over the exchanges, oldest first."""
        return iter(self.exchanges)

    def __len__(self) -> int:
        """Return the number of exchanges kept."""
        return len(self.exchanges)

    def record(
        self,
        request: Request,
        *,
        route: str | None,
        iccid: str | None,
        status: int | None,
        fault: str | None,
    ) -> None:
        """Record an exchange."""
        self.total += 1
        self.logins += route == "Login"
        self.peak_rate = max(self.peak_rate, self._window.add(self._clock.steady()))
        if len(request.body) > _BODY_LIMIT:
            request = replace(request, body=request.body[:_BODY_LIMIT])
        self.exchanges.append(
            Exchange(
                time=self._clock.now(),
                request=request,
                route=route,
                iccid=iccid,
                status=status,
                fault=fault,
            )
        )

    def near_miss(self, request: Request, message: str) -> None:
        """Record what was probably meant by a request."""
        miss = NearMiss(method=request.method, path=strip_prefix(request.path), message=message)
        self.near_misses.append(miss)

    def record_webhook(self, call: WebhookCall, outcome: str) -> None:
        """Record the outcome of a webhook."""
        self.webhooks.append(WebhookRecord(url=call.url, outcome=outcome))

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request as in flight."""
        self._width += 1
        self.peak_width = max(self.peak_width, self._width)
        try:
            yield
        finally:
            self._width -= 1

    def find(
        self,
        method: str | None = None,
        path: str = "*",
        *,
        route: str | None = None,
        iccid: str | None = None,
    ) -> list[Exchange]:
        """Return the matching exchanges; `*` in the path matches anything."""
        below = strip_prefix(path)
        return [
            exchange
            for exchange in self.exchanges
            if method in {None, exchange.method}
            and route in {None, exchange.route}
            and iccid in {None, exchange.iccid}
            and fnmatchcase(exchange.path, below)
        ]

    def assert_called(self, method: str, path: str, times: int | None = None) -> None:
        """Assert that a request was made, at least once or exactly so many times."""
        found = len(self.find(method, path))
        if found == times or (times is None and found):
            return
        wanted = "at least once" if times is None else f"{times} times"
        msg = f"{method} {path}: expected {wanted}, was called {found} times. {self._overview()}"
        raise AssertionError(msg)

    def assert_called_once(self, method: str, path: str) -> None:
        """Assert that a request was made exactly once."""
        self.assert_called(method, path, times=1)

    def assert_not_called(self, method: str, path: str) -> None:
        """Assert that a request was never made."""
        self.assert_called(method, path, times=0)

    def _overview(self) -> str:
        """Return the last calls as text, newest last."""
        if not self.exchanges:
            return "Nothing was called."
        lines = [f"  {exchange}" for exchange in list(self.exchanges)[-_SHOWN:]]
        hints = [f"  {miss.message}" for miss in list(self.near_misses)[-_SHOWN:]]
        return "\n".join(["Calls:", *lines, *(["Near misses:", *hints] if hints else [])])
