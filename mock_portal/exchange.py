"""Requests and responses, free of any transport."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
import json

JSON_TYPE = "application/json"

ASSUMED = {"X-Mock-Portal": "assumed"}
"""Marks an answer whose shape the published document does not show."""

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None


class Wire(StrEnum):
    """How a transport sends a response; anything but SEND is a fault on the wire."""

    SEND = "send"
    DRIP = "drip"
    TRUNCATE = "truncate"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request; `path` is decoded and carries no query."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return a header whatever its case."""
        wanted = name.lower()
        for key, value in self.headers.items():
            if key.lower() == wanted:
                return value
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One response, how it is sent, and how many seconds that waits (DRIP: between two bytes)."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    wire: Wire = Wire.SEND
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookCall:
    """One request the portal makes itself; a call without a body is a GET."""

    url: str
    body: bytes | None = None


_ENCODER = json.JSONEncoder(indent=4, ensure_ascii=False)


def to_json(value: object) -> bytes:
    """Write JSON as the published examples are written: four spaces of indent."""
    return _ENCODER.encode(value).encode()
