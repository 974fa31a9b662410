"""The requests that the portal received, and checks on them."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from . import serialization
from .checks import Check
from .clock import Clock, Window
from .errors import CheckFailedError, SetupError
from .exchange import Exchange, Request, WebhookCall
from .filters import Filter
from .locking import locked
from .routes import strip_prefix

_LIMIT = 10_000
_BODY_LIMIT = 10_000
_SHOWN = 20
# A filter has no times.
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class NearMiss:
    """A request that resembles a documented one, and what was probably meant.

    `number` is that of its exchange.
    """

    number: int
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

    def __init__(self, clock: Clock, iccids: Callable[[], Collection[str]]) -> None:
        """Start empty; `iccids` returns the ICCIDs that a client can ask for."""
        self.lock = clock.lock
        self._clock = clock
        self._iccids = iccids
        self._width = 0
        # Never starts over, so that a reader who asks for what is new misses nothing after a clear().
        self._number = 0
        self.clear()

    @locked
    def clear(self) -> None:
        """Delete all records."""
        self._exchanges: deque[Exchange] = deque(maxlen=_LIMIT)
        self._near_misses: deque[NearMiss] = deque(maxlen=_LIMIT)
        self._webhooks: deque[WebhookRecord] = deque(maxlen=_LIMIT)
        self.total = 0
        self.logins = 0
        self.peak_rate = 0
        self.peak_width = self._width
        self._window = Window()

    @property
    @locked
    def exchanges(self) -> list[Exchange]:
        """Return the exchanges so far, oldest first."""
        return list(self._exchanges)

    @property
    @locked
    def near_misses(self) -> list[NearMiss]:
        """Return the near misses so far, oldest first."""
        return list(self._near_misses)

    @property
    @locked
    def webhooks(self) -> list[WebhookRecord]:
        """Return the webhooks so far, oldest first."""
        return list(self._webhooks)

    def __iter__(self) -> Iterator[Exchange]:
        """Iterate over the exchanges so far, oldest first."""
        return iter(self.exchanges)

    def __len__(self) -> int:
        """Return the number of exchanges kept."""
        return len(self._exchanges)

    @property
    @locked
    def first_number(self) -> int:
        """Return the number of the oldest exchange kept, or of the next one if none is kept."""
        return self._exchanges[0].number if self._exchanges else self._number + 1

    def record(
        self,
        request: Request,
        *,
        route: str | None,
        iccid: str | None,
        status: int | None,
        fault: str | None,
    ) -> None:
        """Record an exchange; `Portal.handle`, which calls this, holds the lock."""
        self.total += 1
        self._number += 1
        self.logins += route == "Login"
        steady = self._clock.steady()
        self.peak_rate = max(self.peak_rate, self._window.add(steady))
        if len(request.body) > _BODY_LIMIT:
            request = replace(request, body=request.body[:_BODY_LIMIT])
        self._exchanges.append(
            Exchange(
                number=self._number,
                time=self._clock.now(),
                steady=steady,
                request=request,
                route=route,
                iccid=iccid,
                status=status,
                fault=fault,
            )
        )

    @locked
    def near_miss(self, request: Request, message: str) -> None:
        """Record what was probably meant by a request."""
        self._near_misses.append(
            NearMiss(
                number=self._number + 1,
                method=request.method,
                path=strip_prefix(request.path),
                message=message,
            )
        )

    @locked
    def record_webhook(self, call: WebhookCall, outcome: str) -> None:
        """Record the outcome of a webhook."""
        self._webhooks.append(WebhookRecord(url=call.url, outcome=outcome))

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request as in flight."""
        with self.lock:
            self._width += 1
            self.peak_width = max(self.peak_width, self._width)
        try:
            yield
        finally:
            with self.lock:
                self._width -= 1

    def find(
        self,
        method: str | None = None,
        path: str = "*",
        *,
        route: str | None = None,
        iccid: str | None = None,
        unknown_sim: bool = False,
        after: int = 0,
        before: int | None = None,
    ) -> list[Exchange]:
        """Return the matching exchanges with numbers between two; `*` in the path matches anything.

        A filter that no request can match is an error, and so is a SIM that the portal does not
        have, unless a request named it or `unknown_sim` is true.
        """
        wanted = load(
            Filter, method=method, path=path, route=route, iccid=iccid, unknown_sim=unknown_sim
        )
        return self._find(wanted, between(self.exchanges, after, before))

    def assert_called(
        self, method: str | None = None, path: str = "*", times: int | None = None, **details: Any
    ) -> None:
        """Assert that a request was made, at least once or exactly so many times.

        The details are other fields of `Check`: at_least, at_most, route, iccid, unknown_sim.
        """
        __tracebackhide__ = True
        self.verify(load(Check, method=method, path=path, times=times, **details))

    def assert_called_once(
        self, method: str | None = None, path: str = "*", **details: Any
    ) -> None:
        """Assert that a request was made exactly once."""
        __tracebackhide__ = True
        self.assert_called(method, path, 1, **details)

    def assert_not_called(self, method: str | None = None, path: str = "*", **details: Any) -> None:
        """Assert that a request was never made."""
        __tracebackhide__ = True
        self.assert_called(method, path, 0, **details)

    def assert_order(self, *calls: tuple[str, str]) -> None:
        """Assert that requests, each a method and a path, came in this order, others in between."""
        __tracebackhide__ = True
        self.verify(load(Check, order=[_as_filter(call) for call in calls]))

    def assert_max_rate(
        self, rate: int, method: str | None = None, path: str = "*", **details: Any
    ) -> None:
        """Assert that at most so many requests were made within any second."""
        __tracebackhide__ = True
        self.verify(load(Check, max_rate=rate, method=method, path=path, **details))

    def verify(self, check: Check) -> dict[str, int]:
        """Return the counts of a check that holds; raise a `CheckFailedError` otherwise."""
        __tracebackhide__ = True
        with self.lock:
            exchanges, total = self.exchanges, self.total
        for wanted in check.order or (check,):
            self._find(wanted, exchanges)
        try:
            counts = check.verify(exchanges)
        except CheckFailedError as err:
            _check_complete(exchanges, total)
            msg = f"{err} {self._overview(exchanges)}"
            raise CheckFailedError(msg) from None
        if check.has_upper_limit:
            _check_complete(exchanges, total)
        return counts

    def _find(self, wanted: Filter, exchanges: list[Exchange]) -> list[Exchange]:
        """Return the matching exchanges; raise an error if there are none and cannot be any."""
        found = [exchange for exchange in exchanges if wanted.matches(exchange)]
        if not found:
            wanted.check(self._iccids())
        return found

    def _overview(self, exchanges: list[Exchange]) -> str:
        """Return the last calls as text, newest last."""
        if not exchanges:
            return "Nothing was called."
        lines = [f"  {exchange}" for exchange in exchanges[-_SHOWN:]]
        hints = [f"  {miss.message}" for miss in self.near_misses[-_SHOWN:]]
        return "\n".join(["Calls:", *lines, *(["Near misses:", *hints] if hints else [])])


def between[T: (Exchange, NearMiss)](found: list[T], after: int, before: int | None) -> list[T]:
    """Return those whose numbers lie between two."""
    return [
        each for each in found if each.number > after and (before is None or each.number < before)
    ]


def load[T: Filter](shape: type[T], /, **given: object) -> T:
    """Return a filter or a check; raise an error for what makes no sense."""
    return serialization.load(shape, given, "check", _NEVER)


def _as_filter(call: object) -> dict[str, object]:
    """Return a method and a path as the fields of a filter."""
    if not isinstance(call, tuple | list) or len(call) != 2:  # noqa: PLR2004
        msg = f"A call is a method and a path such as ('GET', '/getStatus/*'), not {call!r}"
        raise SetupError(msg)
    return {"method": call[0], "path": call[1]}


def _check_complete(exchanges: list[Exchange], total: int) -> None:
    """Raise an error if requests are missing."""
    if total > len(exchanges):
        msg = (
            f"The journal keeps the last {len(exchanges)} requests of {total}, which is too few for "
            "this check; clear the journal before the part to check"
        )
        raise SetupError(msg)
