"""What goes wrong: on the wire (`PortalError`) and in the hands of the caller (`SetupError`)."""

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
    """A scenario, a dialect, a fault or a control request that cannot be used, with the reason."""


class PortalError(Exception):
    """A request the portal refuses."""

    code: Code | None = None

    def __init__(self, message: str, code: Code | None = None, *, status: int = 400) -> None:
        """Keep what the answer will say."""
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.status = status


class LoginRefusedError(PortalError):
    """Wrong credentials; the dialect `login_failure` decides the answer."""

    code = Code.INVALID_CREDENTIALS


class TokenRefusedError(PortalError):
    """No token, or not a valid one; the dialect `token_refused` decides the answer."""

    code = Code.INVALID_CREDENTIALS


class RouteRefusedError(PortalError):
    """A route this account, network or SIM cannot use; the dialect `route_refused` decides."""

    code = Code.NO_ACCESS


class UnknownIccidError(PortalError):
    """Nothing has that ICCID (or SMS id); the dialect `unknown_iccid` decides the answer."""

    code = Code.NOT_FOUND


class RateLimitError(PortalError):
    """Asked too often; the dialect `rate_limit` decides the answer."""

    code = Code.RATE_LIMIT
