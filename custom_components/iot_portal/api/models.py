"""What the IoT Portal tells, as values that mean something.

The portal writes the same thing in several ways (docs/api.md, assumptions A5 to A11), so every
reader here takes all of them. A field of a wrong type becomes None and spoils nothing else.
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
# Home Assistant has a state of its own that is called unknown.
_SMS_STATUSES["unknown"] = SmsStatus.UNDETERMINED
# No counter of a SIM comes near; a number beyond it would only break whoever stores it.
_COUNT_LIMIT = 2**63


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What an account logs in with: client id and secret key, or the legacy API token."""

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
        """Return what must never show up in a message."""
        return (self.secret_key, self.api_token)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """Base of the models; `raw` holds every field as it came, unknown ones too."""

    raw: Mapping[str, Json] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        """Tell whether the portal said anything: some answer an unknown SIM with nothing."""
        return bool(self.raw)


@dataclass(frozen=True, kw_only=True, slots=True)
class SimIdentity(_Answer):
    """Who a SIM is and in which status."""

    iccid: str | None = field(default=None, repr=False)
    imsi: str | None = field(default=None, repr=False)
    msisdn: str | None = field(default=None, repr=False)
    imei: str | None = field(default=None, repr=False)
    status: str | None = None


def _identity(raw: Mapping[str, Json]) -> dict[str, str | None]:
    """Return the fields that usage and device answers share."""
    return {
        "iccid": _text(raw.get("iccid")),
        "imsi": _text(raw.get("imsi")),
        "msisdn": _text(raw.get("msisdn")),
        "imei": _text(raw.get("imei")),
        "status": _status(raw),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage(SimIdentity):
    """Use of a SIM since the start of its billing cycle: bytes, counts and seconds."""

    data_bytes: int | None = None
    sms_count: int | None = None
    voice_seconds: int | None = None
    session_count: int | None = None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Read the answer of ctdUsage."""
        raw = _first_object(answer)
        return cls(
            raw=raw,
            **_identity(raw),
            data_bytes=_count(raw.get("ctdDataUsage")),
            sms_count=_count(raw.get("ctdSMSUsage")),
            voice_seconds=_count(raw.get("ctdVoiceUsage")),
            session_count=_count(raw.get("ctdSessionCount")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Device(SimIdentity):
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
        """Read the answer of GetDevice."""
        raw = _first_object(answer)
        return cls(
            raw=raw,
            **_identity(raw),
            rate_plan=_text(raw.get("ratePlan")),
            communication_plan=_text(raw.get("communicationPlan")),
            customer=_text(raw.get("customer")),
            date_activated=_instant(raw.get("dateActivated")),
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
        """Tell whether the SIM is in a session now, as far as the portal knows."""
        return self.started is not None and self.ended is None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Read the answer of sessionInfo."""
        raw = _first_object(answer)
        return cls(
            raw=raw,
            ip_address=_ip(raw.get("ipAddress")),
            started=_instant(raw.get("dateSessionStarted")),
            ended=_instant(raw.get("dateSessionEnded")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sms(_Answer):
    """An SMS to or from a SIM, and how far it got."""

    sms_id: str | None = None
    iccid: str | None = field(default=None, repr=False)
    status: str | None = None
    text: str | None = field(default=None, repr=False)
    is_incoming: bool | None = None
    sent: datetime | None = None
    received: datetime | None = None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Read the answer of GetSMS."""
        raw = _first_object(answer)
        kind = _text(raw.get("msgType"))
        return cls(
            raw=raw,
            sms_id=sms_id(raw),
            iccid=_text(raw.get("iccid")),
            status=_text(raw.get("status")),
            text=_text(raw.get("messageText")),
            is_incoming=None if kind is None else kind.upper() == "MO",
            sent=_instant(raw.get("dateSent")),
            received=_instant(raw.get("dateReceived")),
        )


def sms_status(word: str) -> SmsStatus | None:
    """Return what a word for the status of an SMS means: `Delivered-InLog`, `DELIVERED`, `CancelPending`."""
    return _SMS_STATUSES.get(re.sub(r"\W|_", "", word).lower())


def status_word(answer: Json) -> str | None:
    """Read the answer of getStatus: a word, or an object around it."""
    if isinstance(answer, str):
        return _word(answer)
    return _status(_first_object(answer))


def sms_id(answer: Json) -> str | None:
    """Read the id of an SMS: a number, a text, or an object around it."""
    if isinstance(answer, str | int | float):
        identifier = _text(answer)
        return identifier if identifier is not None and identifier.isalnum() else None
    return _first_text(_first_object(answer), "smsMsgId", "smsMessageId")


def sms_ids(answer: Json) -> list[str]:
    """Read the answer of GetSMSIds: the ids in the order in which they came."""
    listed = answer
    while isinstance(listed, Mapping):
        listed = listed.get("smsMsgIds", listed.get("data"))
    if not isinstance(listed, list):
        return []
    return [found for item in listed if (found := sms_id(item)) is not None]


def login_token(answer: Json) -> str | None:
    """Read the session token: an object around it, or the token itself."""
    while isinstance(answer, Mapping):
        answer = answer.get("token", answer.get("data"))
    token = _text(answer)
    # A log-in page or a sentence is no token, and a header takes no line break.
    return (
        token if token is not None and re.fullmatch(r"[\x21-\x3b\x3d\x3f-\x7e]+", token) else None
    )


def error_details(answer: Json) -> tuple[str | None, str | None]:
    """Read message and code of an error, whatever the keys are called.

    A body that is plain text is its own message; a page of HTML has none.
    """
    if isinstance(answer, str):
        return (answer or None) if "<" not in answer else None, None
    message = code = None
    for raw in _nested(answer):
        message = message or _first_text(raw, "errorMessage", "message", "error")
        code = code or _first_text(raw, "errorCode", "code")
    return message, code


def _nested(answer: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the object of an answer and those that it wraps under `data`."""
    while isinstance(answer, Mapping):
        yield answer
        answer = answer.get("data")


def _first_object(answer: Json) -> Mapping[str, Json]:
    """Return the object of an answer, out of an array of one or out of `data`."""
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
    """Read a text; a number stands for its digits, a blank for nothing."""
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
    """Return the first text that stands under one of the keys."""
    return next((found for key in keys if (found := _text(raw.get(key)))), None)


def _word(value: Json) -> str | None:
    """Read a status word; anything longer than a few words is none."""
    text = _text(value)
    return text if text is not None and _STATUS.fullmatch(text) else None


def _status(raw: Mapping[str, Json]) -> str | None:
    """Read the status of a SIM under the names that networks give it."""
    return _word(raw.get("status")) or _word(raw.get("simStatus"))


def _count(value: Json) -> int | None:
    """Read a number that is not negative, in digits or as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    with suppress(ValueError, OverflowError):
        number = value if isinstance(value, int) else int(float(value))
        return number if 0 <= number < _COUNT_LIMIT else None
    return None


def _instant(value: Json) -> datetime | None:
    """Read an instant such as `2023-06-23 11:14:37.998+0000`; without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    with suppress(ValueError, OverflowError):
        instant = datetime.fromisoformat(value.strip())
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    return None


def _ip(value: Json) -> str | None:
    """Read an IP address."""
    if not isinstance(value, str):
        return None
    with suppress(ValueError):
        return str(ip_address(value.strip()))
    return None


def _data_size(quantity: Json, unit: Json) -> int | None:
    """Read an amount of data in bytes, from a quantity and a unit such as `1` and `GB`."""
    factor = _DATA_UNITS.get((_text(unit) or "").upper())
    if factor is None or isinstance(quantity, bool) or not isinstance(quantity, str | int | float):
        return None
    with suppress(ValueError, OverflowError):
        amount = round(float(quantity) * factor)
        return amount if 0 <= amount < _COUNT_LIMIT else None
    return None
