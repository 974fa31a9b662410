"""The control interface under `/_mock/`: what Python code does with a portal, over HTTP."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
import re
from typing import Any, TypedDict

from . import control_openapi, overview, routes, scenario, serialization
from .backend import Backend
from .checks import Check
from .contents import Sms
from .control_openapi import Operation
from .dialects import DIALECTS
from .encoding import from_json
from .errors import CheckFailedError, SetupError, UnknownNameError
from .exchange import (
    CONTROL,
    JSON_TYPE,
    YAML_TYPE,
    ExchangeRecord,
    Json,
    Record,
    Request,
    Response,
    to_json,
)
from .faults import KINDS, Fault
from .filters import Filter
from .journal import NearMiss, WebhookRecord, between
from .pages import PAGES
from .scenario import Scenario
from .serialization import Seconds
from .sim import STATUSES, Sim, check_status

PREFIX = "/_mock"

_SECONDS = serialization.between(0, 365 * 24 * 3600)
_COUNT = serialization.between(0, 10**15)


class SessionAction(StrEnum):
    """An action on a session."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, kw_only=True)
class JournalQuery(Filter):
    """Query of `GET /_mock/journal`; `limit` keeps the newest."""

    after: int = serialization.checked(0, _COUNT)
    before: int | None = serialization.checked(None, _COUNT)
    limit: int | None = serialization.checked(None, _COUNT)

    def newest[T](self, found: Sequence[T]) -> list[T]:
        """Return as many of the last as the limit allows."""
        return list(found)[0 if self.limit is None else max(len(found) - self.limit, 0) :]


@dataclass(kw_only=True)
class ClockChange:
    """Body of `POST /_mock/clock`; the fields are applied in this order."""

    set: datetime | None = None
    advance: Seconds = 0.0
    freeze: bool | None = None


@dataclass(kw_only=True)
class StatusChange:
    """Body of `POST /_mock/sims/{iccid}/status`."""

    status: str = field(metadata={"check": check_status})
    after: Seconds = field(default=0.0, metadata={"check": _SECONDS})


@dataclass(kw_only=True)
class SessionChange:
    """Body of `POST /_mock/sims/{iccid}/session`."""

    action: SessionAction
    ip_address: str | None = None
    after: Seconds = field(default=0.0, metadata={"check": _SECONDS})


@dataclass(kw_only=True)
class ImeiChange:
    """Body of `POST /_mock/sims/{iccid}/imei`."""

    imei: str
    after: Seconds = field(default=0.0, metadata={"check": _SECONDS})


@dataclass(kw_only=True)
class IncomingSms:
    """Body of `POST /_mock/sms`: a text message from a SIM."""

    iccid: str
    text: str


class Health(TypedDict):
    """The health of the portal, with a few numbers."""

    status: str
    now: str
    sims: int
    requests: int


class ClockAnswer(TypedDict):
    """The virtual time."""

    now: str
    frozen: bool


class JournalAnswer(TypedDict):
    """The journal, or a part of it; `first_number` is the oldest that is still there."""

    total: int
    logins: int
    peak_rate: int
    peak_width: int
    first_number: int
    near_misses: list[NearMiss]
    webhooks: list[WebhookRecord]
    exchanges: list[ExchangeRecord]


class NotFoundError(SetupError):
    """No such endpoint, SIM or fault exists."""


