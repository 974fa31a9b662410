"""A stand-in for the IoT Portal Core API: a program, a pytest plugin and a library."""

from .checks import Check
from .contents import Account
from .dialects import DIALECTS, Dialects
from .errors import CheckFailedError, SetupError
from .exchange import Exchange, Request, Response, Wire
from .faults import Fault, FaultKind, Faults
from .journal import Journal
from .portal import Portal
from .server import MockPortal
from .sim import Sim
from .state import State

__all__ = [
    "DIALECTS",
    "Account",
    "Check",
    "CheckFailedError",
    "Dialects",
    "Exchange",
    "Fault",
    "FaultKind",
    "Faults",
    "Journal",
    "MockPortal",
    "Portal",
    "Request",
    "Response",
    "SetupError",
    "Sim",
    "State",
    "Wire",
]
