"""The response of each route; forms that the document leaves open come from the dialects."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from .contents import BulkEdit, Sms
from .dialects import Dialects
from .dialects.definition import Dialect
from .dialects.logins import LOGIN_ANSWER
from .dialects.refusals import (
    ERROR_ENVELOPE,
    LOGIN_FAILURE,
    RATE_LIMIT,
    ROUTE_REFUSED,
    TOKEN_REFUSED,
    UNKNOWN_ICCID,
    Refusal,
)
from .dialects.sim_reads import ABZORB, NEVER_SESSION, OPEN_SESSION, STATUS_BODY, USAGE_BODY
from .dialects.sms import SMS_BODY, SMS_ID, SMS_LIST, SMS_STATUS
from .dialects.writes import BULK_WEBHOOK, WRITE_ANSWER
from .errors import (
    LoginRefusedError,
    PortalError,
    RateLimitError,
    RouteRefusedError,
    TokenRefusedError,
    UnknownIccidError,
)
from .exchange import ASSUMED, Record, Response, WebhookCall, respond, to_body
from .sim import ABZORB_NETWORK, Sim

_MOBILE = "Mobile Device"
_SERVER = "Server"

_REFUSALS: Mapping[type[PortalError], Dialect[Refusal] | Dialect[Refusal | None]] = {
    LoginRefusedError: LOGIN_FAILURE,
    TokenRefusedError: TOKEN_REFUSED,
    UnknownIccidError: UNKNOWN_ICCID,
    RouteRefusedError: ROUTE_REFUSED,
    RateLimitError: RATE_LIMIT,
}


def login(token: str, dialects: Dialects, *, is_account_login: bool) -> Response:
    """Return the answer to a log-in; only the account log-in is documented with its answer."""
    variant = dialects.variant(LOGIN_ANSWER)
    return respond(variant.answer(token), documented=is_account_login and variant.documented)


def _identity(sim: Sim) -> Record:
    """Return the fields at the start of usage and device."""
    return {
        "iccid": sim.iccid,
        "imsi": sim.imsi,
        "msisdn": sim.msisdn,
        "imei": sim.imei,
        "status": sim.status,
    }


def usage(sim: Sim, dialects: Dialects) -> Response:
    """Return a SIM's usage in this cycle."""
    record = _identity(sim) | {
        "ctdDataUsage": sim.data_usage,
        "ctdSMSUsage": sim.sms_usage,
        "ctdVoiceUsage": sim.voice_usage,
        "ctdSessionCount": sim.session_count,
    }
    variant = dialects.variant(USAGE_BODY)
    stand_ins = sim.stand_ins(record)
    return respond(
        variant.answer(record | stand_ins), documented=variant.documented and not stand_ins
    )


def device(sim: Sim) -> Response:
    """Return all fields of a SIM, in the order of the published example."""
    fields = sim.device
    record = _identity(sim) | {
        "ratePlan": fields["ratePlan"],
        "communicationPlan": fields["communicationPlan"],
        "customer": fields["customer"],
        "endConsumerId": fields["endConsumerId"],
        "dateActivated": _instant(sim.date_activated),
        "dateCreated": _instant(sim.date_created),
        "dateUpdated": _instant(sim.date_updated),
        "dateShipped": _instant(sim.date_shipped),
    }
    stand_ins = sim.stand_ins(record | fields)
    return respond(record | fields | stand_ins, documented=not stand_ins)


@lru_cache
def _instant(moment: datetime | None) -> str | None:
    """Return a timestamp in the form of the portal: 2023-06-23 11:14:37.998+0000."""
    if moment is None:
        return None
    return f"{moment.astimezone(UTC).isoformat(' ', 'milliseconds')[:-6]}+0000"


def session(sim: Sim, dialects: Dialects) -> Response:
    """Return the current or the most recent session of a SIM."""
    if sim.session_started is None:
        return respond(dialects.variant(NEVER_SESSION).answer(sim.iccid))
    record: Record = {
        "iccid": sim.iccid,
        "ipAddress": sim.ip_address,
        "dateSessionStarted": _instant(sim.session_started),
    }
    if sim.in_session:
        record |= dialects.variant(OPEN_SESSION).answer
    else:
        record["dateSessionEnded"] = _instant(sim.session_ended)
    stand_ins = sim.stand_ins(record)
    return respond(record | stand_ins, documented=not sim.in_session and not stand_ins)


def status(sim: Sim, dialects: Dialects) -> Response:
    """Return the status of a SIM."""
    is_abzorb = sim.network == ABZORB_NETWORK
    abzorb_status = dialects.variant(ABZORB).answer.status
    if is_abzorb and abzorb_status:
        return respond(abzorb_status(sim.iccid, _abzorb_word(sim.status)))
    variant = dialects.variant(STATUS_BODY)
    payload = variant.answer({"iccid": sim.iccid, "status": sim.status})
    return respond(payload, documented=variant.documented and not is_abzorb)


def _abzorb_word(word: str) -> str:
    """Return the word that another network may use for a status."""
    return "Active" if word == "ACTIVATED" else word.replace("_", " ").capitalize()


def sms_sent(sms: Sms, dialects: Dialects) -> Response:
    """Return the id of a text message."""
    return respond(dialects.variant(SMS_ID).answer(sms.id))


def sms_ids(messages: list[Sms], dialects: Dialects) -> Response:
    """Return the ids of text messages."""
    return respond(dialects.variant(SMS_LIST).answer([sms.id for sms in messages]))


def sms(message: Sms, msisdn: str, dialects: Dialects) -> Response:
    """Return all fields of a text message."""
    record: Record = {
        "smsMsgId": message.id,
        "status": dialects.variant(SMS_STATUS).answer(message.status),
        "messageText": message.text,
        "senderLogin": message.login if message.to_sim else _MOBILE,
        "iccid": message.iccid,
        "sentTo": msisdn if message.to_sim else _SERVER,
        "sentFrom": _SERVER if message.to_sim else msisdn,
        "msgType": "MT" if message.to_sim else "MO",
        "dateSent": _instant(message.sent),
        "dateReceived": None if message.status == "Pending" else _instant(message.modified),
        "dateModified": _instant(message.modified),
    }
    return respond(dialects.variant(SMS_BODY).answer(record))


def written(iccid: str | None, dialects: Dialects) -> Response:
    """Return the acknowledgement of a write."""
    return dialects.variant(WRITE_ANSWER).answer(iccid)


def webhook(edit: BulkEdit, dialects: Dialects) -> WebhookCall | None:
    """Return the webhook call that reports the end of a bulk edit."""
    url = edit.webhook_url
    return dialects.variant(BULK_WEBHOOK).answer(url, edit) if url else None


def error(err: PortalError, route: str | None, dialects: Dialects) -> Response:
    """Return an error in the form of its dialect and of the chosen envelope."""
    dialect = _REFUSALS.get(type(err))
    refusal = (dialect and dialects.variant(dialect).answer) or Refusal(err.status)
    if refusal.body is not None:
        return respond(refusal.body(route), status=refusal.status)
    envelope = refusal.envelope or dialects.variant(ERROR_ENVELOPE).answer
    headers = {"Content-Type": envelope.content_type, **ASSUMED, **err.headers}
    if refusal.retry_after:
        headers["Retry-After"] = refusal.retry_after
    code = err.code if refusal.has_code else None
    payload = envelope.enclose(err.message, code, refusal.status)
    return Response(status=refusal.status, headers=headers, body=to_body(payload))
