"""What can go wrong when a server starts to listen, as a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import SetupError

_LARGEST_PORT = 65535


def check_address(host: str, port: int) -> None:
    """Raise an error unless a server could listen on an address."""
    if not host:
        msg = "The host is empty; 127.0.0.1 is this machine alone, 0.0.0.0 any address of it"
        raise SetupError(msg)
    if port not in range(_LARGEST_PORT + 1):
        msg = f"There is no port {port!r}; ports go from 1 to {_LARGEST_PORT}, and 0 means any free one"
        raise SetupError(msg)


@contextmanager
def explained(host: str, port: int) -> Iterator[None]:
    """Raise a sentence for what is wrong with an address."""
    try:
        yield
    except OSError as err:
        msg = f"cannot listen on {host} port {port}: {err.strerror or err}"
        raise SetupError(msg) from err
    except UnicodeError as err:
        msg = f"cannot listen on {host} port {port}: this is no name of a host"
        raise SetupError(msg) from err
