"""Actions of the IoT Portal integration."""

from collections.abc import Awaitable, Callable

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv, service
from homeassistant.util.json import JsonValueType
import voluptuous as vol

from .api import SimStatus
from .const import DOMAIN
from .coordinator import IotPortalConfigEntry, IotPortalSimCoordinator

SERVICE_SEND_SMS = "send_sms"
SERVICE_REQUEST_STATUS_CHANGE = "request_status_change"

ATTR_MESSAGE = "message"
ATTR_STATUS = "status"

SIMS_SCHEMA = vol.Schema(
    {vol.Required(ATTR_DEVICE_ID): vol.All(cv.ensure_list, vol.Length(min=1), [cv.string])}
)
SEND_SMS_SCHEMA = SIMS_SCHEMA.extend({vol.Required(ATTR_MESSAGE): cv.string})
REQUEST_STATUS_CHANGE_SCHEMA = SIMS_SCHEMA.extend({vol.Required(ATTR_STATUS): cv.string})

type SimWrite = Callable[[IotPortalSimCoordinator], Awaitable[dict[str, JsonValueType]]]


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_SEND_SMS,
        _send_sms,
        schema=SEND_SMS_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
    hass.services.async_register(
        DOMAIN,
        SERVICE_REQUEST_STATUS_CHANGE,
        _request_status_change,
        schema=REQUEST_STATUS_CHANGE_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )


async def _send_sms(call: ServiceCall) -> ServiceResponse:
    """Send an SMS to each SIM."""
    message: str = call.data[ATTR_MESSAGE]
    if not message.strip():
        raise _invalid(key="message_empty")

    async def send(sim: IotPortalSimCoordinator) -> dict[str, JsonValueType]:
        return {"sms_id": await sim.async_send_sms(message)}

    return await _for_each_sim(call, send)


async def _request_status_change(call: ServiceCall) -> ServiceResponse:
    """Ask for another status of each SIM."""
    status = call.data[ATTR_STATUS].strip()
    if not status:
        raise _invalid(key="status_empty")
    # Known statuses are shown and chosen in small letters; words of other networks stay as they are.
    word = status.upper() if status.upper() in SimStatus else status

    async def request(sim: IotPortalSimCoordinator) -> dict[str, JsonValueType]:
        await sim.async_request_status_change(word)
        return {"status": word}

    return await _for_each_sim(call, request)


async def _for_each_sim(call: ServiceCall, write: SimWrite) -> ServiceResponse:
    """Write to each SIM of a call, also after one that failed, and answer for each.

    Raises what went wrong when nothing succeeded, or when nobody asked for the answer.
    """
    sims = _get_sims(call)
    answers: list[JsonValueType] = []
    failures: list[HomeAssistantError] = []
    for device_id, sim in sims.items():
        answer: dict[str, JsonValueType] = {"device_id": device_id, "iccid": sim.iccid}
        try:
            answer |= await write(sim)
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
            raise _invalid(
                key="device_is_not_a_sim", device=device.name_by_user or device.name or device_id
            )
        sims[device_id] = sim
    return sims


def _invalid(*, key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error for input that cannot be sent."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )
