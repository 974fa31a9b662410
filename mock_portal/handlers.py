"""One function for each route: check the request, change the state, return the response."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import json
import re
from typing import NoReturn

from . import gsm, responses
from .contents import Account
from .dialects import Dialects
from .encoding import from_json
from .errors import Code, PortalError
from .exchange import Json, Request, Response
from .routes import API_VERSION
from .sim import DEVICE, Sim
from .state import State, check_status

_DIGITS = re.compile(r"[0-9]+")
_TYPE_NAMES: Mapping[type, str] = {str: "a text", dict: "an object", list: "a list"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request with its route's parameters and its account."""

    request: Request
    params: Mapping[str, str]
    account: Account
    state: State
    dialects: Dialects


def login(request: Request, state: State, dialects: Dialects) -> Response:
    """Log in with an account's id and key, or with its API token."""
    given = _object(request)
    is_account_login = "apiToken" not in given
    if is_account_login:
        _check(given, {"clientId": str, "secretKey": str})
        token = state.login(str(given["clientId"]), str(given["secretKey"]))
    else:
        _check(given, {"apiToken": str})
        token = state.login_with_api_token(str(given["apiToken"]))
    return responses.login(token.value, dialects, is_account_login=is_account_login)


def _usage(call: Call, sim: Sim) -> Response:
    """Handle CTD Usage."""
    sim.note_read()
    return responses.usage(sim, call.dialects)


def _device(_: Call, sim: Sim) -> Response:
    """Handle Get Device."""
    sim.note_read()
    return responses.device(sim)


def _session(call: Call, sim: Sim) -> Response:
    """Handle Get Session Info."""
    return responses.session(sim, call.dialects)


def _status(call: Call, sim: Sim) -> Response:
    """Handle Get Status."""
    sim.note_read()
    return responses.status(sim, call.dialects)


def _sms(call: Call) -> Response:
    """Handle Get SMS."""
    sms = call.state.find_sms(call.params["SMS_id"])
    return responses.sms(sms, call.state.sim(sms.iccid).msisdn, call.dialects)


def _sms_ids(call: Call, sim: Sim) -> Response:
    """Handle Get SMS Ids."""
    return responses.sms_ids(call.state.sms_of(sim), call.dialects)


def _send_sms(call: Call, sim: Sim) -> Response:
    """Handle Send SMS."""
    version = call.params["apiVersion"]
    if version != API_VERSION:
        msg = f"Invalid apiVersion {version!r}; the current version is {API_VERSION}"
        raise PortalError(msg, Code.INVALID_API_VERSION)
    text = str(_check(_object(call.request), {"messageText": str})["messageText"])
    length, limit, alphabet = gsm.measure(text)
    if not 0 < length <= limit:
        msg = f"A message has 1 to {limit} {alphabet} characters, this one has {length}"
        raise PortalError(msg, Code.MESSAGE_LENGTH)
    sms = call.state.send_sms(sim, text, call.account.client_id)
    return responses.sms_sent(sms, call.dialects)


def _request_status_change(call: Call, sim: Sim) -> Response:
    """Handle Request Status Change."""
    given = _check(_object(call.request), {"status": str})
    call.state.request_status(sim, str(given["status"]))
    return responses.written(sim.iccid, call.dialects)


def _edit_device(call: Call, sim: Sim) -> Response:
    """Handle Edit Device."""
    call.state.edit(sim, _changes(_object(call.request)))
    return responses.written(sim.iccid, call.dialects)


def _bulk_edit_device(call: Call) -> Response:
    """Handle Bulk Edit Device."""
    given = _check(
        _object(call.request),
        {"update": dict, "iccids": list},
        {"queueId": str, "webhookUrl": str},
    )
    update, iccids = given["update"], given["iccids"]
    if not isinstance(update, dict) or not isinstance(iccids, list) or not iccids:
        _refuse("Parameter iccids must name at least one SIM")
    call.state.queue_bulk_edit(
        _changes(update),
        [_iccid(iccid) for iccid in iccids],
        queue_id=_text(given.get("queueId")),
        webhook_url=_text(given.get("webhookUrl")),
    )
    return responses.written(None, call.dialects)


def _rule_update(call: Call) -> Response:
    """Handle Rule Update: accept anything, as its effect is not documented."""
    _json(call.request)
    return responses.written(None, call.dialects)


# Routes with a SIM in their path.
SIM_HANDLERS: Mapping[str, Callable[[Call, Sim], Response]] = {
    "ctdUsage": _usage,
    "GetDevice": _device,
    "sessionInfo": _session,
    "getStatus": _status,
    "GetSMSIds": _sms_ids,
    "SendSMS": _send_sms,
    "RequestStatusChange": _request_status_change,
    "EditDevice": _edit_device,
}

# The other routes, except Login, which needs no account.
HANDLERS: Mapping[str, Callable[[Call], Response]] = {
    "GetSMS": _sms,
    "BulkEditDevice": _bulk_edit_device,
    "RuleUpdate": _rule_update,
}


def _json(request: Request) -> Json:
    """Return the JSON of a request."""
    try:
        value: Json = from_json(request.body)
    except ValueError as err:
        msg = f"The body is not well-formed JSON: {err}"
        raise PortalError(msg, Code.MALFORMED_JSON) from err
    return value


def _object(request: Request) -> dict[str, Json]:
    """Return the JSON object of a request."""
    value = _json(request)
    if not isinstance(value, dict):
        msg = "The body is not a JSON object"
        raise PortalError(msg, Code.MALFORMED_JSON)
    return value


def _check(
    given: dict[str, Json],
    required: Mapping[str, type],
    optional: Mapping[str, type] | None = None,
) -> dict[str, Json]:
    """Return the fields; refuse missing, unknown and wrongly typed ones."""
    known = {**required, **(optional or {})}
    for name, value in given.items():
        if name not in known:
            _refuse(f"Unrecognised parameter {name!r}; there are {', '.join(known)}")
        if not isinstance(value, known[name]):
            _refuse(f"Parameter {name} must be {_TYPE_NAMES[known[name]]}")
    for name in required:
        if name not in given:
            _refuse(f"Parameter {name} is missing")
    return given


def _changes(given: dict[str, Json]) -> dict[str, Json]:
    """Return the fields to edit; refuse those that no SIM has."""
    for name, value in given.items():
        if name == "status":
            check_status(str(value))
        elif name not in DEVICE:
            _refuse(f"Unrecognised parameter {name!r}; there are status, {', '.join(DEVICE)}")
        elif value is not None and not isinstance(value, str):
            _refuse(f"Parameter {name} must be a text or null")
    return given


def _iccid(value: Json) -> str:
    """Return an ICCID; refuse what can be none."""
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        _refuse(f"Parameter iccids must hold ICCIDs as texts of digits, not {json.dumps(value)}")
    return value


def _text(value: Json) -> str | None:
    """Return a value as text, or None."""
    return None if value is None else str(value)


def _refuse(message: str) -> NoReturn:
    """Refuse a parameter that is missing, unknown or of a wrong type."""
    raise PortalError(message, Code.UNRECOGNISED_PARAMETER)
