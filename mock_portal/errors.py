"""Errors that a client receives (`PortalError`), and errors in the use of the mock (`SetupError`)."""

from enum import StrEnum


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


class PortalError(Exception):
    """A request that the portal refuses."""

    code: Code | None = None

    def __init__(self, message: str, code: Code | None = None, *, status: int = 400) -> None:
        """Store the message, the code and the status of the answer."""
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.status = status


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
