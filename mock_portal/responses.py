"""What the portal answers: one table a dialect, from each variant to what it looks like."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from http import HTTPStatus
from urllib.parse import quote, urlsplit, urlunsplit

from .dialects import Dialects
from .errors import (
    Code,
    LoginRefusedError,
    PortalError,
    RateLimitError,
    RouteRefusedError,
    TokenRefusedError,
    UnknownIccidError,
)
from .exchange import ASSUMED, JSON_TYPE, Json, Response, WebhookCall, to_json
from .sim import Sim
from .state import ABZORB, BulkEdit, Sms

_HTML_TYPE = "text/html;charset=iso-8859-1"
_MOBILE = "Mobile Device"
_SERVER = "Server"

type _Record = dict[str, Json]


def json_answer(value: object, *, documented: bool = False, status: int = 200) -> Response:
    """Answer JSON."""
    return _answer(to_json(value), documented=documented, status=status)


def word_answer(word: str, *, documented: bool = False) -> Response:
    """Answer a bare word, under the content type of JSON as the portal does."""
    return _answer(word.encode(), documented=documented)


def _answer(body: bytes, *, documented: bool, status: int = 200) -> Response:
    """Answer a body, and mark it unless it is documented."""
    headers = {"Content-Type": JSON_TYPE} | ({} if documented else ASSUMED)
    return Response(status=status, headers=headers, body=body)


_LOGIN: Mapping[str, Callable[[str], Json]] = {
    "data_token": lambda token: {"data": {"token": token}},
    "token": lambda token: {"token": token},
    "quoted": lambda token: token,
}


def login(token: str, dialects: Dialects, *, is_account_login: bool) -> Response:
    """Answer a log-in; of the two, only the account log-in is shown with its answer."""
    variant = dialects["login_answer"]
    if variant == "bare":
        return word_answer(token)
    documented = is_account_login and dialects.is_documented("login_answer")
    return json_answer(_LOGIN[variant](token), documented=documented)


_USAGE: Mapping[str, Callable[[_Record], Json]] = {
    "array": lambda record: [record],
    "object": lambda record: record,
    "data": lambda record: {"data": [record]},
    "text_numbers": lambda record: [
        {name: str(value) if isinstance(value, int) else value for name, value in record.items()}
    ],
    "empty_array": lambda record: [record] if any(_counts(record)) else [],
}


def _counts(record: _Record) -> list[Json]:
    """Return the counters of a usage record."""
    return [value for name, value in record.items() if name.startswith("ctd")]


def _identity(sim: Sim) -> _Record:
    """Return the fields that usage and device begin with."""
    return {
        "iccid": sim.iccid,
        "imsi": sim.imsi,
        "msisdn": sim.msisdn,
        "imei": sim.imei,
        "status": sim.status,
    }


def usage(sim: Sim, dialects: Dialects) -> Response:
    """Answer a SIM's usage in this cycle."""
    record = _identity(sim) | {
        "ctdDataUsage": sim.data_usage,
        "ctdSMSUsage": sim.sms_usage,
        "ctdVoiceUsage": sim.voice_usage,
        "ctdSessionCount": sim.session_count,
    }
    value = _USAGE[dialects["usage_body"]](record)
    return json_answer(value, documented=dialects.is_documented("usage_body"))


def device(sim: Sim) -> Response:
    """Answer everything about a SIM, in the order of the published example."""
    fields = sim.device
    record = _identity(sim) | {
        "ratePlan": fields["ratePlan"],
        "communicationPlan": fields["communicationPlan"],
        "customer": fields["customer"],
        "endConsumerId": fields["endConsumerId"],
        "dateActivated": instant(sim.date_activated),
        "dateCreated": instant(sim.date_created),
        "dateUpdated": instant(sim.date_updated),
        "dateShipped": instant(sim.date_shipped),
    }
    return json_answer(record | fields, documented=True)


@lru_cache
def instant(moment: datetime | None) -> str | None:
    """Write a moment as the portal writes it: 2023-06-23 11:14:37.998+0000."""
    if moment is None:
        return None
    return f"{moment.astimezone(UTC).isoformat(' ', 'milliseconds')[:-6]}+0000"


_OPEN_SESSION: Mapping[str, _Record] = {
    "null": {"dateSessionEnded": None},
    "empty": {"dateSessionEnded": ""},
    "missing": {},
}
_NEVER_SESSION: Mapping[str, _Record] = {
    "nulls": {"ipAddress": None, "dateSessionStarted": None, "dateSessionEnded": None},
    "empty": {"ipAddress": "", "dateSessionStarted": "", "dateSessionEnded": ""},
    "iccid_only": {},
}


