"""The published routes, and hints for requests that match none of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from .errors import PortalError, SetupError

# The paths of the two published base URLs: production and UAT.
PREFIXES = ("/api", "/apiv2")

_STARTS = tuple(f"{prefix}/" for prefix in PREFIXES)


@dataclass(frozen=True, kw_only=True)
class Route:
    """One published route; its first path segment is its name."""

    method: str
    name: str
    params: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Return the path in the form of the collection."""
        return "/".join(("", self.name, *(f"{{{param}}}" for param in self.params)))

    @property
    def has_iccid(self) -> bool:
        """Return whether the path names a SIM."""
        return "ICCID" in self.params


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A route that matches a request, with the values in its path."""

    route: Route
    params: dict[str, str]


ROUTES = {
    route.name: route
    for route in (
        Route(method="POST", name="Login"),
        Route(method="GET", name="ctdUsage", params=("ICCID",)),
        Route(method="GET", name="GetDevice", params=("ICCID",)),
        Route(method="GET", name="sessionInfo", params=("ICCID",)),
        Route(method="GET", name="getStatus", params=("ICCID",)),
        Route(method="GET", name="GetSMS", params=("SMS_id",)),
        Route(method="GET", name="GetSMSIds", params=("ICCID",)),
        Route(method="PUT", name="SendSMS", params=("ICCID", "apiVersion")),
        Route(method="PUT", name="RequestStatusChange", params=("ICCID",)),
        Route(method="PUT", name="EditDevice", params=("ICCID",)),
        Route(method="PUT", name="BulkEditDevice"),
        Route(method="PUT", name="RuleUpdate"),
    )
}


def find(method: str, path: str) -> Match | None:
    """Return the route of a request, or None."""
    below = strip_prefix(path)
    if below is not path:
        _, name, *values = below.split("/")
        route = ROUTES.get(name)
        if (
            route is not None
            and route.method == method
            and len(values) == len(route.params)
            and all(values)
        ):
            return Match(route=route, params=dict(zip(route.params, values, strict=True)))
    return None


def explain(method: str, path: str) -> PortalError:
    """Return the error for a request without a route; it names the nearest route."""
    below = strip_prefix(path)
    name = below.strip("/").split("/")[0]
    route = _nearest(name)
    status, reason = 404, "the path has the wrong number of segments"
    if route is None:
        return PortalError(
            f"No route {method} {path}; there are {', '.join(ROUTES)}", status=status
        )
    if below == path:
        reason = "the path does not start with /api or /apiv2"
    elif name != route.name:
        reason = "paths are exact, and case-sensitive"
    elif route.method != method:
        status, reason = 405, f"{method} is the wrong method"
    nearest = f"{route.method} {PREFIXES[0]}{route.path}"
    message = f"No route {method} {path}: {reason}; the nearest route is {nearest}"
    return PortalError(message, status=status)


def strip_prefix(path: str) -> str:
    """Return the path below the base URL."""
    _, _, below = path[1:].partition("/")
    return f"/{below}" if path.startswith(_STARTS) else path


def check(name: str) -> None:
    """Raise an error unless a route has this name."""
    if name not in ROUTES:
        route = _nearest(name)
        hint = f"did you mean {route.name}?" if route else f"there are {', '.join(ROUTES)}"
        msg = f"There is no route {name!r}; {hint}"
        raise SetupError(msg)


def check_all(names: Iterable[str]) -> None:
    """Raise an error unless all these names are names of routes."""
    for name in names:
        check(name)


def _nearest(name: str) -> Route | None:
    """Return the route with the most similar name."""
    by_lower = {route.name.lower(): route for route in ROUTES.values()}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None
