"""Filters of requests; one that no request of a client can match is refused, with a suggestion."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
import re
from urllib.parse import unquote

from . import routes
from .errors import SetupError, suggest
from .exchange import Exchange
from .routes import API_VERSION, ROUTES, Route, strip_prefix

_ANY = "*"
_METHODS = tuple(dict.fromkeys(route.method for route in ROUTES.values()))
_SOME_SMS_ID = "1"
_SOME_ICCID = "0" * 19
# Scheme and host, query and fragment of a URL.
_AROUND_PATH = re.compile(r"^[a-zA-Z]+://[^/]*|[?#].*", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A filter of requests; `*` in the path stands for anything.

    The ICCIDs in it are those of the portal's SIMs, unless `unknown_sim` allows others.
    """

    method: str | None = None
    path: str = _ANY
    route: str | None = None
    iccid: str | None = None
    unknown_sim: bool = False

    def matches(self, exchange: Exchange) -> bool:
        """Return whether an exchange passes; a path outside the base URL passes `*` alone."""
        return (
            self.method in {None, exchange.method}
            and self.route in {None, exchange.route}
            and self.iccid in {None, exchange.iccid}
            and (exchange.is_below_base or self.path.startswith(_ANY))
            and self._matches_path(exchange.path)
        )

    def check(self, iccids: Collection[str]) -> None:
        """Raise an error unless a request to a portal with these SIMs can match."""
        if not self.can_match(iccids):
            raise SetupError(self._explain(iccids))

    def __str__(self) -> str:
        """Return the filter in words: `PUT /SendSMS/*`."""
        words = [self.method or "", "" if self.path == _ANY else self.path]
        words += [f"route {self.route}"] if self.route else []
        words += [f"iccid {self.iccid}"] if self.iccid else []
        return " ".join(filter(None, words)) or "any request"

    def _matches_path(self, path: str) -> bool:
        """Return whether a path below the base URL passes."""
        return _pattern(self.path).fullmatch(path) is not None

    def can_match(self, iccids: Collection[str]) -> bool:
        """Return whether one of the possible requests passes."""
        if self.iccid is not None and self.iccid not in iccids and not self.unknown_sim:
            return False
        return any(
            self._matches_path("/".join(("", route.name, *values)))
            for route in self._routes()
            for values in product(*(self._values(param, iccids) for param in route.params))
        )

    def _routes(self) -> Iterator[Route]:
        """Yield the routes that pass, whatever the path."""
        for route in ROUTES.values():
            if (
                self.method in {None, route.method}
                and self.route in {None, route.name}
                and (self.iccid is None or route.has_iccid)
            ):
                yield route

    def _values(self, param: str, iccids: Collection[str]) -> Collection[str]:
        """Return the values of a parameter in a path that are worth trying."""
        given = [piece.replace(_ANY, "") for piece in strip_prefix(self.path).split("/")]
        if param == "apiVersion":
            return (API_VERSION,)
        if param == "SMS_id":
            return [_SOME_SMS_ID, *(value for value in given if value.isdecimal())]
        if self.iccid is not None:
            return (self.iccid,)
        if self.unknown_sim:
            return [*iccids, *(value for value in given if value.isalnum())]
        # Without any SIM, a client can still ask for one.
        return iccids or (_SOME_ICCID,)

    def _explain(self, iccids: Collection[str]) -> str:
        """Return why no request can match, and what was probably meant."""
        if self.method is not None:
            check_method(self.method)
        if self.route is not None:
            routes.check(self.route)
        path_alone = Filter(path=self.path, unknown_sim=self.unknown_sim)
        if not path_alone.can_match(iccids):
            return _explain_path(path_alone, iccids)
        if self.iccid is not None and self.iccid not in iccids and not self.unknown_sim:
            return _no_sim(self.iccid, iccids)
        nearest = routes.nearest(self.route or strip_prefix(self.path).strip("/").split("/")[0])
        hint = f"{nearest.name} is {nearest.method} {nearest.path}" if nearest else "leave one out"
        return f"No request can match {self}: {hint}"


def check_method(method: str) -> None:
    """Raise an error unless a route has this method."""
    if method not in _METHODS:
        msg = f"No route has the method {method!r}; {suggest(method, _METHODS)}"
        raise SetupError(msg)


def _explain_path(wanted: Filter, iccids: Collection[str]) -> str:
    """Return why no request can have the path of a filter, and what was probably meant."""
    for repaired in _repairs(wanted.path):
        if replace(wanted, path=repaired).can_match(iccids):
            return f"No request can have the path {wanted.path!r}; did you mean {repaired!r}?"
        if replace(wanted, path=repaired, unknown_sim=True).can_match(iccids):
            return _no_sim(repaired.split("/")[2], iccids)
    known = ", ".join(route.path for route in ROUTES.values())
    return f"No request can have the path {wanted.path!r}; there are {known}"


def _no_sim(iccid: str, iccids: Collection[str]) -> str:
    """Return the error for an ICCID that the portal does not have."""
    return f"There is no SIM {iccid}, which only unknown_sim allows; {suggest(iccid, iccids)}"


@lru_cache
def _pattern(path: str) -> re.Pattern[str]:
    """Return the expression for a path with stars; the prefix of the base URL may be left out."""
    parts = strip_prefix(path).split(_ANY)
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def _repairs(path: str) -> Iterator[str]:
    """Yield what may be meant by a path: without host and query, in the right case and length."""
    path = strip_prefix(unquote(_AROUND_PATH.sub("", path)))
    name, *values = path.strip("/").split("/")
    route = routes.nearest(name)
    if route is None:
        return
    values = [_ANY if value.startswith(("{", "<", ":")) else value for value in values]
    yield "/".join(("", route.name, *values))
    for kept in range(min(len(values), len(route.params)), -1, -1):
        stars = [_ANY] if kept < len(route.params) else []
        yield "/".join(("", route.name, *values[:kept], *stars))
