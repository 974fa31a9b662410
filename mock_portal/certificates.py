"""The certificate of a portal that speaks HTTPS: made at start, or given."""

from dataclasses import dataclass
from pathlib import Path
import socket
import ssl
from typing import NoReturn

from .errors import SetupError

# False for HTTP, True for a certificate made at start, or the files of a certificate and its key.
type Tls = bool | tuple[str | Path, str | Path]

_NAMES = ("localhost", "127.0.0.1", "::1")
_ANYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104  read, never bound


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What a server needs; `authority` is what its clients have to trust, as PEM, if it was made."""

    context: ssl.SSLContext
    authority: str | None = None


def make(host: str) -> Certificate:
    """Return a certificate for this machine and the host that the portal listens on."""
    try:
        import trustme  # noqa: PLC0415  optional, and takes a while to load
    except ImportError as err:
        msg = (
            "HTTPS with a certificate of its own needs a library: pip install trustme; "
            "without it, name a certificate and its key (--cert and --key)"
        )
        raise SetupError(msg) from err
    authority = trustme.CA(organization_name="mock-portal")
    name = socket.gethostname() if host in _ANYWHERE else host
    try:
        issued = authority.issue_cert(*dict.fromkeys((*_NAMES, name)))
    except ValueError:
        # This is no name for a certificate, such as one with an underscore.
        issued = authority.issue_cert(*_NAMES)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    return Certificate(context=context, authority=authority.cert_pem.bytes().decode())


def load(cert: str | Path, key: str | Path) -> Certificate:
    """Return the certificate in a file, with the key in the same or another file."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    for file in (cert, key):
        _check(Path(file))
    try:
        context.load_cert_chain(cert, key, _no_password)
    except OSError as err:
        is_pair = getattr(err, "reason", None) != "KEY_VALUES_MISMATCH"
        reason = "one is no PEM file" if is_pair else "the key is that of another one"
        msg = f"{cert} and {key} are no certificate with its key: {reason}"
        raise SetupError(msg) from err
    return Certificate(context=context)


def _check(file: Path) -> None:
    """Raise an error unless a file can be read."""
    try:
        file.read_bytes()
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else err
        msg = f"{file} cannot be read: {reason}"
        raise SetupError(msg) from err


def _no_password() -> NoReturn:
    """Refuse a key with a password; OpenSSL would ask for it on the terminal."""
    msg = "The key of the certificate has a password; give one without"
    raise SetupError(msg)
