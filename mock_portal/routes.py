"""The published routes, and hints for requests that match none of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .errors import PortalError, SetupError, closest, suggest

# The paths of the two published base URLs: production and UAT.
PREFIXES = ("/api", "/apiv2")

# The only version of Send SMS.
API_VERSION = "1"

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

    def fits(self, values: Sequence[str]) -> bool:
        """Return whether these are as many path segments as the route has parameters."""
        return len(values) == len(self.params) and all(values)


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
        if route is not None and route.method == method and route.fits(values):
            return Match(route=route, params=dict(zip(route.params, values, strict=True)))
    return None


def explain(method: str, path: str) -> PortalError:
    """Return the error for a request without a route; it names the nearest route."""
    below = strip_prefix(path)
    name, *values = below.removeprefix("/").split("/")
    route = nearest(name)
    status, headers, reason = 404, {}, "the path has the wrong number of segments"
    if route is None:
        return PortalError(
            f"No route {method} {path}; there are {', '.join(ROUTES)}", status=status
        )
    if below == path:
        reason = "the path does not start with /api or /apiv2"
    elif name != route.name:
        reason = "paths are exact, and case-sensitive"
    elif route.method != method and route.fits(values):
        # A route has one method.
        status, headers, reason = 405, {"Allow": route.method}, f"{method} is the wrong method"
    message = (
        f"No route {method} {path}: {reason}; "
        f"the nearest route is {route.method} {PREFIXES[0]}{route.path}"
    )
    return PortalError(message, status=status, headers=headers)


def strip_prefix(path: str) -> str:
    """Return the path below the base URL."""
    _, _, below = path[1:].partition("/")
    return f"/{below}" if is_below_base(path) else path


def is_below_base(path: str) -> bool:
    """Return whether a path is below a base URL."""
    return path.startswith(_STARTS)


def check(name: str) -> None:
    """Raise an error unless a route has this name."""
    if name not in ROUTES:
        msg = f"There is no route {name!r}; {suggest(name, ROUTES)}"
        raise SetupError(msg)


def check_all(names: Iterable[str]) -> None:
    """Raise an error unless all these names are names of routes."""
    for name in names:
        check(name)


def nearest(name: str) -> Route | None:
    """Return the route with the most similar name."""
    return ROUTES.get(closest(name, ROUTES) or "")
