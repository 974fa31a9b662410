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
from .envelope import (
    first_object,
    get_field,
    nested_objects,
    objects,
    plain_word,
    unwrapped,
)
from .exceptions import IotPortalResponseError
from .iccid import is_same_card, normalize_iccid
from .reasons import Reason
from .sms_text import decoded_text
from .text import MAX_TEXT_LENGTH, one_line
from .values import (
    MAX_LABEL_LENGTH,
    DataSize,
    Json,
    is_missing,
    read_amount,
    read_count,
    read_data,
    read_flag,
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
_TOKEN: Final = re.compile(r"(?:Bearer )?[\x23-\x3b\x3d\x3f-\x5a\x5c\x5e-\x7a\x7c\x7e!]+")
_SMS_ID: Final = re.compile(r"(?!0+$)(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# What a portal says of a request, not of a SIM.
_OK_WORDS: Final = frozenset({"ok", "okay", "success", "successful"})
_FAILED_WORDS: Final = frozenset({"error", "fail", "failure"})
_NO_STATUS: Final = (
    _OK_WORDS | _FAILED_WORDS | {"failed", "true", "false", "yes", "no", "accepted", "queued"}
)
_SIM_FIELDS: Final = frozenset({"iccid", "imsi", "msisdn", "imei", "status", "simStatus"})
# What errors have as well, so that only a readable value says something of a SIM or an SMS.
_SIGNS: Final = frozenset({"iccid", "status", "simStatus"})
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
    iccid: str | None = field(default=None, repr=False)

    # The documented fields of the answer.
    FIELDS: ClassVar[frozenset[str]] = frozenset()

    def __bool__(self) -> bool:
        """Return whether the answer says anything of its kind.

        An unknown SIM may be answered with an empty object, with nulls, or with one that only says so, as
        `{"status": "error"}` does.
        """
        is_named = self.iccid is not None or getattr(self, "status", None) is not None
        return is_named or not all(
            is_missing(get_field(self.raw, name)) for name in self.FIELDS - _SIGNS
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _SimAnswer(_Answer):
    """Numbers and status of a SIM."""

    imsi: str | None = field(default=None, repr=False)
    msisdn: str | None = field(default=None, repr=False)
    imei: str | None = field(default=None, repr=False)
    status: str | None = None


def _sim_fields(raw: Mapping[str, Json]) -> dict[str, str | None]:
    """Return the fields that usage and device answers share."""
    return {
        "iccid": _iccid(raw),
        "imsi": read_imsi(get_field(raw, "imsi")),
        "msisdn": read_msisdn(get_field(raw, "msisdn")),
        "imei": read_imei(get_field(raw, "imei")),
        "status": _status(raw),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage(_SimAnswer):
    """Usage of a SIM since the start of its billing cycle: data, counts and seconds.

    `data_bytes` is in bytes, or else in the unit that the network counts in; it `is_in_bytes` for certain where the
    answer names a unit.
    """

    FIELDS: ClassVar[frozenset[str]] = _SIM_FIELDS | {
        *("ctdDataUsage", "ctdSMSUsage", "ctdVoiceUsage", "ctdSessionCount"),
    }

    data_bytes: float | None = None
    is_in_bytes: bool = False
    sms_count: int | None = None
    voice_seconds: float | None = None
    session_count: int | None = None
    # Whether the answer was an empty list: nothing was used in this cycle.
    is_empty: bool = False

    @classmethod
    def from_answer(cls, answer: Json, *, is_empty: bool = False) -> Self:
        """Parse the answer of ctdUsage."""
        raw = first_object(answer)
        data, is_in_bytes = read_data(get_field(raw, "ctdDataUsage"))
        return cls(
            raw=raw,
            is_empty=is_empty or is_empty_list(answer),
            **_sim_fields(raw),
            data_bytes=data,
            is_in_bytes=is_in_bytes,
            sms_count=read_count(get_field(raw, "ctdSMSUsage")),
            voice_seconds=read_amount(get_field(raw, "ctdVoiceUsage")),
            session_count=read_count(get_field(raw, "ctdSessionCount")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Device(_SimAnswer):
    """What the portal knows about a SIM: its plans, owner and allowance."""

    FIELDS: ClassVar[frozenset[str]] = _SIM_FIELDS | {
        *("ratePlan", "communicationPlan", "commsplan", "customer", "endConsumerId", "accountId"),
        *("username", "dateActivated", "dateCreated", "dateUpdated", "dateShipped"),
        *("fixedIPAddress", "simNotes", "deviceID", "modemID", "globalSimType", "parenticcid"),
        *("action", "zh_q_id", "contractdetails", "isshared", "dataquantity", "datasize"),
    }

    rate_plan: str | None = None
    communication_plan: str | None = None
    customer: str | None = None
    account_id: str | None = None
    date_activated: datetime | None = None
    fixed_ip: str | None = field(default=None, repr=False)
    label: str | None = None
    notes: str | None = None
    allowance: DataSize | None = None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Parse the answer of GetDevice."""
        raw = first_object(answer)
        return cls(
            raw=raw,
            **_sim_fields(raw),
            rate_plan=read_name(get_field(raw, "ratePlan")),
            communication_plan=read_name(get_field(raw, "communicationPlan")),
            customer=read_name(get_field(raw, "customer")),
            account_id=read_name(get_field(raw, "accountId")),
            date_activated=read_instant(get_field(raw, "dateActivated")),
            fixed_ip=read_ip(get_field(raw, "fixedIPAddress")),
            label=read_name(get_field(raw, "deviceID"), MAX_LABEL_LENGTH),
            notes=read_name(get_field(raw, "simNotes"), MAX_LABEL_LENGTH),
            allowance=DataSize.read(get_field(raw, "dataquantity"), get_field(raw, "datasize")),
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
        raw = first_object(answer)
        start, end = get_field(raw, "dateSessionStarted"), get_field(raw, "dateSessionEnded")
        started, ended = read_instant(start, SESSION_AHEAD), read_instant(end, SESSION_AHEAD)
        is_unreadable = any(
            moment is None and not is_missing(said)
            for said, moment in ((start, started), (end, ended))
        )
        if started is not None and ended is not None and ended < started:
            ended, is_unreadable = None, True
        return cls(
            raw=raw,
            iccid=_iccid(raw),
            ip_address=read_ip(get_field(raw, "ipAddress")),
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
    status: str | None = None
    text: str | None = field(default=None, repr=False)
    is_incoming: bool | None = None
    sent: datetime | None = None
    received: datetime | None = None

    @classmethod
    def from_answer(cls, answer: Json) -> Self:
        """Parse the answer of GetSMS."""
        raw = first_object(answer)
        kind = read_text(get_field(raw, "msgType")) or ""
        return cls(
            raw=raw,
            sms_id=sms_id(raw),
            iccid=_iccid(raw),
            status=_sms_word(get_field(raw, "status")),
            text=_message(raw),
            is_incoming=_SMS_KINDS.get(kind.upper()),
            sent=read_instant(get_field(raw, "dateSent")),
            received=read_instant(get_field(raw, "dateReceived")),
        )


def sms_status(word: str) -> SmsStatus | None:
    """Return the SMS status that a spelling such as `Delivered-InLog` or `DELIVERED` means."""
    return _SMS_STATUSES.get(plain_word(word))


def is_activated(status: str | None) -> bool | None:
    """Return whether a status of any network means activated; None for a word that says neither."""
    word = plain_word(status or "")
    if word in ACTIVATED_WORDS:
        return True
    return False if word in _NOT_ACTIVATED_WORDS else None


def status_word(answer: Json) -> str | None:
    """Return the status in an answer of getStatus: a word or a number, or an object around it."""
    if isinstance(answer, str | int):
        is_sentence = isinstance(answer, str) and _SENTENCE.search(answer)
        return None if is_sentence else _sim_word(answer)
    return _status(first_object(answer)) or _sim_word(_innermost(answer))


def sms_id(answer: Json) -> str | None:
    """Return the id of an SMS: a number, a text, or an object around it.

    A word such as `OK` is no id.
    """
    raw = first_object(answer)
    found = (_sms_identifier(get_field(raw, key)) for key in ("smsMsgId", "smsMessageId"))
    return next(filter(None, found), None) or _sms_identifier(_innermost(answer))


@dataclass(frozen=True, kw_only=True, slots=True)
class SmsList:
    """The ids of the SMS of a SIM, in the portal's order; not complete where the portal has more pages."""

    ids: list[str]
    is_complete: bool = True


def is_last_page(answer: Json) -> bool:
    """Return whether the portal has no more pages of an answer."""
    return not any(
        read_flag(get_field(raw, "lastPage", "last")) is False
        or read_flag(get_field(raw, "hasMore", "hasNext"))
        for raw in nested_objects(answer)
    )


def is_empty_list(answer: Json) -> bool:
    """Return whether an answer is a list without items, also in a wrapper."""
    return unwrapped(answer) == []


def sms_ids(answer: Json) -> list[str]:
    """Return the ids in an answer of GetSMSIds, in the portal's order.

    Raises an error when there is no list, or one without any id: it is not known, which differs from an empty one.
    """
    listed = unwrapped(answer, "smsMsgIds")
    if listed == []:
        return []
    # A list of one may come as the id itself.
    items = listed if isinstance(listed, list) else [listed]
    found = [identifier for item in items if (identifier := sms_id(item)) is not None]
    if not found:
        raise IotPortalResponseError(Reason.SMS_LIST_UNKNOWN, status=200)
    return found


def object_about(answer: Json, iccid: str) -> Mapping[str, Json]:
    """Return the object of an answer that is about a SIM, or the first one if none names a SIM.

    An answer about other SIMs is none, whatever it says.
    """
    others = False
    for raw in objects(answer):
        named = _iccid(raw)
        if named is not None and is_same_card(named, iccid):
            return raw
        others = others or named is not None
    if others:
        raise IotPortalResponseError(Reason.ANOTHER_SIM, status=200)
    return first_object(answer)


def is_about_others(answer: Json, iccids: Collection[str]) -> bool:
    """Return whether an answer names SIMs, but none of the asked ones."""
    named = [iccid for raw in objects(answer) if (iccid := _iccid(raw)) is not None]
    return bool(named) and not any(is_same_card(one, asked) for one in named for asked in iccids)


def sms_about(answer: Json, identifier: str) -> Mapping[str, Json]:
    """Return the object of an answer that is about an SMS, or the first one if none names an SMS."""
    others = False
    for raw in objects(answer):
        named = sms_id(raw)
        if named == identifier:
            return raw
        others = others or named is not None
    if others:
        raise IotPortalResponseError(Reason.ANOTHER_SMS, status=200)
    return first_object(answer)


def login_token(answer: Json) -> str | None:
    """Return the token in an answer of Login: the token itself, or an object around it."""
    token = read_text(unwrapped(answer, "token", "accessToken"))
    # A log-in page, a sentence or a piece of JSON is no token, and a header must not contain a line break.
    return token if token is not None and _TOKEN.fullmatch(token) else None


def error_message(answer: Json) -> str | None:
    """Return the message of an error in one line; plain text is the message itself, a page of HTML has none."""
    if isinstance(answer, str):
        return (one_line(answer) or None) if "<" not in answer else None
    return _first_text(answer, "errorMessage", "message", "error", "detail")


def error_code(answer: Json) -> str | None:
    """Return the code of an error."""
    return _first_text(answer, "errorCode", "code")


def says_failed(answer: Json) -> bool:
    """Return whether an object says that the request failed, as `{"success": false}` and `{"error": "..."}` do."""
    return any(map(_is_failed, nested_objects(answer)))


def _is_failed(raw: Mapping[str, Json]) -> bool:
    """Return whether an object says that the request failed; one with an id may say it of a SIM or an SMS."""
    if read_flag(get_field(raw, "success", "isSuccess", "ok")) is False:
        return True
    if _iccid(raw) is not None or get_field(raw, "smsMsgId") is not None:
        return False
    said = {str(get_field(raw, name)).lower() for name in ("status", "result")}
    error = get_field(raw, "error", "errors")
    word = str(error).strip(" 0").lower()
    is_error = bool(error) and not is_missing(error) and word not in {"", "false", *_OK_WORDS}
    return is_error or not _FAILED_WORDS.isdisjoint(said)


def _error_objects(answer: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the objects of an answer that may describe an error, the outermost first."""
    for raw in [answer[0]] if isinstance(answer, list) and answer else nested_objects(answer):
        if isinstance(raw, Mapping):
            yield raw
            yield from objects(get_field(raw, "error", "errors"))


def _first_text(answer: Json, *keys: str) -> str | None:
    """Return the first text under one of the keys in what may describe an error, in one line."""
    for raw in _error_objects(answer):
        for key in keys:
            text = read_text(get_field(raw, key))
            if text and (line := one_line(text)):
                return line
    return None


def _innermost(answer: Json) -> Json:
    """Return the one value of an answer, out of wrappers and a list."""
    value = unwrapped(answer)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _iccid(raw: Mapping[str, Json]) -> str | None:
    """Return the ICCID that an answer names; a number that was rounded names none."""
    value = get_field(raw, "iccid")
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return normalize_iccid(str(value))


def _message(raw: Mapping[str, Json]) -> str | None:
    """Return the text of an SMS, which may be any word, in one line; decoded if its encoding is said."""
    value = decoded_text(raw)
    return (
        (one_line(value, MAX_TEXT_LENGTH) or None) if isinstance(value, str) else read_text(value)
    )


def _sms_identifier(value: Json) -> str | None:
    """Return the id of an SMS; it has a digit, and is not 0."""
    identifier = read_text(value)
    return identifier if identifier and _SMS_ID.fullmatch(identifier) else None


def _sms_word(value: Json) -> str | None:
    """Return the status of an SMS; there `Unknown` is one."""
    if isinstance(value, str) and plain_word(value) == "unknown":
        return value.strip()
    word = read_word(value)
    return None if word is None or word.lower() in _FAILED_WORDS else word


def _sim_word(value: Json) -> str | None:
    """Return a status of a SIM: a known one in its own spelling, any other word as it is."""
    word = read_word(value)
    if word is None or word.lower() in _NO_STATUS:
        return None
    return _SIM_STATUSES.get(plain_word(word), word)


def _status(raw: Mapping[str, Json]) -> str | None:
    """Return the status of a SIM, under the keys of all networks."""
    return _sim_word(get_field(raw, "status")) or _sim_word(get_field(raw, "simStatus"))
