"""Rules and errors of the connection to the portal."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
import ssl
from typing import Final

from aiohttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ConnectionTimeoutError,
)
from yarl import URL

from .exceptions import IotPortalConnectionError, IotPortalTimeoutError

# What aiohttp and its parsers raise for answers that nobody thought of.
UNEXPECTED: Final = (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError)
# OpenSSL's verification errors, in words that help a user to fix them.
_CERTIFICATE_ERRORS: Final = {
    9: "is not valid yet; is the clock of this machine right?",
    10: "has expired",
    18: "is self-signed",
    19: "comes from an unknown authority",
    20: "comes from an unknown authority",
    21: "comes from an unknown authority",
    62: "is for another host name",
    64: "is for another address",
}


def is_private(url: URL) -> bool:
    """Return whether requests to a URL are encrypted or stay within a private network."""
    if url.scheme == "https":
        return True
    host = url.host or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_private or address.is_link_local


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise aiohttp's errors within the context as the client's own."""
    try:
        yield
    except ConnectionTimeoutError as err:
        msg = "the connection was not made in time"
        raise IotPortalTimeoutError(msg) from err
    except ClientConnectorError as err:
        raise _connecting_failed(err) from err
    except TimeoutError as err:
        msg = "no answer in time"
        raise IotPortalTimeoutError(msg, may_have_arrived=True) from err
    except ClientError as err:
        raise _connection_broke(err) from err
    except UNEXPECTED as err:
        msg = f"the answer could not be read: {type(err).__name__}"
        raise IotPortalConnectionError(msg, may_have_arrived=True) from err


async def send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from sending a request again, as a middleware.

    It takes PUT for idempotent and sends it again when the connection breaks: a second SMS.
    """
    try:
        return await handler(request)
    except TimeoutError, ClientConnectorError:
        raise
    except ClientConnectionError as err:
        raise _connection_broke(err) from err


def _connecting_failed(err: ClientConnectorError) -> IotPortalConnectionError:
    """Return the error for a connection that could not be established."""
    match err:
        case ClientConnectorCertificateError(
            certificate_error=ssl.SSLCertVerificationError() as why
        ):
            wrong = _CERTIFICATE_ERRORS.get(why.verify_code) or f"is wrong: {why.verify_message}"
            msg = f"the certificate of {err.host} {wrong}"
        case ClientConnectorSSLError():
            msg = f"{err.host} does not answer with an encrypted connection"
        case _:
            msg = f"no connection: {err.strerror or type(err).__name__}"
    return IotPortalConnectionError(msg)


def _connection_broke(err: ClientError) -> IotPortalConnectionError:
    """Return the error for a connection that broke after it was established."""
    msg = f"the connection broke: {type(err).__name__}"
    return IotPortalConnectionError(msg, may_have_arrived=True)
