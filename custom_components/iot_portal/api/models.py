"""Typed models of the IoT Portal's answers.

The portal has several formats for the same thing (docs/api.md, assumptions A5 to A11), and every
parser here accepts all of them. A field of a wrong type becomes None and does not affect the others.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import re
from typing import ClassVar, Final, Self

from .const import SimStatus, SmsStatus
from .exceptions import IotPortalResponseError
from .iccid import is_same_card, normalize_iccid
from .text import MAX_TEXT_LENGTH, one_line
from .values import (
    MAX_LABEL_LENGTH,
    DataSize,
    Json,
    is_missing,
    read_amount,
    read_count,
    read_data,
    read_imei,
    read_imsi,
    read_instant,
    read_ip,
    read_msisdn,
    read_name,
    read_text,
    read_word,
)

_SMS_STATUSES: Final = {status.replace("_", ""): status for status in SmsStatus}
# Home Assistant's own state "unknown" means something else.
_SMS_STATUSES["unknown"] = SmsStatus.UNDETERMINED
_SIM_STATUSES: Final = {status.replace("_", "").lower(): status for status in SimStatus}
# What public documents call a SIM that may be used: Cisco and emnify "activated", Soracom and Twilio "active",
# Hologram "LIVE" and "ACTIVE (LIVE)", 1oT "LIVE", Telnyx "enabled".
ACTIVATED_WORDS: Final = frozenset({"activated", "active", "live", "activelive", "enabled"})
# What they call one that may not, or not yet. "Ready" is neither: some may connect with it.
_NOT_ACTIVATED_WORDS: Final = frozenset(
    (_SIM_STATUSES.keys() - ACTIVATED_WORDS)
    | {"blocked", "cancelled", "canceled", "deleted", "disabled", "expired", "inactive", "issued"}
    | {"paused", "pauseduser", "pausedsys", "preactive", "stopped", "suspended", "terminated"}
)
# How far ahead of now a session may begin or end: zones and clocks differ, but not by more.
SESSION_AHEAD: Final = timedelta(days=1)
# Where a status is a bare word, a sentence about the portal itself must not be taken for one.
_SENTENCE: Final = re.compile(
    r"\b(denied|error|exception|forbidden|gateway|invalid|log ?in|maintenance|not found|please"
    r"|session|timed? ?out|token|try again|unauthori[sz]ed|unavailable)\b",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(r"[\x23-\x3b\x3d\x3f-\x5a\x5c\x5e-\x7a\x7c\x7e!]+")
_SMS_ID: Final = re.compile(r"(?!0+$)(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# What a portal says of a request, not of a SIM.
_NO_STATUS: Final = frozenset(
    [
        *("ok", "okay", "success", "successful", "error", "fail", "failed", "failure"),
        *("true", "false", "yes", "no", "accepted", "queued"),
    ]
)
_SIM_FIELDS: Final = frozenset({"iccid", "imsi", "msisdn", "imei", "status", "simStatus"})
_SMS_KINDS: Final = {"MO": True, "MT": False}


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

    # The documented fields of the answer.
    FIELDS: ClassVar[frozenset[str]] = frozenset()

    def __bool__(self) -> bool:
        """Return whether the answer has any field of its kind.

        An unknown SIM may be answered with an empty object, or with one that only says so.
        """
        return not self.FIELDS.isdisjoint(self.raw)


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
        "iccid": _iccid(raw),
        "imsi": read_imsi(raw.get("imsi")),
        "msisdn": read_msisdn(raw.get("msisdn")),
        "imei": read_imei(raw.get("imei")),
        "status": _status(raw),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage(_SimAnswer):
    """Usage of a SIM since the start of its billing cycle: data, counts and seconds.

    `data_bytes` is in bytes, or else in the unit that the network counts in; `data_unit` is the bytes of that unit
    where the answer names it.
    """

    FIELDS: ClassVar[frozenset[str]] = _SIM_FIELDS | {
        *("ctdDataUsage", "ctdSMSUsage", "ctdVoiceUsage", "ctdSessionCount"),
    }

    data_bytes: float | None = None
    data_unit: int | None = None
    sms_count: int | None = None
    voice_seconds: float | None = None
    session_count: int | None = None
    # Whether the answer was an empty list: nothing was used in this cycle.
    is_empty: bool = False

    @classmethod
    def from_answer(cls, answer: Json, *, is_empty: bool = False) -> Self:
        """Parse the answer of ctdUsage."""
        raw = _first_object(answer)
        data, unit = read_data(raw.get("ctdDataUsage"))
        return cls(
            raw=raw,
            is_empty=is_empty or is_empty_list(answer),
            **_sim_fields(raw),
            data_bytes=data,
            data_unit=unit,
            sms_count=read_count(raw.get("ctdSMSUsage")),
            voice_seconds=read_amount(raw.get("ctdVoiceUsage")),
            session_count=read_count(raw.get("ctdSessionCount")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Device(_SimAnswer):
    """What the portal knows about a SIM: its plans, customer and allowance."""

    FIELDS: ClassVar[frozenset[str]] = _SIM_FIELDS | {
        *("ratePlan", "communicationPlan", "commsplan", "customer", "endConsumerId", "accountId"),
        *("username", "dateActivated", "dateCreated", "dateUpdated", "dateShipped"),
        *("fixedIPAddress", "simNotes", "deviceID", "modemID", "globalSimType", "parenticcid"),
        *("action", "zh_q_id", "contractdetails", "isshared", "dataquantity", "datasize"),
    }

    rate_plan: str | None = None
    communication_plan: str | None = None
    customer: str | None = None
    date_activated: datetime | None = None
    fixed_ip: str | None = field(default=None, repr=False)
    label: str | None = None
    allowance: DataSize | None = None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Parse the answer of GetDevice."""
        raw = _first_object(answer)
        return cls(
            raw=raw,
            **_sim_fields(raw),
            rate_plan=read_name(raw.get("ratePlan")),
            communication_plan=read_name(raw.get("communicationPlan")),
            customer=read_name(raw.get("customer")),
            date_activated=read_instant(raw.get("dateActivated")),
            fixed_ip=read_ip(raw.get("fixedIPAddress")),
            label=read_name(raw.get("deviceID"), MAX_LABEL_LENGTH),
            allowance=DataSize.read(raw.get("dataquantity"), raw.get("datasize")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Session(_Answer):
    """The current or most recent data session of a SIM.

    `is_unreadable` is True when the portal says a start or an end that is no date, or an end before the start.
    """

    FIELDS: ClassVar[frozenset[str]] = frozenset(
        {"iccid", "ipAddress", "dateSessionStarted", "dateSessionEnded"}
    )

    ip_address: str | None = field(default=None, repr=False)
    started: datetime | None = None
    ended: datetime | None = None
    is_unreadable: bool = False

    @property
    def is_open(self) -> bool | None:
        """Return whether the session has not ended yet, as far as the portal knows; None if that cannot be read."""
        if self.ended is not None:
            return False
        return None if self.is_unreadable else self.started is not None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Parse the answer of sessionInfo."""
        raw = _first_object(answer)
        start, end = raw.get("dateSessionStarted"), raw.get("dateSessionEnded")
        started, ended = read_instant(start, SESSION_AHEAD), read_instant(end, SESSION_AHEAD)
        is_unreadable = any(
            moment is None and not is_missing(said)
            for said, moment in ((start, started), (end, ended))
        )
        if started is not None and ended is not None and ended < started:
            ended, is_unreadable = None, True
        return cls(
            raw=raw,
            ip_address=read_ip(raw.get("ipAddress")),
            started=started,
            ended=ended,
            is_unreadable=is_unreadable,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sms(_Answer):
    """An SMS to or from a SIM, and its status."""

    FIELDS: ClassVar[frozenset[str]] = frozenset(
        {
            *("smsMsgId", "smsMessageId", "status", "messageText", "senderLogin", "iccid"),
            *("sentTo", "sentFrom", "msgType", "dateSent", "dateReceived", "dateModified"),
        }
    )

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
        kind = read_text(raw.get("msgType")) or ""
        return cls(
            raw=raw,
            sms_id=sms_id(raw),
            iccid=_iccid(raw),
            status=_sms_word(raw.get("status")),
            text=_message(raw.get("messageText")),
            is_incoming=_SMS_KINDS.get(kind.upper()),
            sent=read_instant(raw.get("dateSent")),
            received=read_instant(raw.get("dateReceived")),
        )


def sms_status(word: str) -> SmsStatus | None:
    """Return the SMS status that a spelling such as `Delivered-InLog` or `DELIVERED` means."""
    return _SMS_STATUSES.get(_plain(word))


def is_activated(status: str | None) -> bool | None:
    """Return whether a status of any network means activated; None for a word that says neither."""
    word = _plain(status or "")
    if word in ACTIVATED_WORDS:
        return True
    return False if word in _NOT_ACTIVATED_WORDS else None


def status_word(answer: Json) -> str | None:
    """Return the status in an answer of getStatus: a word, or an object around it."""
    if isinstance(answer, str):
        return None if _SENTENCE.search(answer) else _sim_word(answer)
    return _status(_first_object(answer))


def sms_id(answer: Json) -> str | None:
    """Return the id of an SMS: a number, a text, or an object around it.

    A word such as `OK` is no id.
    """
    if isinstance(answer, str | int | float):
        return _sms_identifier(answer)
    raw = _first_object(answer)
    found = (_sms_identifier(raw.get(key)) for key in ("smsMsgId", "smsMessageId"))
    return next(filter(None, found), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class SmsList:
    """The ids of the SMS of a SIM, in the portal's order; not complete where the portal has more pages."""

    ids: list[str]
    is_complete: bool = True


def is_last_page(answer: Json) -> bool:
    """Return whether the portal has no more pages of an answer."""
    return not any(
        raw.get("lastPage") is False or str(raw.get("lastPage")).lower() == "false"
        for raw in _nested_objects(answer)
    )


def is_empty_list(answer: Json) -> bool:
    """Return whether an answer is a list without items, also under `data`."""
    while isinstance(answer, Mapping):
        answer = answer.get("data")
    return answer == []


def sms_ids(answer: Json) -> list[str]:
    """Return the ids in an answer of GetSMSIds, in the portal's order.

    Raises an error for a list that is null: it is not known, which differs from an empty one.
    """
    listed = answer
    while isinstance(listed, Mapping):
        key = "smsMsgIds" if "smsMsgIds" in listed else "data"
        if key in listed and listed[key] is None:
            msg = "the portal does not know the SMS at present"
            raise IotPortalResponseError(msg, status=200)
        listed = listed.get(key)
    if not isinstance(listed, list):
        # A list of one may come as the id itself.
        listed = [listed]
    return [found for item in listed if (found := sms_id(item)) is not None]


def object_about(answer: Json, iccid: str) -> Mapping[str, Json]:
    """Return the object of an answer that is about a SIM, or the first one if none names a SIM.

    An answer about other SIMs is none, whatever it says.
    """
    others = False
    for raw in _objects(answer):
        named = _iccid(raw)
        if named is not None and is_same_card(named, iccid):
            return raw
        others = others or named is not None
    if others:
        msg = "the answer is about another SIM"
        raise IotPortalResponseError(msg, status=200)
    return _first_object(answer)


def is_about_others(answer: Json, iccids: Collection[str]) -> bool:
    """Return whether an answer names SIMs, but none of the asked ones."""
    named = [iccid for raw in _objects(answer) if (iccid := _iccid(raw)) is not None]
    return bool(named) and not any(is_same_card(one, asked) for one in named for asked in iccids)


def sms_about(answer: Json, identifier: str) -> Mapping[str, Json]:
    """Return the object of an answer that is about an SMS, or the first one if none names an SMS."""
    others = False
    for raw in _objects(answer):
        named = sms_id(raw)
        if named == identifier:
            return raw
        others = others or named is not None
    if others:
        msg = "the answer is about another SMS"
        raise IotPortalResponseError(msg, status=200)
    return _first_object(answer)


def login_token(answer: Json) -> str | None:
    """Return the token in an answer of Login: the token itself, or an object around it."""
    while isinstance(answer, Mapping):
        answer = answer.get("token", answer.get("data"))
    token = read_text(answer)
    # A log-in page, a sentence or a piece of JSON is no token, and a header must not contain a line break.
    return token if token is not None and _TOKEN.fullmatch(token) else None


def error_details(answer: Json) -> tuple[str | None, str | None]:
    """Return message and code of an error, under any of the known keys; the message in one line.

    An answer in plain text is the message itself; a page of HTML has none.
    """
    if isinstance(answer, str):
        return (one_line(answer) or None) if "<" not in answer else None, None
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


def _objects(answer: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the objects of an answer, also out of arrays or from `data`."""
    if isinstance(answer, list):
        for item in answer:
            yield from _objects(item)
    elif isinstance(answer, Mapping):
        inner = answer.get("data")
        if isinstance(inner, Mapping | list):
            yield from _objects(inner)
        else:
            yield answer


def _first_object(answer: Json) -> Mapping[str, Json]:
    """Return the first object of an answer; an empty one without any."""
    return next(_objects(answer), {})


def _first_text(raw: Mapping[str, Json], *keys: str) -> str | None:
    """Return the first text under one of the keys, in one line."""
    found = (read_text(raw.get(key)) for key in keys)
    return next((line for text in found if text and (line := one_line(text))), None)


def _iccid(raw: Mapping[str, Json]) -> str | None:
    """Return the ICCID that an answer names; a number that was rounded names none."""
    value = raw.get("iccid")
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return normalize_iccid(str(value))


def _message(value: Json) -> str | None:
    """Return the text of an SMS, which may be any word, in one line."""
    return (
        (one_line(value, MAX_TEXT_LENGTH) or None) if isinstance(value, str) else read_text(value)
    )


def _sms_identifier(value: Json) -> str | None:
    """Return the id of an SMS; it has a digit, and is not 0."""
    identifier = read_text(value)
    return identifier if identifier and _SMS_ID.fullmatch(identifier) else None


def _plain(word: str) -> str:
    """Return a word in lower case and without what separates its parts."""
    return re.sub(r"[\W_]", "", word).lower()


def _sms_word(value: Json) -> str | None:
    """Return the status of an SMS; there `Unknown` is one."""
    if isinstance(value, str) and _plain(value) == "unknown":
        return value.strip()
    return read_word(value)


def _sim_word(value: Json) -> str | None:
    """Return a status of a SIM: a known one in its own spelling, any other word as it is."""
    word = read_word(value)
    if word is None or word.lower() in _NO_STATUS:
        return None
    return _SIM_STATUSES.get(_plain(word), word)


def _status(raw: Mapping[str, Json]) -> str | None:
    """Return the status of a SIM, under the keys of all networks."""
    return _sim_word(raw.get("status")) or _sim_word(raw.get("simStatus"))