def session(sim: Sim, dialects: Dialects) -> Response:
    """Answer the current or the most recent session of a SIM."""
    if sim.session_started is None:
        return _never_session(sim, dialects["never_session"])
    record: _Record = {
        "iccid": sim.iccid,
        "ipAddress": sim.ip_address,
        "dateSessionStarted": instant(sim.session_started),
    }
    if sim.in_session:
        return json_answer(record | _OPEN_SESSION[dialects["open_session"]])
    return json_answer(record | {"dateSessionEnded": instant(sim.session_ended)}, documented=True)


def _never_session(sim: Sim, variant: str) -> Response:
    """Answer for a SIM that never had a session."""
    if variant == "404":
        msg = "No active session"
        raise PortalError(msg, Code.NO_SESSION, status=404)
    return json_answer({"iccid": sim.iccid} | _NEVER_SESSION[variant])


_STATUS: Mapping[str, Callable[[_Record], Json]] = {
    "quoted": lambda record: record["status"],
    "object": lambda record: record,
    "array": lambda record: [record],
}
_ABZORB_STATUS: Mapping[str, Callable[[str, str], Json]] = {
    "object": lambda iccid, word: {"iccid": iccid, "simStatus": word},
    "nested": lambda _, word: {"data": {"status": word}},
}


def status(sim: Sim, dialects: Dialects) -> Response:
    """Answer the status of a SIM."""
    abzorb = _ABZORB_STATUS.get(dialects["abzorb"])
    if sim.network == ABZORB and abzorb:
        return json_answer(abzorb(sim.iccid, _abzorb_word(sim.status)))
    variant = dialects["status_body"]
    if variant == "bare":
        return word_answer(sim.status, documented=sim.network != ABZORB)
    return json_answer(_STATUS[variant]({"iccid": sim.iccid, "status": sim.status}))


def _abzorb_word(word: str) -> str:
    """Return the word another network may have for a status."""
    return "Active" if word == "ACTIVATED" else word.replace("_", " ").capitalize()


_SMS_ID: Mapping[str, Callable[[int], Json]] = {
    "smsMsgId": lambda sms_id: {"smsMsgId": sms_id},
    "text": lambda sms_id: {"smsMsgId": str(sms_id)},
    "smsMessageId": lambda sms_id: {"smsMessageId": sms_id},
    "data": lambda sms_id: {"data": {"smsMsgId": sms_id}},
    "bare": lambda sms_id: sms_id,
    "none": lambda _: {},
}
_SMS_LIST: Mapping[str, Callable[[list[int]], Json]] = {
    "smsMsgIds": lambda ids: {"smsMsgIds": [*ids], "pageNumber": 1, "lastPage": True},
    "bare": lambda ids: [*ids],
    "objects": lambda ids: [{"smsMsgId": sms_id} for sms_id in ids],
    "data": lambda ids: {"data": [*ids]},
    "text": lambda ids: {"smsMsgIds": [str(sms_id) for sms_id in ids]},
}
_SMS_BODY: Mapping[str, Callable[[_Record], Json]] = {
    "object": lambda record: record,
    "array": lambda record: [record],
    "data": lambda record: {"data": record},
}
_SMS_STATUS: Mapping[str, Callable[[str], str]] = {
    "title": lambda word: word,
    "upper": str.upper,
    "in_log": lambda word: "Delivered-InLog" if word == "Delivered" else word,
}


def sms_sent(sms: Sms, dialects: Dialects) -> Response:
    """Answer the id of a text message."""
    return json_answer(_SMS_ID[dialects["sms_id"]](sms.id))


def sms_ids(messages: list[Sms], dialects: Dialects) -> Response:
    """Answer the ids of text messages."""
    return json_answer(_SMS_LIST[dialects["sms_list"]]([sms.id for sms in messages]))


def sms(message: Sms, msisdn: str, dialects: Dialects) -> Response:
    """Answer everything about a text message."""
    record: _Record = {
        "smsMsgId": message.id,
        "status": _SMS_STATUS[dialects["sms_status"]](message.status),
        "messageText": message.text,
        "senderLogin": message.login if message.to_sim else _MOBILE,
        "iccid": message.iccid,
        "sentTo": msisdn if message.to_sim else _SERVER,
        "sentFrom": _SERVER if message.to_sim else msisdn,
        "msgType": "MT" if message.to_sim else "MO",
        "dateSent": instant(message.sent),
        "dateReceived": None if message.status == "Pending" else instant(message.modified),
        "dateModified": instant(message.modified),
    }
    return json_answer(_SMS_BODY[dialects["sms_body"]](record))


def written(iccid: str | None, dialects: Dialects) -> Response:
    """Acknowledge a write."""
    match dialects["write_answer"]:
        case "empty":
            return word_answer("")
        case "text":
            return word_answer("OK")
        case "queued":
            return json_answer({"data": {"queued": True}}, status=202)
        case _:
            return json_answer({} if iccid is None else {"iccid": iccid})


