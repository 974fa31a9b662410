"""What can go wrong between us and the IoT Portal."""


class IotPortalError(Exception):
    """Base of everything that the client raises."""


class IotPortalInputError(IotPortalError):
    """What was asked for cannot be sent, so nothing was."""


class IotPortalConnectionError(IotPortalError):
    """The portal could not be reached, or the connection broke.

    `may_have_arrived` tells whether the request can have reached the portal before that.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = False) -> None:
        """Keep what happened and how far the request can have come."""
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class IotPortalTimeoutError(IotPortalConnectionError):
    """The portal did not answer in time."""


class IotPortalOutcomeUnknownError(IotPortalError):
    """A write was sent and no answer came back: it may have been carried out."""


class IotPortalResponseError(IotPortalError):
    """The portal answered with an error, or with something that is no answer.

    `status` is the HTTP status, `code` the portal's own error code where it sent one, `message` its words.
    """

    def __init__(self, message: str, *, status: int, code: str | None = None) -> None:
        """Keep what the portal said."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


class IotPortalAuthenticationError(IotPortalResponseError):
    """The portal refused the credentials."""


class IotPortalLoginError(IotPortalResponseError):
    """Nobody can be logged in at present, for another reason than wrong credentials.

    The log-in went wrong by itself, or the portal refused a token that it had just handed out.
    """


class IotPortalNotFoundError(IotPortalResponseError):
    """The portal does not know the SIM or the SMS."""


class IotPortalNotAvailableError(IotPortalResponseError):
    """The portal refuses this route, to the account or for the SIM's network."""


class IotPortalRateLimitError(IotPortalResponseError):
    """The portal was asked too often; `retry_after` is in seconds, where it said so."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Keep what the portal said and how long it wants to be left alone."""
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after
