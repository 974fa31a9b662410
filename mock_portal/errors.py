"""Errors that a client receives (`PortalError`), and errors in the use of the mock (`SetupError`)."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from enum import StrEnum

# Comparing a name with more than these takes too long.
_MOST_COMPARED = 2000
_MOST_NAMED = 40


class Code(StrEnum):
    """Error codes of the platform behind the portal, as docs/api.md lists them."""

    INVALID_CREDENTIALS = "10000001"
    MESSAGE_LENGTH = "10000020"
    MALFORMED_JSON = "10000023"
    INVALID_API_VERSION = "10000024"
    UNRECOGNISED_PARAMETER = "10000028"
    NO_ACCESS = "10000030"
    INVALID_STATUS = "10000050"
    NOT_FOUND = "20000001"
    RATE_LIMIT = "40000029"
    NO_SESSION = "900100"


class SetupError(ValueError):
    """An invalid scenario, dialect, fault or control request."""


class UnknownNameError(SetupError, KeyError):
    """A lookup of something that is not there; `str` is the sentence, unlike that of a KeyError."""

    __str__ = Exception.__str__


class CheckFailedError(AssertionError):
    """A check of the journal that does not hold."""


class PortalError(Exception):
    """A request that the portal refuses."""

    code: Code | None = None

    def __init__(
        self,
        message: str,
        code: Code | None = None,
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Store the message, and the code, the status and the headers of the answer."""
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.status = status
        self.headers = headers or {}


class LoginRefusedError(PortalError):
    """Wrong credentials; answered as the dialect `login_failure` says."""

    code = Code.INVALID_CREDENTIALS


class TokenRefusedError(PortalError):
    """A missing or invalid token; answered as the dialect `token_refused` says."""

    code = Code.INVALID_CREDENTIALS


class RouteRefusedError(PortalError):
    """A route refused to this account, network or SIM; answered as the dialect `route_refused` says."""

    code = Code.NO_ACCESS


class UnknownIccidError(PortalError):
    """An unknown ICCID or SMS id; answered as the dialect `unknown_iccid` says."""

    code = Code.NOT_FOUND


class RateLimitError(PortalError):
    """Too many requests; answered as the dialect `rate_limit` says."""

    code = Code.RATE_LIMIT


def closest(given: str, known: Collection[str]) -> str | None:
    """Return the known name that is most similar to one that was given."""
    by_lower = {name.lower(): name for name in known} if len(known) <= _MOST_COMPARED else {}
    close = get_close_matches(given.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def suggest(given: str, known: Collection[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known one, or all of them."""
    if close := closest(given, known):
        return f"did you mean {close}?"
    named = list(known)[:_MOST_NAMED]
    more = f" and {len(known) - len(named)} more" if len(known) > len(named) else ""
    return f"there are {', '.join(named) or 'none'}{more}"


def no_sim(iccid: object, known: Collection[str]) -> str:
    """Return the sentence about an ICCID that the portal does not have."""
    if not isinstance(iccid, str):
        return f"An ICCID is a text, such as '8931082322089353632', not {iccid!r}"
    return f"There is no SIM {iccid}; {suggest(str(iccid), known)}"