def webhook(edit: BulkEdit, dialects: Dialects) -> WebhookCall | None:
    """Return the call that tells a client the end of its bulk edit."""
    url = edit.webhook_url
    variant = dialects["bulk_webhook"]
    if not url or variant == "silent":
        return None
    if variant == "get":
        parts = urlsplit(url)
        query = "&".join(filter(None, (parts.query, f"queueId={quote(edit.queue_id or '')}")))
        return WebhookCall(url=urlunsplit(parts._replace(query=query)))
    body: _Record = {"queueId": edit.queue_id, "status": "COMPLETED"}
    if variant == "per_sim":
        body["results"] = [
            {"iccid": iccid, "success": success} for iccid, success in edit.results.items()
        ]
    return WebhookCall(url=url, body=to_json(body))


_EMPTY: Mapping[str | None, bytes] = {"ctdUsage": b"[]", "GetSMSIds": b"[]", "getStatus": b""}
"""What a SIM that does not exist has on a route, in `200_empty`; `{}` on the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """How a variant refuses: a status and the usual envelope, or a body that depends on the route."""

    status: int
    has_code: bool = True
    is_html: bool = False
    retry_after: str | None = None
    body: Callable[[str | None], bytes] | None = None


_REFUSALS: Mapping[type[PortalError], tuple[str, Mapping[str, Refusal]]] = {
    LoginRefusedError: (
        "login_failure",
        {
            "401": Refusal(status=401),
            "403": Refusal(status=403),
            "400": Refusal(status=400),
            "200_no_token": Refusal(status=200, body=lambda _: to_json({"data": {}})),
        },
    ),
    TokenRefusedError: (
        "token_refused",
        {
            "401": Refusal(status=401),
            "401_empty": Refusal(status=401, body=lambda _: b""),
            "403_code": Refusal(status=403),
            "400_code": Refusal(status=400),
        },
    ),
    UnknownIccidError: (
        "unknown_iccid",
        {
            "404": Refusal(status=404),
            "400": Refusal(status=400),
            "404_html": Refusal(status=404, is_html=True),
            "200_empty": Refusal(status=200, body=lambda route: _EMPTY.get(route, b"{}")),
        },
    ),
    RouteRefusedError: (
        "route_refused",
        {
            "400_code": Refusal(status=400),
            "403": Refusal(status=403, has_code=False),
            "404": Refusal(status=404, has_code=False),
            "501": Refusal(status=501, has_code=False),
        },
    ),
    RateLimitError: (
        "rate_limit",
        {
            "429_retry_after": Refusal(status=429, retry_after="1"),
            "429": Refusal(status=429),
            "503": Refusal(status=503, retry_after="1"),
            "400_code": Refusal(status=400),
        },
    ),
}

_ENVELOPE: Mapping[str, tuple[str, str, bool]] = {
    "cisco": ("errorMessage", "errorCode", False),
    "message": ("message", "code", False),
    "data_error": ("error", "errorCode", True),
}
"""Key of the message, key of the code, and whether both lie under `data`."""


def error(err: PortalError, route: str | None, dialects: Dialects) -> Response:
    """Answer an error as the dialect of its kind and the envelope say."""
    refusal = Refusal(status=err.status)
    if type(err) in _REFUSALS:
        dialect, variants = _REFUSALS[type(err)]
        refusal = variants[dialects[dialect]]
    if refusal.body is not None:
        return _answer(refusal.body(route), documented=False, status=refusal.status)
    envelope = "html" if refusal.is_html else dialects["error_envelope"]
    headers = {"Content-Type": _HTML_TYPE if envelope == "html" else JSON_TYPE, **ASSUMED}
    if refusal.retry_after:
        headers["Retry-After"] = refusal.retry_after
    code = err.code if refusal.has_code else None
    body = _enclose(err.message, code, refusal.status, envelope)
    return Response(status=refusal.status, headers=headers, body=body)


def _enclose(message: str, code: Code | None, status: int, envelope: str) -> bytes:
    """Put an error's message and code into an envelope."""
    if envelope == "html":
        return _page(message, status)
    if envelope == "plain":
        return message.encode()
    message_key, code_key, under_data = _ENVELOPE[envelope]
    record: _Record = {message_key: message}
    if code:
        record[code_key] = code
    return to_json({"data": record} if under_data else record)


def _page(message: str, status: int) -> bytes:
    """Return an error page like the web server's own."""
    title = f"Error {status} {HTTPStatus(status).phrase}"
    return (
        f'<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>\n'
        f"<title>{title}</title>\n</head>\n<body><h2>HTTP ERROR {status}</h2>\n"
        f"<p>{escape(message)}</p>\n</body>\n</html>\n"
    ).encode("iso-8859-1", "xmlcharrefreplace")
