"""Requests and responses, independent of a transport."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
import hashlib
import json
import re
from typing import TypedDict

from .encoding import from_json, to_bytes
from .errors import SetupError
from .routes import is_below_base, strip_prefix

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"

# The header of responses whose form the published document does not show.
ASSUMED = {"X-Mock-Portal": "assumed"}

# The header of answers of the control interface and of the pages.
CONTROL = {"X-Mock-Portal": "control"}

_SECRETS = ("secretKey", "apiToken")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Anything but control characters and halves of a surrogate pair.
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_FRAMING = ("content-length", "transfer-encoding")

# A client may send anything as a host; it stands in documents that tools read.
_HOST = re.compile(r"(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?", re.ASCII | re.IGNORECASE)

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type Record = dict[str, Json]

# A body: JSON, or bytes that are sent as they are.
type Payload = Json | bytes


class Wire(StrEnum):
    """How a transport sends a response; everything but SEND is a fault."""

    SEND = "send"
    DRIP = "drip"
    TRUNCATE = "truncate"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request; `path` is decoded and has no query."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    scheme: str = "http"

    @property
    def root(self) -> str:
        """Return the address that the client used, without a path; empty if it named no host."""
        host = self.header("Host") or ""
        return f"{self.scheme}://{host}" if _HOST.fullmatch(host) else ""

    def header(self, name: str) -> str | None:
        """Return a header; names are case-insensitive."""
        wanted = name.lower()
        for key, value in self.headers.items():
            if key.lower() == wanted:
                return value
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One response; `seconds` is the delay before it is sent, with DRIP between two bytes.

    `fault` is the kind of the fault that it comes from.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    wire: Wire = Wire.SEND
    seconds: float = 0.0
    fault: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookCall:
    """A request that the portal makes itself: a POST, or a GET without a body."""

    url: str
    body: bytes | None = None


class ExchangeRecord(TypedDict):
    """One request and the status of its answer; the token is a fingerprint, and the body has no secrets."""

    number: int
    time: str
    method: str
    path: str
    query: dict[str, str]
    route: str | None
    iccid: str | None
    status: int | None
    fault: str | None
    token: str | None
    headers: dict[str, str]
    body: Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One request and its status, which is None when no answer was sent.

    `time` is virtual, `steady` the seconds of a clock that never stands still. The journal numbers
    its exchanges from 1, and never uses a number twice.
    """

    number: int
    time: datetime
    steady: float
    request: Request
    route: str | None
    iccid: str | None
    status: int | None
    fault: str | None

    @property
    def method(self) -> str:
        """Return the method."""
        return self.request.method

    @property
    def path(self) -> str:
        """Return the path below the base URL."""
        return strip_prefix(self.request.path)

    @property
    def is_below_base(self) -> bool:
        """Return whether the request went to the base URL."""
        return is_below_base(self.request.path)

    @property
    def token(self) -> str | None:
        """Return a fingerprint of the token, which distinguishes tokens without revealing them."""
        token = self.request.header("Authorization")
        return token and hashlib.sha256(to_bytes(token)).hexdigest()[:8]

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers, with the token replaced by its fingerprint."""
        return {
            name: f"sha256:{self.token}" if name.lower() == "authorization" else value
            for name, value in self.request.headers.items()
        }

    @property
    def body(self) -> Json:
        """Return the body without its secrets, parsed if it is JSON."""
        body = self.request.body
        try:
            return _redact(from_json(body))
        except ValueError:
            text = body.decode(json.detect_encoding(body), "replace")
            return "***" if any(secret in text for secret in _SECRETS) else text

    def as_dict(self) -> ExchangeRecord:
        """Return the exchange in the form of the control interface."""
        return {
            "number": self.number,
            "time": self.time.isoformat(),
            "method": self.method,
            "path": self.path,
            "query": dict(self.request.query),
            "route": self.route,
            "iccid": self.iccid,
            "status": self.status,
            "fault": self.fault,
            "token": self.token,
            "headers": dict(self.headers),
            "body": self.body,
        }

    def __str__(self) -> str:
        """Return one line: method, path and status."""
        outcome = "no answer" if self.status is None else self.status
        return f"{self.method} {self.path} -> {outcome}"


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise an error for headers that HTTP cannot carry, and for those that frame the body."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            msg = f"{name!r} cannot be the name of a header; write it like Retry-After"
            raise SetupError(msg)
        if name.lower() in _FRAMING:
            msg = f"{name} follows from the body, and cannot be set"
            raise SetupError(msg)
        check_header_value(value)


def check_header_value(value: str) -> None:
    """Raise an error for a text that no header can carry."""
    if not _HEADER_VALUE.fullmatch(value):
        msg = (
            f"{value!r} cannot be the value of a header; it is one line without control characters"
        )
        raise SetupError(msg)


def _redact(value: Json) -> Json:
    """Return a JSON value with its secrets replaced."""
    if isinstance(value, dict):
        return {key: "***" if key in _SECRETS else _redact(item) for key, item in value.items()}
    return [_redact(item) for item in value] if isinstance(value, list) else value


_ENCODER = json.JSONEncoder(indent=4, ensure_ascii=False, default=asdict)


def to_json(value: object) -> bytes:
    """Return JSON in the form of the published examples: four spaces of indent; dataclasses are mappings."""
    return to_bytes(_ENCODER.encode(value))


def to_body(payload: Payload) -> bytes:
    """Return a payload as it is sent."""
    return payload if isinstance(payload, bytes) else to_json(payload)


def respond(payload: Payload, *, documented: bool = False, status: int = 200) -> Response:
    """Return a response, marked as assumed unless it is documented.

    The portal declares everything as JSON, even a bare word.
    """
    headers = {"Content-Type": JSON_TYPE} | ({} if documented else ASSUMED)
    return Response(status=status, headers=headers, body=to_body(payload))
