"""Actions of the IoT Portal integration."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv, service
from homeassistant.helpers.json import json_bytes
from homeassistant.util.json import JsonValueType, json_loads
import voluptuous as vol

from .api import TERMINAL_STATUSES, SimStatus
from .const import DOMAIN
from .coordinator import IotPortalConfigEntry, IotPortalSimCoordinator
from .errors import check_message, invalid_input

ATTR_CHANGES = "changes"
ATTR_CONFIRM_TERMINAL = "confirm_terminal"
ATTR_MESSAGE = "message"
ATTR_SMS_ID = "sms_id"
ATTR_STATUS = "status"

SIMS_SCHEMA = vol.Schema(
    {vol.Required(ATTR_DEVICE_ID): vol.All(cv.ensure_list, vol.Length(min=1), [cv.string])}
)
STATUS_SCHEMA = SIMS_SCHEMA.extend({vol.Optional(ATTR_CONFIRM_TERMINAL, default=False): cv.boolean})

type SimCall = Callable[[IotPortalSimCoordinator], Awaitable[dict[str, JsonValueType]]]
type Handler = Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions."""
    for name, (handler, schema, supports_response) in ACTIONS.items():
        hass.services.async_register(
            DOMAIN, name, handler, schema=schema, supports_response=supports_response
        )


async def _send_sms(call: ServiceCall) -> ServiceResponse:
    """Send an SMS to each SIM."""
    message = call.data[ATTR_MESSAGE]
    check_message(message)

    async def send(sim: IotPortalSimCoordinator) -> dict[str, JsonValueType]:
        return {"sms_id": await sim.async_send_sms(message)}

    return await _for_each_sim(call, send)


async def _request_status_change(call: ServiceCall) -> ServiceResponse:
    """Ask for another status of each SIM."""
    status = _checked_status(call, call.data[ATTR_STATUS])

    async def request(sim: IotPortalSimCoordinator) -> dict[str, JsonValueType]:
        await sim.async_request_status_change(status)
        return {"status": status}

    return await _for_each_sim(call, request)


async def _edit_device(call: ServiceCall) -> ServiceResponse:
    """Change fields of each SIM, under the portal's names for them."""
    changes = dict(call.data[ATTR_CHANGES])
    if not changes:
        raise invalid_input(key="changes_empty")
    if ATTR_STATUS in changes:
        changes[ATTR_STATUS] = _checked_status(call, str(changes[ATTR_STATUS]))

    async def edit(sim: IotPortalSimCoordinator) -> dict[str, JsonValueType]:
        return {"answer": _plain(await sim.async_edit_device(changes))}

    return await _for_each_sim(call, edit)


async def _get_sim(call: ServiceCall) -> ServiceResponse:
    """Read everything the portal tells of each SIM, now."""

    async def read(sim: IotPortalSimCoordinator) -> dict[str, JsonValueType]:
        return _plain_dict(await sim.async_get_sim())

    return await _for_each_sim(call, read)


async def _get_sms(call: ServiceCall) -> ServiceResponse:
    """Read an SMS and how far it got."""

    async def read(sim: IotPortalSimCoordinator) -> dict[str, JsonValueType]:
        return {"sms": _plain(await sim.async_get_sms(call.data[ATTR_SMS_ID]))}

    return await _for_each_sim(call, read)


async def _list_sms(call: ServiceCall) -> ServiceResponse:
    """List the ids of the SMS of each SIM."""

    async def read(sim: IotPortalSimCoordinator) -> dict[str, JsonValueType]:
        return {"sms_ids": _plain(await sim.async_list_sms())}

    return await _for_each_sim(call, read)


ACTIONS: dict[str, tuple[Handler, vol.Schema, SupportsResponse]] = {
    "send_sms": (
        _send_sms,
        SIMS_SCHEMA.extend({vol.Required(ATTR_MESSAGE): cv.string}),
        SupportsResponse.OPTIONAL,
    ),
    "request_status_change": (
        _request_status_change,
        STATUS_SCHEMA.extend({vol.Required(ATTR_STATUS): cv.string}),
        SupportsResponse.OPTIONAL,
    ),
    "edit_device": (
        _edit_device,
        STATUS_SCHEMA.extend({vol.Required(ATTR_CHANGES): dict}),
        SupportsResponse.OPTIONAL,
    ),
    "get_sim": (_get_sim, SIMS_SCHEMA, SupportsResponse.ONLY),
    "get_sms": (
        _get_sms,
        SIMS_SCHEMA.extend({vol.Required(ATTR_SMS_ID): vol.All(cv.string, vol.Match(r"\w+$"))}),
        SupportsResponse.ONLY,
    ),
    "list_sms": (_list_sms, SIMS_SCHEMA, SupportsResponse.ONLY),
}


def _checked_status(call: ServiceCall, text: str) -> str:
    """Return a status in the portal's spelling; a terminal one has to be confirmed.

    Known statuses are shown and chosen in small letters; words of other networks stay as they are.
    """
    word = text.strip()
    if not word:
        raise invalid_input(key="status_empty")
    if word.upper() in SimStatus:
        word = word.upper()
    if word in TERMINAL_STATUSES and not call.data[ATTR_CONFIRM_TERMINAL]:
        raise invalid_input(key="status_terminal", status=word)
    return word


def _plain(value: object) -> JsonValueType:
    """Return an answer of the portal as what an action can respond with."""
    return json_loads(json_bytes(value))


def _plain_dict(value: dict[str, Any]) -> dict[str, JsonValueType]:
    """Return the parts of an answer as what an action can respond with."""
    return {key: _plain(part) for key, part in value.items()}


async def _for_each_sim(call: ServiceCall, act: SimCall) -> ServiceResponse:
    """Act on each SIM of a call, also after one that failed, and answer for each.

    Raises what went wrong when nothing succeeded, or when nobody asked for the answer.
    """
    sims = _get_sims(call)
    answers: list[JsonValueType] = []
    failures: list[HomeAssistantError] = []
    for device_id, sim in sims.items():
        answer: dict[str, JsonValueType] = {"device_id": device_id, "iccid": sim.iccid}
        try:
            answer |= await act(sim)
        except HomeAssistantError as err:
            answer["error"] = str(err)
            failures.append(err)
        answers.append(answer)
    if len(failures) == len(sims) == 1:
        raise failures[0]
    if failures and (len(failures) == len(sims) or not call.return_response):
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="some_sims_failed",
            translation_placeholders={
                "failed": str(len(failures)),
                "total": str(len(sims)),
                "errors": ". ".join(str(err) for err in failures),
            },
        )
    return {"sims": answers} if call.return_response else None


@callback
def _get_sims(call: ServiceCall) -> dict[str, IotPortalSimCoordinator]:
    """Return the SIMs that a call names, by device id; raise before anything is sent."""
    sims: dict[str, IotPortalSimCoordinator] = {}
    for device_id in call.data[ATTR_DEVICE_ID]:
        device, entry = service.async_get_device_and_config_entry(call.hass, DOMAIN, device_id)
        account: IotPortalConfigEntry = entry
        sim = account.runtime_data.sims.get(device.config_subentry_id or "")
        if sim is None:
            raise invalid_input(
                key="device_is_not_a_sim", device=device.name_by_user or device.name or device_id
            )
        sims[device_id] = sim
    return sims
