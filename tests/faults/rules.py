"""The expectations of the fault matrix, in two tables: what a fault means, and what depends on a route.

They follow docs/api.md and the promises to users, not the integration's code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Any, Final

from mock_portal.faults import KINDS, FaultKind
from mock_portal.routes import ROUTES

type Keys = frozenset[str]

# In seconds; the timeout of the client is between the two.
SHORT: Final = 0.001
LONG: Final = 5.0


class Meaning(StrEnum):
    """The meaning of a fault for the client."""

    HARMLESS = "harmless"
    LOST = "lost"
    GATEWAY = "gateway"
    ERROR = "error"
    BAD_REQUEST = "bad_request"
    # The portal's own words under 4xx: it has done nothing.
    REFUSED = "refused"
    BUSY = "busy"
    UNAUTHORIZED = "unauthorized"
    # Not the portal's words, so they do not say that a write was not carried out.
    UNAUTHORIZED_PAGE = "unauthorized_page"
    CREDENTIALS = "credentials"
    FORBIDDEN = "forbidden"
    NOT_OFFERED = "not_offered"
    # The portal's own code under a status that says otherwise.
    NO_ACCESS = "no_access"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    BLANK = "blank"
    # Something that cannot be the portal's answer to this request.
    FOREIGN = "foreign"


_BY_STATUS: Final = {
    400: Meaning.BAD_REQUEST,
    401: Meaning.UNAUTHORIZED,
    403: Meaning.FORBIDDEN,
    404: Meaning.MISSING,
    500: Meaning.ERROR,
    501: Meaning.NOT_OFFERED,
    502: Meaning.GATEWAY,
    503: Meaning.BUSY,
    504: Meaning.GATEWAY,
}

# The first table: every kind of fault, with details for each meaning that it can have.
FAULTS: Final[Mapping[FaultKind, tuple[tuple[Meaning, dict[str, Any]], ...]]] = {
    FaultKind.DELAY: (
        (Meaning.HARMLESS, {"seconds": SHORT}),
        (Meaning.LOST, {"seconds": LONG}),
    ),
    FaultKind.STATUS: (
        *((meaning, {"status": status}) for status, meaning in _BY_STATUS.items()),
        (Meaning.REFUSED, {"status": 400, "body": {"errorMessage": "This cannot be done"}}),
        (Meaning.UNAUTHORIZED_PAGE, {"status": 401, "body": "<html>"}),
        # What only the portal itself can say.
        (Meaning.CREDENTIALS, {"status": 401, "body": {"errorCode": "10000001"}}),
        (Meaning.NO_ACCESS, {"status": 503, "body": {"errorCode": "10000030"}}),
    ),
    FaultKind.STATUS_AFTERWARDS: (
        (Meaning.ERROR, {"status": 520}),
        (Meaning.ERROR, {"status": 500, "body": "<html>"}),
    ),
    FaultKind.RATE_LIMITED: (
        (Meaning.BUSY, {}),
        (Meaning.BUSY, {"retry_after": "30"}),
    ),
    FaultKind.EMPTY_BODY: ((Meaning.BLANK, {}),),
    FaultKind.TRUNCATED_BODY: ((Meaning.LOST, {}),),
    FaultKind.GARBAGE: ((Meaning.UNREADABLE, {}),),
    FaultKind.WRONG_CONTENT_TYPE: ((Meaning.HARMLESS, {}),),
    FaultKind.WRONG_JSON_TYPE: ((Meaning.BLANK, {}),),
    FaultKind.RESET_BEFORE_READ: ((Meaning.LOST, {}),),
    FaultKind.RESET_AFTER_READ: ((Meaning.LOST, {}),),
    FaultKind.SLOW_DRIP: (
        (Meaning.HARMLESS, {"seconds": 0, "times": 1}),
        (Meaning.LOST, {"seconds": LONG}),
    ),
    FaultKind.HANG: ((Meaning.LOST, {}),),
    FaultKind.OVERSIZED_BODY: ((Meaning.LOST, {}),),
    FaultKind.MAINTENANCE_PAGE: (
        (Meaning.BUSY, {}),
        (Meaning.FOREIGN, {"status": 200}),
    ),
    FaultKind.WRONG_SIM: ((Meaning.FOREIGN, {}),),
}
# The routes whose answers name a SIM; the others cannot be told to be about another one.
NAMING_ROUTES: Final = frozenset(
    {"ctdUsage", "GetDevice", "sessionInfo", "GetSMS", "RequestStatusChange", "EditDevice"}
)


class Phase(StrEnum):
    """The time at which a fault occurs."""

    SET_UP = "set-up"
    POLL = "poll"
    ACTION = "action"


def _keys(platform: str, *keys: str) -> Keys:
    """Return keys of entities of a SIM."""
    return frozenset(f"{platform}.{key}" for key in keys)


STATUS: Final = _keys("sensor", "status") | _keys("switch", "active")
BUDGET: Final = _keys("sensor", "data_remaining", "allowance_used") | _keys(
    "binary_sensor", "projected_overage"
)
USAGE: Final = BUDGET | _keys(
    "sensor",
    *("data_usage", "data_used_today", "sms_usage", "voice_usage", "session_count"),
    *("imei", "imsi", "msisdn", "projected_usage"),
)
SESSION: Final = _keys("sensor", "last_ip", "session_started", "session_ended") | _keys(
    "binary_sensor", "data_session"
)
DEVICE: Final = BUDGET | _keys(
    "sensor", "rate_plan", "date_activated", "communication_plan", "customer", "fixed_ip"
)
_OF_A_KNOWN_SIM: Final = _keys("binary_sensor", "change_pending") | _keys(
    "sensor", "next_billing_date"
)
SIM: Final = STATUS | USAGE | SESSION | DEVICE | _OF_A_KNOWN_SIM
# These stay available once the SIM has been read.
CONTROLS: Final = _keys("button", "refresh") | _keys("notify", "send_sms")
EVENTS: Final = _keys("event", "sim_event", "sms_event")
LAST_RECEIVED: Final = _keys("sensor", "last_received_sms")
NOTHING: Final[Keys] = frozenset()


class Recovery(Enum):
    """What is needed for a recovery once the fault has ended."""

    BY_ITSELF = auto()
    BY_A_REFRESH = auto()
    BY_A_LOG_IN = auto()


_REFUSALS: Final = frozenset({Meaning.FORBIDDEN, Meaning.NOT_OFFERED, Meaning.NO_ACCESS})


@dataclass(frozen=True, kw_only=True)
class RouteEffects:
    """The effects of a route; `fails` are the entities that are unavailable without it.

    The action succeeds in spite of the meanings in `tolerated`; `error_keys` are its errors that differ from those of
    other requests.
    """

    action: str
    data: Mapping[str, Any] = field(default_factory=dict)
    fails: Keys = NOTHING
    refused: Keys = NOTHING
    # The entities that a 404 makes unavailable; for sessions it only means that there was none.
    missing: Keys = NOTHING
    is_retried_daily: bool = False
    absent: Keys = NOTHING
    watches_sms: bool = False
    tolerated: frozenset[Meaning] = frozenset()
    error_keys: Mapping[Meaning, str] = field(default_factory=dict)


_ANY: Final = frozenset(Meaning)
_UNREADABLE_BODIES: Final = frozenset({Meaning.UNREADABLE, Meaning.BLANK})
# Only the portal's own words refuse a write, and a token that it rejects twice.
_REFUSED_WRITES: Final = frozenset(
    {Meaning.REFUSED, Meaning.UNAUTHORIZED, Meaning.CREDENTIALS, Meaning.NO_ACCESS}
)
_WRITE_ERROR_KEYS: Final = dict.fromkeys(_ANY - _REFUSED_WRITES, "outcome_unknown")

# The second table.
ROUTE_EFFECTS: Final[Mapping[str, RouteEffects]] = {
    "Login": RouteEffects(action="list_sms", fails=SIM, refused=SIM, missing=SIM),
    "ctdUsage": RouteEffects(
        action="get_sim",
        fails=SIM,
        refused=USAGE,
        missing=SIM,
        is_retried_daily=True,
        tolerated=_ANY,
    ),
    "GetDevice": RouteEffects(
        action="get_sim",
        fails=DEVICE,
        refused=DEVICE,
        missing=DEVICE,
        is_retried_daily=True,
        tolerated=_ANY,
    ),
    "sessionInfo": RouteEffects(
        action="get_sim", fails=SESSION, refused=SESSION, is_retried_daily=True, tolerated=_ANY
    ),
    # A poll asks for this if the network reports no usage.
    "getStatus": RouteEffects(
        action="get_sim",
        fails=SIM,
        refused=SIM,
        missing=SIM,
        absent=USAGE,
        tolerated=_REFUSALS | {Meaning.BLANK},
    ),
    "GetSMS": RouteEffects(
        action="get_sms",
        data={"sms_id": "4711"},
        watches_sms=True,
        error_keys={Meaning.MISSING: "sms_not_found"},
    ),
    "GetSMSIds": RouteEffects(action="list_sms", watches_sms=True, is_retried_daily=True),
    "SendSMS": RouteEffects(
        action="send_sms",
        data={"message": "Hello"},
        tolerated=_UNREADABLE_BODIES,
        error_keys=_WRITE_ERROR_KEYS,
    ),
    "RequestStatusChange": RouteEffects(
        action="request_status_change",
        data={"status": "activated"},
        tolerated=_UNREADABLE_BODIES,
        error_keys=_WRITE_ERROR_KEYS | dict.fromkeys(_REFUSED_WRITES - _REFUSALS, "status_refused"),
    ),
    "EditDevice": RouteEffects(
        action="edit_device",
        data={"changes": {"status": "activated", "simNotes": "Spare"}},
        tolerated=_UNREADABLE_BODIES,
        error_keys=_WRITE_ERROR_KEYS,
    ),
    "BulkEditDevice": RouteEffects(
        action="bulk_edit_devices",
        data={"changes": {"status": "activated"}},
        tolerated=_UNREADABLE_BODIES,
        error_keys=_WRITE_ERROR_KEYS,
    ),
    "RuleUpdate": RouteEffects(
        action="update_rule",
        data={"rule": {"name": "Cap"}},
        tolerated=_UNREADABLE_BODIES,
        error_keys=_WRITE_ERROR_KEYS,
    ),
}

_ERROR_KEYS: Final[Mapping[Meaning, str]] = {
    Meaning.LOST: "cannot_connect",
    Meaning.GATEWAY: "portal_error",
    Meaning.ERROR: "portal_error",
    Meaning.BAD_REQUEST: "portal_error",
    Meaning.REFUSED: "portal_error",
    Meaning.BUSY: "rate_limited",
    Meaning.UNAUTHORIZED: "portal_error",
    Meaning.UNAUTHORIZED_PAGE: "portal_error",
    Meaning.CREDENTIALS: "portal_error",
    Meaning.FORBIDDEN: "not_available",
    Meaning.NOT_OFFERED: "not_available",
    Meaning.NO_ACCESS: "not_available",
    Meaning.MISSING: "not_found",
    Meaning.UNREADABLE: "portal_error",
    Meaning.BLANK: "portal_error",
    Meaning.FOREIGN: "portal_error",
}
# A response that says nothing about the credentials is an ordinary error of the portal.
_LOGIN_ERROR_KEYS: Final = {
    Meaning.BAD_REQUEST: "authentication_failed",
    Meaning.REFUSED: "authentication_failed",
    Meaning.UNAUTHORIZED: "authentication_failed",
    Meaning.UNAUTHORIZED_PAGE: "authentication_failed",
    Meaning.CREDENTIALS: "authentication_failed",
    Meaning.FORBIDDEN: "authentication_failed",
    Meaning.NOT_OFFERED: "portal_error",
    Meaning.NO_ACCESS: "portal_error",
    Meaning.MISSING: "portal_error",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One route, fault and phase, with the expectations that follow from the tables."""

    route: str
    kind: FaultKind
    details: Mapping[str, Any]
    meaning: Meaning
    phase: Phase

    def __str__(self) -> str:
        """Return the name of the cell."""
        details = "".join(f"={value}" for value in self.details.values())
        return f"{self.phase} {self.route} {self.kind}{details}"

    @property
    def effects(self) -> RouteEffects:
        """Return the effects of the route."""
        return ROUTE_EFFECTS[self.route]

    @property
    def is_write(self) -> bool:
        """Return whether the route is a write."""
        return ROUTES[self.route].method == "PUT"

    @property
    def affects_all_sims(self) -> bool:
        """Return whether the fault affects all SIMs of the account."""
        return self.route == "Login"

    @property
    def present(self) -> Keys:
        """Return the entities of the SIM without the fault."""
        return (SIM | CONTROLS | EVENTS) - self.effects.absent

    @property
    def lost(self) -> Keys:
        """Return the entities that are unavailable during the fault."""
        if self.phase is Phase.ACTION or self.meaning is Meaning.HARMLESS:
            return NOTHING
        row = self.effects
        lost = row.fails
        if self.meaning in _REFUSALS:
            lost = row.refused
        elif self.meaning is Meaning.MISSING:
            lost = row.missing
        if lost == SIM and self.phase is Phase.SET_UP:
            lost |= CONTROLS
            if self.affects_all_sims:
                lost |= EVENTS
        return lost & self.present

    @property
    def is_outage(self) -> bool:
        """Return whether the whole SIM is unavailable, which is logged."""
        return self.lost >= STATUS

    @property
    def log_lines(self) -> int:
        """Return the number of log messages during the fault; Home Assistant logs each setup retry."""
        tries_again = (self.route, self.phase) == ("Login", Phase.SET_UP)
        return int(self.is_outage) * (2 if tries_again and not self.refuses_credentials else 1)

    @property
    def refuses_credentials(self) -> bool:
        """Return whether the portal refuses the credentials."""
        return self.route == "Login" and self.meaning is Meaning.CREDENTIALS

    @property
    def asks_for_credentials(self) -> bool:
        """Return whether a person is asked for credentials: without a code of the portal's after hours only."""
        is_refused_for_hours = (self.route, self.phase) == ("Login", Phase.POLL) and (
            _LOGIN_ERROR_KEYS.get(self.meaning) == "authentication_failed"
        )
        return self.refuses_credentials or is_refused_for_hours

    @property
    def recovery(self) -> Recovery:
        """Return what is needed for a recovery."""
        if self.refuses_credentials:
            return Recovery.BY_A_LOG_IN
        if self.effects.is_retried_daily and self.meaning in _REFUSALS:
            return Recovery.BY_A_REFRESH
        return Recovery.BY_ITSELF

    @property
    def logs_recovery(self) -> bool:
        """Return whether the recovery is logged; the setup of an account logs none."""
        starts = self.recovery is Recovery.BY_A_LOG_IN or (self.route, self.phase) == (
            "Login",
            Phase.SET_UP,
        )
        return self.is_outage and not starts

    @property
    def error(self) -> str | None:
        """Return the translation key of the action's error."""
        if self.meaning is Meaning.HARMLESS or self.meaning in self.effects.tolerated:
            return None
        error_keys = _LOGIN_ERROR_KEYS if self.route == "Login" else self.effects.error_keys
        return error_keys.get(self.meaning, _ERROR_KEYS[self.meaning])

    @property
    def is_carried_out(self) -> bool:
        """Return whether the portal carries out a write, whatever it answers."""
        return KINDS[self.kind].lets_through

    @property
    def events(self) -> list[str]:
        """Return the event types that are expected in the end."""
        match self.route, self.phase:
            case "SendSMS", _:
                return self._events_of_an_sms
            case "RequestStatusChange" | "EditDevice" | "BulkEditDevice", _:
                return ["status_change_confirmed"] if self.is_carried_out else []
            case "GetSMS", Phase.SET_UP:
                return ["sms_failed"]
            case "GetSMS" | "GetSMSIds", Phase.POLL:
                return ["sms_received"]
            case "sessionInfo", Phase.SET_UP if self.meaning is Meaning.MISSING:
                # The portal had said that there was never a session.
                return ["data_session_started", "data_session_ended"]
        return []

    @property
    def _events_of_an_sms(self) -> list[str]:
        """Return the event types of an SMS to a SIM in inventory; without an ID it cannot be followed."""
        if self.meaning is Meaning.HARMLESS:
            return ["sms_sent", "sms_failed"]
        if self.meaning in self.effects.tolerated:
            return ["sms_sent", "sms_unconfirmed"]
        return [] if self.meaning in _REFUSED_WRITES else ["sms_unconfirmed"]


def phases(route: str) -> tuple[Phase, ...]:
    """Return the phases in which a route is used; writes are made by actions only."""
    return (Phase.ACTION,) if ROUTES[route].method == "PUT" else tuple(Phase)


def _cells() -> Iterator[Cell]:
    """Yield every route under every fault in every phase."""
    for route in ROUTES:
        for phase in phases(route):
            for kind in FaultKind:
                for usual, details in FAULTS[kind]:
                    unnoticed = kind is FaultKind.WRONG_SIM and route not in NAMING_ROUTES
                    meaning = Meaning.HARMLESS if unnoticed else usual
                    yield Cell(
                        route=route, kind=kind, details=details, meaning=meaning, phase=phase
                    )


CELLS: Final = tuple(_cells())
