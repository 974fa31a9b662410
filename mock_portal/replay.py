"""Answers recorded from a real portal, replayed in their order."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from . import serialization
from .encoding import to_bytes
from .exchange import Request, Response, Wire, check_headers
from .routes import PREFIXES, find, strip_prefix

# A placeholder in recorded bodies for the token of the replaying portal.
TOKEN = "{{token}}"  # noqa: S105  stands for one

# The header of replayed answers.
MARK = {"X-Mock-Portal": "recorded"}

type _Key = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One exchange; without a status there was no answer.

    `path` is relative to the base URL, `at` is seconds since the start of the recording, `sent` is
    the request body; the last two are for human readers.
    """

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    at: float = 0.0
    sent: str = ""
    status: int | None = serialization.checked(None, serialization.between(200, 599))
    headers: dict[str, str] = field(default_factory=dict, metadata={"check": check_headers})
    body: str = ""
    is_latin1: bool = False

    def replay(self, token: str) -> Response:
        """Return the answer, with the recorded token replaced."""
        if self.status is None:
            return Response(wire=Wire.RESET)
        body = self.body.replace(TOKEN, token)
        return Response(
            status=self.status,
            headers=self.headers | MARK,
            body=body.encode("latin-1", "replace") if self.is_latin1 else to_bytes(body),
        )


class Recordings:
    """All recorded answers by request; the last answer to each request repeats."""

    def __init__(self) -> None:
        """Start empty."""
        self._queues: dict[_Key, deque[Recorded]] = {}

    def fill(self, exchanges: Iterable[Recorded]) -> None:
        """Replace all recordings."""
        self._queues = {}
        for recorded in exchanges:
            key = _key(recorded.method, recorded.path, recorded.query)
            self._queues.setdefault(key, deque()).append(recorded)

    def left(self) -> list[Recorded]:
        """Return the exchanges still to be replayed."""
        return [recorded for queue in self._queues.values() for recorded in queue]

    def __contains__(self, request: Request) -> bool:
        """Return whether there is an answer to a request."""
        return bool(self._queues) and _key_of(request) in self._queues

    def take(self, request: Request) -> Recorded:
        """Return the next answer to a request."""
        queue = self._queues[_key_of(request)]
        return queue.popleft() if len(queue) > 1 else queue[0]


def recorded_iccids(exchanges: Iterable[Recorded]) -> Iterator[str]:
    """Yield the ICCIDs in recorded paths."""
    for recorded in exchanges:
        found = find(recorded.method, f"{PREFIXES[0]}{recorded.path}")
        if found is not None and found.route.has_iccid:
            yield found.params["ICCID"]


def _key_of(request: Request) -> _Key:
    """Return the key of a request."""
    return _key(request.method, strip_prefix(request.path), dict(request.query))


def _key(method: str, path: str, query: dict[str, str]) -> _Key:
    """Return method, path and query as one key."""
    return method, path, tuple(sorted(query.items()))
