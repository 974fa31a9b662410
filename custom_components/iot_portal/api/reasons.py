"""Reasons why a request failed, in words of this client; what the portal says is not among them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Reasons in English; an application can have translations by their names."""

    ANOTHER_SIM = "the answer is about another SIM"
    ANOTHER_SMS = "the answer is about another SMS"
    ANSWER_TOO_LARGE = "the answer is too large to come from the portal"
    ANSWER_UNREADABLE = "the answer could not be read"
    BASE_URL_INVALID = "the base URL is not a valid address"
    BASE_URL_NOT_BARE = (
        "the base URL must not contain a user name, a password, a query or a fragment"
    )
    BASE_URL_NOT_ENCRYPTED = "http is allowed on this machine and in private networks only"
    CERTIFICATE_EXPIRED = "the certificate of {host} has expired"
    CERTIFICATE_FOR_ANOTHER_ADDRESS = "the certificate of {host} is for another address"
    CERTIFICATE_FOR_ANOTHER_HOST = "the certificate of {host} is for another host name"
    CERTIFICATE_FROM_UNKNOWN_AUTHORITY = "the certificate of {host} comes from an unknown authority"
    CERTIFICATE_NOT_VALID_YET = (
        "the certificate of {host} is not valid yet; check the clock of this machine"
    )
    CERTIFICATE_SELF_SIGNED = "the certificate of {host} is self-signed"
    CERTIFICATE_WRONG = "the certificate of {host} is wrong: {problem}"
    CONNECTION_LOST = "the connection was lost"
    CONNECTION_REFUSED = "{address} refused the connection"
    CONNECTION_TOO_SLOW = "the connection could not be established in time"
    HOST_TOO_SLOW = "{address} did not accept the connection in time"
    HTTP_STATUS = "HTTP status {status}"
    IDENTIFIER_INVALID = "{identifier} is not a valid identifier"
    NO_ANSWER = "no answer was received in time"
    NO_CONNECTION = "no connection to {address}"
    LOGIN_INCOMPLETE = "the portal answered the log-in without a token"
    NOT_ENCRYPTED = "{host} does not answer with an encrypted connection"
    NOT_FOUND_IN_DNS = "no address was found for {host}"
    NOT_JSON = "the request cannot be encoded as JSON ({problem})"
    NOT_THE_PORTAL = "the answer does not come from the portal; check its address"
    PAGE = "HTTP status {status}: {title}"
    SMS_LIST_UNKNOWN = "the portal does not know the SMS at present"
    SMS_UNKNOWN = "nothing is known of this SMS"
    UNREACHABLE = "{address} cannot be reached from this network"


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason with what it names."""

    reason: Reason
    details: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the reason in English."""
        return self.reason.format(**self.details)
