"""Faults between a client and the portal; a transport carries them out."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
import json
from random import Random
import re
from typing import Any

from . import routes, serialization
from .encoding import to_bytes
from .errors import SetupError
from .exchange import (
    ASSUMED,
    JSON_TYPE,
    Json,
    Response,
    Wire,
    check_header_value,
    check_headers,
    to_json,
)
from .filters import Filter, check_method
from .locking import locked
from .serialization import Checked

_MANY = 1_000_000_000
_DAY = 24 * 3600
_LARGEST = 64 * 1024 * 1024
# The headers of every answer.
_SPELLING = {
    name.lower(): name for name in ("Date", "Content-Type", "Connection", "server", *ASSUMED)
}
_WITHOUT_BODY = (204, 205, 304)
_NEVER = datetime.fromtimestamp(0, UTC)
_ICCID = re.compile(rb'("iccid":\s*")\d+')
_MAINTENANCE_PAGE = b"""<!DOCTYPE html>
<html><head><title>Maintenance</title></head>
<body><h1>Scheduled maintenance</h1><p>We will be back soon.</p></body></html>
"""


class FaultKind(StrEnum):
    """A kind of fault."""

    DELAY = "delay"
    STATUS = "status"
    STATUS_AFTERWARDS = "status_afterwards"
    RATE_LIMITED = "rate_limited"
    EMPTY_BODY = "empty_body"
    TRUNCATED_BODY = "truncated_body"
    GARBAGE = "garbage"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    WRONG_JSON_TYPE = "wrong_json_type"
    RESET_BEFORE_READ = "reset_before_read"
    RESET_AFTER_READ = "reset_after_read"
    SLOW_DRIP = "slow_drip"
    HANG = "hang"
    OVERSIZED_BODY = "oversized_body"
    MAINTENANCE_PAGE = "maintenance_page"
    WRONG_SIM = "wrong_sim"


@dataclass(kw_only=True)
class Fault(Checked):
    """One fault: which requests it hits, how often, and the details of its kind.

    `unknown_sim` allows the ICCID of a SIM that the portal does not have.
    """

    kind: FaultKind
    id: str = ""
    route: str | None = serialization.checked(None, routes.check)
    method: str | None = serialization.checked(None, check_method)
    iccid: str | None = None
    unknown_sim: bool = False
    after: int = serialization.checked(0, serialization.between(0, _MANY))
    times: int | None = serialization.checked(None, serialization.between(0, _MANY))
    probability: float = serialization.checked(1.0, serialization.between(0, 1))
    seed: int = 0
    seconds: float | None = serialization.checked(None, serialization.between(0, _DAY))
    status: int | None = serialization.checked(None, serialization.between(200, 599))
    body: Json = None
    headers: dict[str, str] = field(default_factory=dict, metadata={"check": check_headers})
    retry_after: str | None = serialization.checked(None, check_header_value)
    content_type: str | None = serialization.checked(None, check_header_value)
    size: int | None = serialization.checked(None, serialization.between(0, _LARGEST))
    other_iccid: str | None = None
    seen: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        """Reject details that the kind does not have, and fill in the defaults of its own."""
        details = KINDS[self.kind].details
        for name in _DETAILS:
            if getattr(self, name) is None or (name == "headers" and not self.headers):
                setattr(self, name, details.get(name, getattr(self, name)))
            elif name not in details:
                known = ", ".join(details) or "none"
                msg = f"A {self.kind} fault has no {name}; its details: {known}"
                raise SetupError(msg)
        has_body = self.body not in (None, "") or self.kind is FaultKind.MAINTENANCE_PAGE
        if has_body and self.status in _WITHOUT_BODY:
            msg = f"An answer with the status {self.status} has no body; choose another status"
            raise SetupError(msg)

    def check(self, iccids: Collection[str]) -> None:
        """Raise an error unless a request to a portal with these SIMs can be hit."""
        wanted = ("method", "route", "iccid", "unknown_sim")
        Filter(**{name: getattr(self, name) for name in wanted}).check(iccids)

    def matches(self, method: str, route: str | None, iccid: str | None) -> bool:
        """Return whether this request is hit, and count it."""
        if (
            self.method not in {None, method}
            or self.route not in {None, route}
            or self.iccid not in {None, iccid}
        ):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.fired >= self.times):
            return False
        if self.probability < 1 and self._draw() >= self.probability:
            return False
        self.fired += 1
        return True

    @property
    def lets_through(self) -> bool:
        """Return whether the portal handles the request before the fault."""
        return KINDS[self.kind].lets_through

    def apply(self, response: Response) -> Response:
        """Return the response with the fault applied."""
        return KINDS[self.kind].apply(self, response)

    def _draw(self) -> float:
        """Return a random number that depends only on seed and count, so that runs repeat."""
        return Random(f"{self.seed}:{self.seen}").random()  # noqa: S311


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a kind of fault does, and its details with their defaults."""

    description: str
    apply: Callable[[Fault, Response], Response]
    details: Mapping[str, Any] = field(default_factory=dict)
    lets_through: bool = True


