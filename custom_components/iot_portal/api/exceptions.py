"""Errors of the IoT Portal client."""

import asyncio
from enum import IntEnum

from .reasons import Cause, Reason
from .text import mask_addresses, mask_numbers


class IotPortalError(Exception):
    """Base class of all errors of the client; `attempts` is how many times a read was sent.

    `cause` is None if the message is the portal's. An error may be logged by anybody, so long numbers in its message
    are masked here, in whoever's words.
    """

    attempts = 1

    def __init__(self, message: str | Cause) -> None:
        """Store the message, with the last digits of long numbers only, and the cause."""
        super().__init__(mask_numbers(str(message)))
        cause = Cause(message) if isinstance(message, Reason) else message
        self.cause = cause if isinstance(cause, Cause) else None


class IotPortalInputError(IotPortalError):
    """The request is invalid and was not sent."""


class IotPortalBusyError(IotPortalError):
    """The request would have waited too long behind others and was not sent."""


class IotPortalPausedError(IotPortalBusyError):
    """The request was not sent because the portal asked for a pause, which ends in `seconds`."""

    def __init__(self, message: str, *, seconds: float) -> None:
        """Store the message and the seconds until the pause ends."""
        super().__init__(message)
        self.seconds = seconds


class IotPortalConnectionError(IotPortalError):
    """The connection to the portal could not be established, or broke.

    `may_have_arrived` is True when the portal may have received the request before that.
    """

    def __init__(self, message: str | Cause, *, may_have_arrived: bool = False) -> None:
        """Store the message and whether the portal may have received the request."""
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class IotPortalTimeoutError(IotPortalConnectionError):
    """The portal did not respond in time."""


class IotPortalOutcomeUnknownError(IotPortalError):
    """A write was sent but no answer was received, so it may have been carried out."""


class IotPortalCancelledError(asyncio.CancelledError):
    """The caller of a write was cancelled after it may have been sent."""


class Evidence(IntEnum):
    """How much an error response says: from a page, which is not the portal's, to a code of the portal's own."""

    PAGE = 0
    WEAK = 1
    STRONG = 2


class IotPortalResponseError(IotPortalError):
    """The portal responded with an error, or with something unreadable.

    `status` is the HTTP status, `code` the portal's error code, if any, `message` the portal's text, or else the cause.
    `evidence` is weak unless the portal said it with a code that we know: a proxy or a firewall may have answered in its
    place.
    """

    def __init__(
        self,
        message: str | Cause,
        *,
        status: int,
        code: str | None = None,
        evidence: Evidence = Evidence.WEAK,
    ) -> None:
        """Store message, HTTP status, error code and evidence."""
        super().__init__(mask_addresses(message) if type(message) is str else message)
        self.message = self.cause or str(self)
        self.status = status
        self.code = code
        self.evidence = evidence

    @property
    def is_strong(self) -> bool:
        """Return whether only the portal itself can have said this."""
        return self.evidence is Evidence.STRONG


class IotPortalAuthenticationError(IotPortalResponseError):
    """The portal rejected the credentials or the token."""


class IotPortalLoginError(IotPortalResponseError):
    """The log-in fails for another reason than wrong credentials.

    The portal responded to it with another error, or rejects a token that it has just issued.
    """


class IotPortalNotFoundError(IotPortalResponseError):
    """The portal does not know the SIM or the SMS, or the SIM has no session."""


class IotPortalNotAvailableError(IotPortalResponseError):
    """The portal does not offer this route to the account or for the SIM's network."""


class IotPortalRateLimitError(IotPortalResponseError):
    """Too many requests; `retry_after` is in seconds, or None if the portal did not send it."""

    def __init__(
        self,
        message: str | Cause,
        *,
        status: int,
        code: str | None = None,
        evidence: Evidence = Evidence.WEAK,
        retry_after: float | None = None,
    ) -> None:
        """Store message, HTTP status, error code, evidence and Retry-After."""
        super().__init__(message, status=status, code=code, evidence=evidence)
        self.retry_after = retry_after
