"""Typed models of the IoT Portal's answers.

The portal has several formats for the same thing (docs/api.md, assumptions A5 to A11), and every
parser here accepts all of them. A field of a wrong type becomes None and does not affect the others.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
import re
from typing import Self

from .const import SmsStatus

type Json = Mapping[str, Json] | list[Json] | str | int | float | bool | None

_STATUS = re.compile(r"\w[\w -]{0,63}")
_DATA_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SMS_STATUSES = {status.replace("_", ""): status for status in SmsStatus}
# Home Assistant's own state "unknown" means something else.
_SMS_STATUSES["unknown"] = SmsStatus.UNDETERMINED
# No counter of a SIM comes near it, and larger numbers cannot be stored as 64-bit integers.
_COUNT_LIMIT = 2**63


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """Credentials of an account: client id and secret key, or the legacy API token."""

    client_id: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    api_token: str | None = field(default=None, repr=False)

    def as_login(self) -> dict[str, str | None]:
        """Return the body of the log-in request."""
        if self.api_token is not None:
            return {"apiToken": self.api_token}
        return {"clientId": self.client_id, "secretKey": self.secret_key}

    @property
    def secrets(self) -> tuple[str | None, str | None]:
        """Return the values that must never appear in a message."""
        return (self.secret_key, self.api_token)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """Base of the models; `raw` holds all fields of the answer unchanged, unknown ones too."""

    raw: Mapping[str, Json] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        """Return whether the answer has any field; an unknown SIM may be answered with an empty one."""
        return bool(self.raw)


@dataclass(frozen=True, kw_only=True, slots=True)
class _SimAnswer(_Answer):
    """Numbers and status of a SIM."""

    iccid: str | None = field(default=None, repr=False)
    imsi: str | None = field(default=None, repr=False)
    msisdn: str | None = field(default=None, repr=False)
    imei: str | None = field(default=None, repr=False)
    status: str | None = None


def _sim_fields(raw: Mapping[str, Json]) -> dict[str, str | None]:
    """Return the fields that usage and device answers share."""
    return {
        "iccid": _text(raw.get("iccid")),
        "imsi": _text(raw.get("imsi")),
        "msisdn": _text(raw.get("msisdn")),
        "imei": _text(raw.get("imei")),
        "status": _status(raw),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage(_SimAnswer):
    """Usage of a SIM since the start of its billing cycle: bytes, counts and seconds."""

    data_bytes: int | None = None
    sms_count: int | None = None
    voice_seconds: int | None = None
    session_count: int | None = None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Parse the answer of ctdUsage."""
        raw = _first_object(answer)
        return cls(
            raw=raw,
            **_sim_fields(raw),
            data_bytes=_count(raw.get("ctdDataUsage")),
            sms_count=_count(raw.get("ctdSMSUsage")),
            voice_seconds=_count(raw.get("ctdVoiceUsage")),
            session_count=_count(raw.get("ctdSessionCount")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Device(_SimAnswer):
    """What the portal knows about a SIM: its plans, customer and allowance."""

    rate_plan: str | None = None
    communication_plan: str | None = None
    customer: str | None = None
    date_activated: datetime | None = None
    fixed_ip: str | None = field(default=None, repr=False)
    label: str | None = None
    allowance_bytes: int | None = None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Parse the answer of GetDevice."""
        raw = _first_object(answer)
        return cls(
            raw=raw,
            **_sim_fields(raw),
            rate_plan=_text(raw.get("ratePlan")),
            communication_plan=_text(raw.get("communicationPlan")),
            customer=_text(raw.get("customer")),
            date_activated=_timestamp(raw.get("dateActivated")),
            fixed_ip=_ip(raw.get("fixedIPAddress")),
            label=_text(raw.get("deviceID")),
            allowance_bytes=_data_size(raw.get("dataquantity"), raw.get("datasize")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Session(_Answer):
    """The current or most recent data session of a SIM."""

    ip_address: str | None = field(default=None, repr=False)
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the session has not ended yet, as far as the portal knows."""
        return self.started is not None and self.ended is None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Parse the answer of sessionInfo."""
        raw = _first_object(answer)
        return cls(
            raw=raw,
            ip_address=_ip(raw.get("ipAddress")),
            started=_timestamp(raw.get("dateSessionStarted")),
            ended=_timestamp(raw.get("dateSessionEnded")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sms(_Answer):
    """An SMS to or from a SIM, and its status."""

    sms_id: str | None = None
    iccid: str | None = field(default=None, repr=False)
    status: str | None = None
    text: str | None = field(default=None, repr=False)
    is_incoming: bool | None = None
    sent: datetime | None = None
    received: datetime | None = None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Parse the answer of GetSMS."""
        raw = _first_object(answer)
        kind = _text(raw.get("msgType"))
        return cls(
            raw=raw,
            sms_id=sms_id(raw),
            iccid=_text(raw.get("iccid")),
            status=_text(raw.get("status")),
            text=_text(raw.get("messageText")),
            is_incoming=None if kind is None else kind.upper() == "MO",
            sent=_timestamp(raw.get("dateSent")),
            received=_timestamp(raw.get("dateReceived")),
        )


def sms_status(word: str) -> SmsStatus | None:
    """Return the SMS status that a spelling such as `Delivered-InLog` or `DELIVERED` means."""
    return _SMS_STATUSES.get(re.sub(r"\W|_", "", word).lower())


def status_word(answer: Json) -> str | None:
    """Return the status in an answer of getStatus: a word, or an object around it."""
    if isinstance(answer, str):
        return _short_text(answer)
    return _status(_first_object(answer))


def sms_id(answer: Json) -> str | None:
    """Return the id of an SMS: a number, a text, or an object around it."""
    if isinstance(answer, str | int | float):
        identifier = _text(answer)
        return identifier if identifier is not None and identifier.isalnum() else None
    return _first_text(_first_object(answer), "smsMsgId", "smsMessageId")


def sms_ids(answer: Json) -> list[str]:
    """Return the ids in an answer of GetSMSIds, in the portal's order."""
    listed = answer
    while isinstance(listed, Mapping):
        listed = listed.get("smsMsgIds", listed.get("data"))
    if not isinstance(listed, list):
        return []
    return [found for item in listed if (found := sms_id(item)) is not None]


def login_token(answer: Json) -> str | None:
    """Return the token in an answer of Login: the token itself, or an object around it."""
    while isinstance(answer, Mapping):
        answer = answer.get("token", answer.get("data"))
    token = _text(answer)
    # A log-in page or a sentence is no token, and a header must not contain a line break.
    return (
        token if token is not None and re.fullmatch(r"[\x21-\x3b\x3d\x3f-\x7e]+", token) else None
    )


def error_details(answer: Json) -> tuple[str | None, str | None]:
    """Return message and code of an error, under any of the known keys.

    An answer in plain text is the message itself; a page of HTML has none.
    """
    if isinstance(answer, str):
        return (answer or None) if "<" not in answer else None, None
    message = code = None
    for raw in _nested_objects(answer):
        message = message or _first_text(raw, "errorMessage", "message", "error")
        code = code or _first_text(raw, "errorCode", "code")
    return message, code


def says_failed(answer: Json) -> bool:
    """Return whether an object says that the request failed: `{"success": false}`, also under `data`."""
    return any(
        raw.get("success") is False or raw.get("success") == "false"
        for raw in _nested_objects(answer)
    )


def _nested_objects(answer: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the object of an answer and those nested in it under `data`."""
    while isinstance(answer, Mapping):
        yield answer
        answer = answer.get("data")


def _first_object(answer: Json) -> Mapping[str, Json]:
    """Return the object of an answer, also out of an array or from `data`."""
    while True:
        if isinstance(answer, list):
            answer = next((item for item in answer if isinstance(item, Mapping)), None)
        elif not isinstance(answer, Mapping):
            return {}
        elif isinstance(inner := answer.get("data"), Mapping | list):
            answer = inner
        else:
            return answer


def _text(value: Json) -> str | None:
    """Return a text or the digits of a number; None for blanks and other types."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):
        return value.strip() or None
    return None


def _first_text(raw: Mapping[str, Json], *keys: str) -> str | None:
    """Return the first text under one of the keys."""
    return next((found for key in keys if (found := _text(raw.get(key)))), None)


def _short_text(value: Json) -> str | None:
    """Return a text of a few words, as a status has; None for anything longer."""
    text = _text(value)
    return text if text is not None and _STATUS.fullmatch(text) else None


def _status(raw: Mapping[str, Json]) -> str | None:
    """Return the status of a SIM, under the keys of all networks."""
    return _short_text(raw.get("status")) or _short_text(raw.get("simStatus"))


def _count(value: Json) -> int | None:
    """Parse a number that is not negative; it may be a text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    with suppress(ValueError, OverflowError):
        number = value if isinstance(value, int) else int(float(value))
        return number if 0 <= number < _COUNT_LIMIT else None
    return None


def _timestamp(value: Json) -> datetime | None:
    """Parse a timestamp such as `2023-06-23 11:14:37.998+0000`; without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    with suppress(ValueError, OverflowError):
        parsed = datetime.fromisoformat(value.strip())
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    return None


def _ip(value: Json) -> str | None:
    """Parse an IP address."""
    if not isinstance(value, str):
        return None
    with suppress(ValueError):
        return str(ip_address(value.strip()))
    return None


def _data_size(quantity: Json, unit: Json) -> int | None:
    """Return the bytes of a quantity and a unit such as `1` and `GB`."""
    factor = _DATA_UNITS.get((_text(unit) or "").upper())
    if factor is None or isinstance(quantity, bool) or not isinstance(quantity, str | int | float):
        return None
    with suppress(ValueError, OverflowError):
        amount = round(float(quantity) * factor)
        return amount if 0 <= amount < _COUNT_LIMIT else None
    return None
