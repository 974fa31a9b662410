"""Checks of the requests that a client made: how often, how fast, in which order."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from . import serialization
from .clock import Window
from .errors import CheckFailedError, SetupError
from .exchange import Exchange
from .filters import Filter

_MANY = 10**9


@dataclass(frozen=True, kw_only=True)
class Check(Filter):
    """A check of the requests that match a filter; without any number: at least once.

    `max_rate` is the most of them within any second. `order` stands alone: its requests came one
    after another, with any others in between.
    """

    times: int | None = serialization.checked(None, serialization.between(0, _MANY))
    at_least: int | None = serialization.checked(None, serialization.between(1, _MANY))
    at_most: int | None = serialization.checked(None, serialization.between(0, _MANY))
    max_rate: int | None = serialization.checked(None, serialization.between(1, _MANY))
    order: list[Filter] | None = None

    def __post_init__(self) -> None:
        """Reject a combination that makes no sense."""
        others = (getattr(self, f.name) == f.default for f in fields(self) if f.name != "order")
        if self.order is not None and not (len(self.order) > 1 and all(others)):
            msg = "order names two requests or more, and stands alone"
            raise SetupError(msg)
        if self.times is not None and (self.at_least, self.at_most) != (None, None):
            msg = "times stands without at_least and at_most"
            raise SetupError(msg)
        if (self.at_least or 0) > _or(self.at_most, _MANY):
            msg = f"at_least {self.at_least} is more than at_most {self.at_most}"
            raise SetupError(msg)

    @property
    def has_upper_limit(self) -> bool:
        """Return whether a further request could break the check."""
        return (self.times, self.at_most, self.max_rate) != (None, None, None)

    def verify(self, exchanges: Sequence[Exchange]) -> dict[str, int]:
        """Return the counts of a check that holds; raise a `CheckFailedError` otherwise."""
        if self.order is not None:
            return self._verify_order(self.order, exchanges)
        found = [exchange for exchange in exchanges if self.matches(exchange)]
        least, most = self._limits()
        if not least <= len(found) <= most:
            msg = f"{self}: expected {self._wanted()}, was called {len(found)} times."
            raise CheckFailedError(msg)
        peak = peak_rate(found)
        if peak > _or(self.max_rate, _MANY):
            msg = f"{self}: expected at most {self.max_rate} within a second, there were {peak}."
            raise CheckFailedError(msg)
        return {"found": len(found), "peak_rate": peak}

    __str__ = Filter.__str__

    def _verify_order(self, order: list[Filter], exchanges: Sequence[Exchange]) -> dict[str, int]:
        """Check that requests came one after another."""
        remaining = iter(exchanges)
        for index, step in enumerate(order):
            if not any(step.matches(exchange) for exchange in remaining):
                after = f" after {', '.join(map(str, order[:index]))}" if index else ""
                msg = f"{step}: expected{after}, was not called there."
                raise CheckFailedError(msg)
        return {"found": len(order)}

    def _limits(self) -> tuple[int, int]:
        """Return the lowest and the highest number of requests."""
        if self.times is not None:
            return self.times, self.times
        is_bare = self.at_most is None and self.max_rate is None
        return _or(self.at_least, int(is_bare)), _or(self.at_most, _MANY)

    def _wanted(self) -> str:
        """Return the numbers in words."""
        least, most = self._limits()
        if least == most:
            return f"{least} times"
        if most == _MANY:
            return "at least once" if least == 1 else f"at least {least} times"
        return f"{least} to {most} times" if least else f"at most {most} times"


def peak_rate(exchanges: Sequence[Exchange]) -> int:
    """Return the most requests within any second."""
    window = Window()
    return max((window.add(exchange.steady) for exchange in exchanges), default=0)


def _or(value: int | None, default: int) -> int:
    """Return a value, or what stands for none."""
    return default if value is None else value