class WrongMethodError(SetupError):
    """The endpoint exists, but not with this method."""

    def __init__(self, message: str, allowed: str) -> None:
        """Store the message, and the methods that the endpoint has."""
        super().__init__(message)
        self.allowed = allowed


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlRequest:
    """A control request, the backend it is for, and the value in its path."""

    backend: Backend
    request: Request
    item: str = ""

    @property
    def now(self) -> datetime:
        """Return the virtual time."""
        return self.backend.clock.now()

    @property
    def body(self) -> Any:
        """Return the JSON of the request."""
        try:
            return from_json(self.request.body, unique_names=True)
        except ValueError as err:
            msg = f"The body is not well-formed JSON: {err}"
            raise SetupError(msg) from err

    @property
    def sim(self) -> Sim:
        """Return the SIM named by the path."""
        try:
            return self.backend.sims[self.item]
        except UnknownNameError as err:
            raise NotFoundError(str(err)) from err

    @property
    def mapping(self) -> dict[str, Any]:
        """Return the body, which must be a JSON object."""
        body = self.body
        if not isinstance(body, dict):
            msg = "The body is not a JSON object"
            raise SetupError(msg)
        return body

    def read[T](self, shape: type[T]) -> T:
        """Return the body as a dataclass."""
        return serialization.load(shape, self.body, "body", self.now)

    def read_query[T](self, shape: type[T]) -> T:
        """Return the query as a dataclass."""
        query = self.request.query
        return serialization.load(shape, serialization.parse(shape, query), "query", self.now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint(Operation):
    """One control endpoint."""

    act: Callable[[ControlRequest], object]


def handle(backend: Backend, request: Request) -> Response:
    """Carry out a control request."""
    try:
        endpoint, item = _find(request)
        value = endpoint.act(ControlRequest(backend=backend, request=request, item=item))
    except NotFoundError as err:
        return refuse(str(err), status=404)
    except CheckFailedError as err:
        return refuse(str(err), status=409)
    except WrongMethodError as err:
        return refuse(str(err), status=405, headers={"Allow": err.allowed})
    except SetupError as err:
        return refuse(str(err))
    return value if isinstance(value, Response) else _answer(value)


def refuse(
    message: str, *, status: int = 400, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with an error."""
    return _answer({"error": message}, status, headers)


def _answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with JSON."""
    headers = {"Content-Type": JSON_TYPE, **CONTROL, **(headers or {})}
    return Response(status=status, headers=headers, body=to_json(value))


def _find(request: Request) -> tuple[Endpoint, str]:
    """Return the endpoint of a request, and the value in its path; HEAD is answered like GET."""
    path = request.path.removeprefix(PREFIX).strip("/")
    method = "GET" if request.method == "HEAD" else request.method
    allowed = []
    for endpoint in ENDPOINTS:
        pattern = re.sub(r"\{\w+\}", "([^/]+)", endpoint.path)
        match = re.fullmatch(pattern, path)
        if match and endpoint.method == method:
            return endpoint, "".join(match.groups())
        if match:
            allowed.append(endpoint.method)
    if allowed:
        known = ", ".join(allowed)
        msg = f"{request.method} is the wrong method for {request.path}; it has {known}"
        raise WrongMethodError(msg, known)
    msg = f"There is no {request.method} {request.path}; GET {PREFIX}/ lists what there is"
    raise NotFoundError(msg)


def _help(_: ControlRequest) -> Json:
    """Return a description of this interface."""
    return {
        "pages": {f"GET {path}": page.description for path, page in PAGES.items()},
        "routes": [f"{route.method} {route.path}" for route in routes.ROUTES.values()],
        "endpoints": {
            f"{endpoint.method} {PREFIX}/{endpoint.path}": endpoint.description
            for endpoint in ENDPOINTS
        },
        "dialects": {
            dialect.name: {variant.name: variant.description for variant in dialect.variants}
            for dialect in DIALECTS.values()
        },
        "defaults": {dialect.name: dialect.variants[0].name for dialect in DIALECTS.values()},
        "faults": {
            kind: {"description": described.description, "details": dict(described.details)}
            for kind, described in KINDS.items()
        },
        "statuses": [*STATUSES],
        "scenarios": [*scenario.shipped()],
    }


def _openapi(call: ControlRequest) -> Response:
    """Return the description of this interface."""
    import yaml  # noqa: PLC0415  takes a while to load

    document = control_openapi.describe(call.request.root, PREFIX, ENDPOINTS)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return Response(headers={"Content-Type": YAML_TYPE, **CONTROL}, body=text.encode())


def _health(call: ControlRequest) -> Health:
    """Return the health of the portal, with a few numbers."""
    backend = call.backend
    return {
        "status": "ok",
        "now": backend.clock.now().isoformat(),
        "sims": len(backend.sims),
        "requests": backend.journal.total,
    }


def _overview(call: ControlRequest) -> Json:
    """Return the portal in short."""
    shown = overview.show(call.backend, call.read_query(overview.OverviewQuery))
    return serialization.dump(shown, with_defaults=True)


def _journal(call: ControlRequest) -> JournalAnswer:
    """Return the journal, or the part of it that the query asks for."""
    journal, query = call.backend.journal, call.read_query(JournalQuery)
    found = journal.find(
        query.method,
        query.path,
        route=query.route,
        iccid=query.iccid,
        unknown_sim=query.unknown_sim,
        after=query.after,
        before=query.before,
    )
    misses = between(journal.near_misses, query.after, query.before)
    return {
        "total": journal.total,
        "logins": journal.logins,
        "peak_rate": journal.peak_rate,
        "peak_width": journal.peak_width,
        "first_number": journal.first_number,
        "near_misses": query.newest(misses),
        "webhooks": query.newest(journal.webhooks),
        "exchanges": [exchange.as_dict() for exchange in query.newest(found)],
    }


def _verify(call: ControlRequest) -> Json:
    """Check the requests so far."""
    return {"ok": True, **call.backend.journal.verify(call.read(Check))}


def _clear_journal(call: ControlRequest) -> Json:
    """Empty the journal."""
    call.backend.journal.clear()
    return {}


def _reset(call: ControlRequest) -> Json:
    """Load the current scenario again."""
    call.backend.reset()
    return {}


def _dialects(call: ControlRequest) -> Json:
    """Return the chosen variant of each dialect."""
    return dict(call.backend.dialects)


def _set_dialects(call: ControlRequest) -> Json:
    """Switch the dialects named in the body."""
    call.backend.dialects.update(call.mapping)
    return _dialects(call)


def _faults(call: ControlRequest) -> Json:
    """Return the faults."""
    return [serialization.dump(fault) for fault in call.backend.faults]


def _add_fault(call: ControlRequest) -> Json:
    """Add a fault."""
    return serialization.dump(call.backend.faults.put(call.read(Fault)))


def _remove_fault(call: ControlRequest) -> Json:
    """Remove one fault."""
    try:
        call.backend.faults.remove(call.item)
    except SetupError as err:
        raise NotFoundError(str(err)) from err
    return {}


def _clear_faults(call: ControlRequest) -> Json:
    """Remove all faults."""
    call.backend.faults.clear()
    return {}


def _sims(call: ControlRequest) -> Json:
    """Return all SIMs."""
    return {
        iccid: serialization.dump(sim, with_defaults=True)
        for iccid, sim in call.backend.sims.items()
    }


def _sim(call: ControlRequest) -> Json:
    """Return a SIM."""
    return serialization.dump(call.sim, with_defaults=True)


def _patch_sim(call: ControlRequest) -> Json:
    """Change fields of a SIM."""
    sim, changes = call.sim, call.mapping
    if changes.get("iccid", sim.iccid) != sim.iccid:
        msg = "A SIM keeps its ICCID"
        raise SetupError(msg)
    if isinstance(changes.get("device"), dict):
        changes["device"] = sim.device | changes["device"]
    serialization.update(sim, changes, "body", call.now)
    return _sim(call)


def _put_sim(call: ControlRequest) -> Json:
    """Add a SIM, or replace the one that has its ICCID."""
    given = {"iccid": call.item, **call.mapping}
    if given["iccid"] != call.item:
        msg = "The body names another SIM than the path"
        raise SetupError(msg)
    sim = serialization.load(Sim, given, "body", call.now)
    return serialization.dump(call.backend.state.add_sim(sim), with_defaults=True)


def _status(call: ControlRequest) -> Json:
    """Change a SIM's status."""
    sim, change = call.sim, call.read(StatusChange)
    sim.set_status(change.status, after=change.after)
    return _sim(call)


def _session(call: ControlRequest) -> Json:
    """Open or close a SIM's session."""
    sim, change = call.sim, call.read(SessionChange)
    if change.action is SessionAction.OPEN:
        sim.open_session(change.ip_address, after=change.after)
    else:
        sim.close_session(after=change.after)
    return _sim(call)


def _imei(call: ControlRequest) -> Json:
    """Move a SIM to another device."""
    change = call.read(ImeiChange)
    call.sim.swap_imei(change.imei, after=change.after)
    return _sim(call)


def _incoming_sms(call: ControlRequest) -> Json:
    """Add a text message from a SIM."""
    given = call.read(IncomingSms)
    return serialization.dump(call.backend.state.receive_sms(given.iccid, given.text))


def _revoke_tokens(call: ControlRequest) -> Json:
    """Revoke all tokens."""
    call.backend.state.revoke_tokens()
    return {}


def _clock(call: ControlRequest) -> ClockAnswer:
    """Move, freeze or set the clock."""
    clock, change = call.backend.clock, call.read(ClockChange)
    if change.set is not None:
        clock.set(change.set)
    if change.advance:
        clock.advance(change.advance)
    if change.freeze is not None:
        (clock.freeze if change.freeze else clock.unfreeze)()
    return {"now": clock.now().isoformat(), "frozen": clock.frozen}


def _snapshot(call: ControlRequest) -> Json:
    """Return everything but the journal, in the form of a scenario."""
    return call.backend.snapshot()


def _restore(call: ControlRequest) -> Json:
    """Restore a snapshot."""
    call.backend.restore(call.mapping)
    return {}


def _load_scenario(call: ControlRequest) -> Health:
    """Load another scenario: by its name, or its content."""
    call.backend.load(call.body, allow_files=False)
    return _health(call)


_SCENARIO: Record = {
    "anyOf": [
        {"enum": [*scenario.shipped()]},
        {"type": "object", "description": "like a snapshot, all of it optional; see the README"},
    ]
}
_DIALECTS: Record = {
    "type": "object",
    "properties": {
        dialect.name: {"enum": [variant.name for variant in dialect.variants]}
        for dialect in DIALECTS.values()
    },
    "additionalProperties": False,
}
ENDPOINTS = (
    Endpoint(method="GET", path="", description="this page", answer=dict[str, Json], act=_help),
    Endpoint(
        method="GET",
        path="openapi.yaml",
        description="this interface as OpenAPI",
        answer=Response,
        act=_openapi,
    ),
    Endpoint(
        method="GET", path="health", description="is the portal up?", answer=Health, act=_health
    ),
    Endpoint(
        method="GET",
        path="overview",
        description="everything but the journal, in short; filters for the SIMs: search, limit",
        query=overview.OverviewQuery,
        answer=overview.Overview,
        act=_overview,
    ),
    Endpoint(
        method="GET",
        path="journal",
        description=f"the requests so far; filters: {', '.join(f.name for f in fields(JournalQuery))}",
        query=JournalQuery,
        answer=JournalAnswer,
        act=_journal,
    ),
    Endpoint(
        method="POST",
        path="verify",
        description=(
            '{"method": "PUT", "path": "/SendSMS/*", "times": 1}: 200 if that holds, 409 if not'
        ),
        body=Check,
        answer=dict[str, bool | int],
        act=_verify,
    ),
    Endpoint(method="DELETE", path="journal", description="empty the journal", act=_clear_journal),
    Endpoint(method="POST", path="reset", description="start the scenario over", act=_reset),
    Endpoint(
        method="POST",
        path="scenario",
        description="start over with another scenario: its name, or its content",
        body=_SCENARIO,
        answer=Health,
        act=_load_scenario,
    ),
    Endpoint(
        method="GET",
        path="snapshot",
        description="everything but the journal, in the form of a scenario",
        answer=Scenario,
        act=_snapshot,
    ),
    Endpoint(
        method="PUT",
        path="snapshot",
        description="go back to a snapshot",
        body=Scenario,
        act=_restore,
    ),
    Endpoint(
        method="GET",
        path="dialects",
        description="what the dialects are switched to",
        answer=dict[str, str],
        act=_dialects,
    ),
    Endpoint(
        method="PUT",
        path="dialects",
        description='switch those named: {"usage_body": "object"}',
        body=_DIALECTS,
        answer=dict[str, str],
        act=_set_dialects,
    ),
    Endpoint(
        method="GET", path="faults", description="the faults", answer=list[Fault], act=_faults
    ),
    Endpoint(
        method="POST",
        path="faults",
        description='add one: {"kind": "delay", "seconds": 3, "route": "ctdUsage", "times": 1}',
        body=Fault,
        answer=Fault,
        act=_add_fault,
    ),
    Endpoint(method="DELETE", path="faults", description="remove all", act=_clear_faults),
    Endpoint(method="DELETE", path="faults/{id}", description="remove one", act=_remove_fault),
    Endpoint(method="GET", path="sims", description="all SIMs", answer=dict[str, Sim], act=_sims),
    Endpoint(method="GET", path="sims/{iccid}", description="one SIM", answer=Sim, act=_sim),
    Endpoint(
        method="PUT",
        path="sims/{iccid}",
        description='add a SIM, or replace it: {"status": "INVENTORY"}',
        body=Sim,
        is_partial=True,
        answer=Sim,
        act=_put_sim,
    ),
    Endpoint(
        method="PATCH",
        path="sims/{iccid}",
        description='change fields at once: {"status": "ACTIVATED", "data_usage": 1000}',
        body=Sim,
        is_partial=True,
        answer=Sim,
        act=_patch_sim,
    ),
    Endpoint(
        method="POST",
        path="sims/{iccid}/status",
        description='change the status, with all that follows: {"status": "DEACTIVATED", "after": 60}',
        body=StatusChange,
        answer=Sim,
        act=_status,
    ),
    Endpoint(
        method="POST",
        path="sims/{iccid}/session",
        description='{"action": "open"} or {"action": "close", "after": 60}',
        body=SessionChange,
        answer=Sim,
        act=_session,
    ),
    Endpoint(
        method="POST",
        path="sims/{iccid}/imei",
        description='move the SIM to another device: {"imei": "3569380012345678"}',
        body=ImeiChange,
        answer=Sim,
        act=_imei,
    ),
    Endpoint(
        method="POST",
        path="sms",
        description='a text message from a SIM: {"iccid": "8931...", "text": "Hello"}',
        body=IncomingSms,
        answer=Sms,
        act=_incoming_sms,
    ),
    Endpoint(
        method="DELETE",
        path="tokens",
        description="revoke all tokens, so that every client has to log in again",
        act=_revoke_tokens,
    ),
    Endpoint(
        method="POST",
        path="clock",
        description='{"advance": 3600}, {"freeze": true} or {"set": "2025-01-31T12:00:00Z"}',
        body=ClockChange,
        answer=ClockAnswer,
        act=_clock,
    ),
)