def _replace_body(response: Response, body: bytes) -> Response:
    """Replace the body; the response is then no longer documented."""
    return replace(response, headers={**response.headers, **ASSUMED}, body=body)


def _headers(fault: Fault) -> dict[str, str]:
    """Return the headers of a fault, spelled like those that they replace."""
    return {_SPELLING.get(name.lower(), name): value for name, value in fault.headers.items()}


def _status(fault: Fault, _: Response) -> Response:
    """Return the status, the headers and the body of the fault."""
    text = isinstance(fault.body, str)
    body = to_bytes(str(fault.body)) if text else to_json(fault.body)
    return Response(
        status=fault.status or 0,
        headers={"Content-Type": "text/plain" if text else JSON_TYPE} | ASSUMED | _headers(fault),
        body=b"" if fault.body is None else body,
    )


def _rate_limited(fault: Fault, _: Response) -> Response:
    """Return a response that refuses too many requests."""
    retry_after = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    return Response(
        status=429, headers={"Content-Type": JSON_TYPE} | ASSUMED | retry_after, body=b"{}"
    )


def _garbage(fault: Fault, response: Response) -> Response:
    """Replace the body by bytes that are neither JSON nor text."""
    noise = Random(fault.seed).randbytes(fault.size or 0)  # noqa: S311
    return _replace_body(response, b"\xff" + noise[1:])


def _wrong_type(fault: Fault, response: Response) -> Response:
    """Replace the content type."""
    content_type = str(fault.content_type)
    return replace(response, headers={**response.headers, "Content-Type": content_type} | ASSUMED)


def _oversized(fault: Fault, response: Response) -> Response:
    """Pad the body with spaces, which keeps it valid."""
    return _replace_body(response, response.body.ljust(fault.size or 0))


def _maintenance(fault: Fault, _: Response) -> Response:
    """Return the page that an intermediary shows while the portal is down."""
    return Response(
        status=fault.status or 0,
        headers={"Content-Type": "text/html; charset=utf-8"} | ASSUMED | _headers(fault),
        body=_MAINTENANCE_PAGE,
    )


def _wrong_sim(fault: Fault, response: Response) -> Response:
    """Return the answer as if it were about another SIM; one that names no SIM stays as it is."""
    other = json.dumps(fault.other_iccid)[1:-1].encode()
    body = _ICCID.sub(lambda match: match[1] + other, response.body)
    return response if body == response.body else _replace_body(response, body)


