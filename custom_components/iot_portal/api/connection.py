"""Rules and errors of the connection to the portal."""

import errno
from ipaddress import IPv4Address, IPv6Address, ip_address
import re
import ssl
from typing import Final, override

from aiohttp import (
    BytesPayload,
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ConnectionTimeoutError,
)
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from .exceptions import (
    IotPortalConnectionError,
    IotPortalTimeoutError,
)
from .reasons import Cause, Reason

MAX_HOST_LENGTH: Final = 253
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
# OpenSSL's verification errors, as reasons that help a user to fix them.
_CERTIFICATE_ERRORS: Final = {
    9: Reason.CERTIFICATE_NOT_VALID_YET,
    10: Reason.CERTIFICATE_EXPIRED,
    18: Reason.CERTIFICATE_SELF_SIGNED,
    19: Reason.CERTIFICATE_FROM_UNKNOWN_AUTHORITY,
    20: Reason.CERTIFICATE_FROM_UNKNOWN_AUTHORITY,
    21: Reason.CERTIFICATE_FROM_UNKNOWN_AUTHORITY,
    62: Reason.CERTIFICATE_FOR_ANOTHER_HOST,
    64: Reason.CERTIFICATE_FOR_ANOTHER_ADDRESS,
}
# The system's reasons for not connecting, by its error numbers.
_NO_CONNECTION: Final = {
    errno.ECONNREFUSED: Reason.CONNECTION_REFUSED,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.ETIMEDOUT: Reason.HOST_TOO_SLOW,
}


def address_fault(text: str) -> Reason | None:
    """Return why requests cannot be sent to a base URL, or None if they can; it may hold a password."""
    try:
        url = URL(text)
    except ValueError:
        return Reason.BASE_URL_INVALID
    if url.scheme not in ("http", "https") or url.port == 0 or not _is_host(url.raw_host or ""):
        return Reason.BASE_URL_INVALID
    credentials = (url.raw_user, url.raw_password)
    if credentials != (None, None) or url.raw_query_string or url.raw_fragment:
        return Reason.BASE_URL_NOT_BARE
    return None if is_private(url) else Reason.BASE_URL_NOT_ENCRYPTED


def is_private(url: URL) -> bool:
    """Return whether requests to a URL are encrypted or stay within a private network."""
    if url.scheme == "https":
        return True
    host = url.host or ""
    address = _ip_address(host)
    if address is None:
        return host == "localhost"
    return address.is_loopback or address.is_private or address.is_link_local


def _is_host(host: str) -> bool:
    """Return whether a host can be looked up: a name of DNS, or an IP address in full."""
    labels = host.removesuffix(".").split(".")
    # A name that ends in a number would be taken for an address in short, such as 127.1.
    if ":" in host or labels[-1].isdigit():
        return _ip_address(host) is not None
    return len(host) <= MAX_HOST_LENGTH and all(map(_LABEL.fullmatch, labels))


def _ip_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return a host as an IP address, or None if it is none."""
    try:
        return ip_address(host)
    except ValueError:
        return None


class Body(BytesPayload):
    """The body of a request that tells whether any of it was sent; aiohttp sends the headers along with it."""

    has_begun = False

    @override
    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write the body to the connection."""
        self.has_begun = True
        await super().write_with_length(writer, content_length)


def connection_error(err: Exception, body: Body | None) -> IotPortalConnectionError:
    """Return the client's own error for whatever has gone wrong with a request."""
    match err:
        case ConnectionTimeoutError():
            return IotPortalTimeoutError(Reason.CONNECTION_TOO_SLOW)
        case ClientConnectorError():
            return _connecting_failed(err)
        case TimeoutError():
            return IotPortalTimeoutError(Reason.NO_ANSWER, may_have_arrived=may_have_arrived(body))
        case ClientError():
            return _connection_lost(body)
        case _:
            # aiohttp, its parsers and the resolver raise more than they document.
            return IotPortalConnectionError(
                Reason.ANSWER_UNREADABLE, may_have_arrived=may_have_arrived(body)
            )


async def send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from sending a request again, as a middleware.

    It takes PUT for idempotent and sends it again when the connection breaks: a second SMS.
    """
    try:
        return await handler(request)
    except TimeoutError, ClientConnectorError:
        raise
    except ClientConnectionError as err:
        raise _connection_lost(request.body) from err


def may_have_arrived(body: object) -> bool:
    """Return whether the portal may have received a request; one without a body of ours tells nothing."""
    return not isinstance(body, Body) or body.has_begun


def _connecting_failed(err: ClientConnectorError) -> IotPortalConnectionError:
    """Return the error for a connection that could not be established."""
    details = {"host": str(err.host)}
    match err:
        case ClientConnectorCertificateError(
            certificate_error=ssl.SSLCertVerificationError() as why
        ):
            reason = _CERTIFICATE_ERRORS.get(why.verify_code, Reason.CERTIFICATE_WRONG)
            details["problem"] = why.verify_message
        case ClientConnectorDNSError():
            reason = Reason.NOT_FOUND_IN_DNS
        case ClientConnectorSSLError():
            reason = Reason.NOT_ENCRYPTED
        case _:
            reason = _NO_CONNECTION.get(err.errno or 0, Reason.NO_CONNECTION)
            details["address"] = f"{err.host}:{err.port}"
    return IotPortalConnectionError(Cause(reason, details))


def _connection_lost(body: object) -> IotPortalConnectionError:
    """Return the error for a connection that was lost after it was established."""
    return IotPortalConnectionError(Reason.CONNECTION_LOST, may_have_arrived=may_have_arrived(body))
