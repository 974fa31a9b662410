"""Valid and invalid certificates for servers on this machine."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import ssl

from trustme import CA, LeafCert

HERE = "127.0.0.1"
LOCALHOST = "localhost"
DAY = timedelta(days=1)


def serve_with(issued: LeafCert) -> ssl.SSLContext:
    """Return the TLS context of a server with a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    return context


def server(
    authority: CA, *names: str, begins: timedelta = -2 * DAY, ends: timedelta = DAY
) -> ssl.SSLContext:
    """Return the TLS context of a server with a certificate of an authority; its validity is relative to now."""
    now = datetime.now(UTC)
    issued = authority.issue_cert(
        *(names or (HERE, LOCALHOST)), not_before=now + begins, not_after=now + ends
    )
    return serve_with(issued)


def self_signed(authority: CA) -> ssl.SSLContext:
    """Return the TLS context of a server with the certificate that an authority signed for itself."""
    own = LeafCert(authority.private_key_pem.bytes(), authority.cert_pem.bytes(), [])
    return serve_with(own)


def trusting(authority: CA) -> ssl.SSLContext:
    """Return the TLS context of a client that trusts an authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


# The TLS context and host of a server for each problem, with the text that describes it to a user.
BAD_CERTIFICATES: dict[str, tuple[Callable[[CA], ssl.SSLContext], str, str]] = {
    "self-signed": (self_signed, HERE, "127.0.0.1 is self-signed"),
    "unknown authority": (
        lambda _: server(CA()),
        HERE,
        "127.0.0.1 comes from an unknown authority",
    ),
    "expired": (lambda own: server(own, ends=-DAY), HERE, "127.0.0.1 has expired"),
    "not valid yet": (
        lambda own: server(own, begins=DAY, ends=2 * DAY),
        HERE,
        "127.0.0.1 is not valid yet; check the clock of this machine",
    ),
    "other name": (
        lambda own: server(own, "portal.example"),
        LOCALHOST,
        "localhost is for another host name",
    ),
    "other address": (
        lambda own: server(own, LOCALHOST),
        HERE,
        "127.0.0.1 is for another address",
    ),
}