KINDS = {
    FaultKind.DELAY: Kind(
        description="the answer comes after some seconds",
        details={"seconds": 1.0},
        apply=lambda fault, response: replace(response, seconds=fault.seconds or 0),
    ),
    FaultKind.STATUS: Kind(
        description="any status, body and headers; the request has no effect",
        details={"status": 500, "body": None, "headers": {}},
        apply=_status,
        lets_through=False,
    ),
    FaultKind.STATUS_AFTERWARDS: Kind(
        description="the request is handled, then answered with any status, body and headers",
        details={"status": 500, "body": None, "headers": {}},
        apply=_status,
    ),
    FaultKind.RATE_LIMITED: Kind(
        description="429, with Retry-After when retry_after is given; the request has no effect",
        details={"retry_after": None},
        apply=_rate_limited,
        lets_through=False,
    ),
    FaultKind.EMPTY_BODY: Kind(
        description="the answer without its body",
        apply=lambda _, response: _replace_body(response, b""),
    ),
    FaultKind.TRUNCATED_BODY: Kind(
        description="the first half of the answer, then the connection is closed",
        apply=lambda _, response: replace(response, wire=Wire.TRUNCATE),
    ),
    FaultKind.GARBAGE: Kind(
        description="random bytes that are no UTF-8",
        details={"size": 64},
        apply=_garbage,
    ),
    FaultKind.WRONG_CONTENT_TYPE: Kind(
        description="the right body under another content type",
        details={"content_type": "text/html"},
        apply=_wrong_type,
    ),
    FaultKind.WRONG_JSON_TYPE: Kind(
        description="valid JSON of a type nobody expects",
        details={"body": True},
        apply=lambda fault, response: _replace_body(response, to_json(fault.body)),
    ),
    FaultKind.RESET_BEFORE_READ: Kind(
        description="the connection is reset; the request has no effect",
        apply=lambda _, response: replace(response, wire=Wire.RESET),
        lets_through=False,
    ),
    FaultKind.RESET_AFTER_READ: Kind(
        description="the request is handled, then the connection is reset without an answer",
        apply=lambda _, response: replace(response, wire=Wire.RESET),
    ),
    FaultKind.SLOW_DRIP: Kind(
        description="the body comes byte by byte, some seconds apart",
        details={"seconds": 0.05},
        apply=lambda fault, response: replace(response, wire=Wire.DRIP, seconds=fault.seconds or 0),
    ),
    FaultKind.HANG: Kind(
        description="no answer ever comes; the request has no effect",
        apply=lambda _, response: replace(response, wire=Wire.HANG),
        lets_through=False,
    ),
    FaultKind.OVERSIZED_BODY: Kind(
        description="the answer, filled up with spaces to a size",
        details={"size": 16 * 1024 * 1024},
        apply=_oversized,
    ),
    FaultKind.MAINTENANCE_PAGE: Kind(
        description="an HTML page in place of any answer, also of the log-in; the request has no effect",
        details={"status": 503, "headers": {}},
        apply=_maintenance,
        lets_through=False,
    ),
    FaultKind.WRONG_SIM: Kind(
        description="the answer names another SIM, where it names one",
        details={"other_iccid": "8931080000000099993"},
        apply=_wrong_sim,
    ),
}
_DETAILS = tuple(
    f.name for f in fields(Fault) if any(f.name in kind.details for kind in KINDS.values())
)


class Faults:
    """The faults, in the order they were added; the first that matches a request applies."""

    def __init__(
        self, lock: AbstractContextManager[object], iccids: Callable[[], Collection[str]]
    ) -> None:
        """Start without faults; `iccids` returns the ICCIDs that a client can ask for."""
        self.lock = lock
        self._iccids = iccids
        self._faults: dict[str, Fault] = {}
        self._numbers = count(1)

    @locked
    def __iter__(self) -> Iterator[Fault]:
        """Iterate over the faults that there are now."""
        return iter(list(self._faults.values()))

    def __len__(self) -> int:
        """Return the number of faults."""
        return len(self._faults)

    def add(self, kind: str, **options: object) -> Fault:
        """Add a fault; the options are the fields of `Fault`."""
        return self.put(serialization.load(Fault, {"kind": kind, **options}, "fault", _NEVER))

    @locked
    def put(self, fault: Fault) -> Fault:
        """Add a fault, and give it an id if it has none; one that can never hit is an error."""
        fault.check(self._iccids())
        if not fault.id:
            ids = (f"fault-{number}" for number in self._numbers)
            fault.id = next(fault_id for fault_id in ids if fault_id not in self._faults)
        self._faults[fault.id] = fault
        return fault

    @locked
    def remove(self, fault_id: str) -> None:
        """Remove one fault."""
        if fault_id not in self._faults:
            msg = f"There is no fault {fault_id!r}; there are {', '.join(self._faults) or 'none'}"
            raise SetupError(msg)
        del self._faults[fault_id]

    @locked
    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def pick(self, method: str, route: str | None, iccid: str | None) -> Fault | None:
        """Return the first fault that hits this request; `Portal.handle` holds the lock."""
        for fault in self._faults.values():
            if fault.matches(method, route, iccid):
                return fault
        return None
