"""What a portal holds: accounts, tokens, networks, SIMs, text messages and bulk edits."""

from dataclasses import dataclass, field
from datetime import datetime

from . import routes, serialization
from .exchange import Json
from .serialization import Checked
from .sim import Sim

# A century is never, for a test.
_DURATION = serialization.between(0, 100 * 365 * 24 * 3600)


@dataclass(kw_only=True)
class Account(Checked):
    """An account: its credentials, and the routes refused to it."""

    client_id: str
    secret_key: str
    api_token: str
    refused_routes: frozenset[str] = serialization.checked(frozenset(), routes.check_all)


@dataclass(kw_only=True)
class Network(Checked):
    """A provider network, and the routes refused for its SIMs."""

    refused_routes: frozenset[str] = serialization.checked(frozenset(), routes.check_all)


@dataclass(kw_only=True)
class Token(Checked):
    """A token handed out by a log-in."""

    _unchecked = frozenset({"calls"})

    value: str
    client_id: str
    issued: datetime
    calls: int = 0


@dataclass(kw_only=True)
class Sms(Checked):
    """One text message; it is delivered, or fails, when it is due."""

    id: int
    iccid: str
    text: str
    sent: datetime
    due: datetime
    modified: datetime
    status: str = "Pending"
    to_sim: bool = True
    login: str = ""


@dataclass(kw_only=True)
class BulkEdit(Checked):
    """An edit of several SIMs, carried out when it is due; `results` has the success for each SIM."""

    update: dict[str, Json]
    iccids: list[str]
    due: datetime
    queue_id: str | None = None
    webhook_url: str | None = None
    finished: bool = False
    results: dict[str, bool] = field(default_factory=dict)


@dataclass(kw_only=True)
class Timings(Checked):
    """Durations, in seconds of the virtual clock or in reads of the SIM."""

    status_seconds: float = serialization.checked(30.0, _DURATION)
    status_reads: int = serialization.checked(3, serialization.between(0, 1000))
    sms_seconds: float = serialization.checked(5.0, _DURATION)
    bulk_seconds: float = serialization.checked(10.0, _DURATION)


@dataclass(kw_only=True)
class Contents:
    """Everything that a portal holds."""

    accounts: dict[str, Account] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    networks: dict[str, Network] = field(default_factory=dict)
    sims: dict[str, Sim] = field(default_factory=dict)
    sms: list[Sms] = field(default_factory=list)
    bulk_edits: list[BulkEdit] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)
