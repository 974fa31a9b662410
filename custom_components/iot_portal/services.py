"""Actions of the IoT Portal integration."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any

from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
    UnknownUser,
)
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
    service,
)
from homeassistant.helpers.json import json_bytes
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util.json import JsonValueType, json_loads
import voluptuous as vol

from .api import (
    TERMINAL_STATUSES,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    SimStatus,
    mask_numbers,
)
from .const import (
    CONF_ALL_DETAILS,
    CONF_ALLOWANCE,
    CONF_BILLING_DAY,
    CONF_CYCLE_DAYS,
    CONF_CYCLE_START,
    CONF_DATA_UNIT,
    CONF_ONLY_TRIGGERING_SIM,
    CONF_PLAN_UNIT,
    DOMAIN,
    LOGGER,
)
from .coordinator import IotPortalSimCoordinator
from .errors import (
    check_message,
    explain,
    invalid_input,
    localize,
    status_name,
    translated_errors,
)
from .models import Endpoint, SimData, has_whole_cycle, merge_options
from .runtime_data import IotPortalConfigEntry
from .sim_flow import (
    ALLOWANCE_SELECTOR,
    BILLING_DAY_SELECTOR,
    CYCLE_DAYS_SELECTOR,
    DATA_UNIT_SELECTOR,
    PLAN_UNIT_SELECTOR,
)
from .sim_reader import SimReader
from .slices import Slices, apart, in_slices
from .targets import Target, missing_from
from .triggering_sim import triggering_sim

ATTR_CHANGES = "changes"
ATTR_CONFIRM_TERMINAL = "confirm_terminal"
ATTR_MESSAGE = "message"
ATTR_RESET = "reset"
ATTR_RULE = "rule"
ATTR_SMS_ID = "sms_id"
ATTR_STATUS = "status"

# The response has the errors of all SIMs.
MAX_ERRORS = 10


def _whole(value: Any) -> Any:
    """Return what is to be sent; raise an error for half a character, which a template can hold."""
    for text in _texts(value):
        try:
            text.encode()
        except UnicodeEncodeError as err:
            msg = "half a character, such as \\ud83d, cannot be sent; write the whole character"
            raise vol.Invalid(msg) from err
    return value


TEXT = vol.All(cv.string, _whole)
FIELDS = vol.All(dict, _whole)
SIMS_SCHEMA = vol.Schema(
    {
        **cv.ENTITY_SERVICE_FIELDS,
        vol.Optional(CONF_ONLY_TRIGGERING_SIM, default=False): cv.boolean,
    }
)
CONFIRM_TERMINAL = {vol.Optional(ATTR_CONFIRM_TERMINAL, default=False): cv.boolean}
STATUS_SCHEMA = SIMS_SCHEMA.extend(CONFIRM_TERMINAL)
# As in the dialog of a SIM, but safe from what only YAML can hold: dates, and numbers that are none.
SETTINGS_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_ALLOWANCE): vol.All(ALLOWANCE_SELECTOR, vol.Range(min=1)),
        vol.Optional(CONF_BILLING_DAY): vol.All(BILLING_DAY_SELECTOR, vol.Coerce(int)),
        vol.Optional(CONF_CYCLE_DAYS): vol.All(CYCLE_DAYS_SELECTOR, vol.Coerce(int)),
        vol.Optional(CONF_CYCLE_START): vol.All(cv.date, date.isoformat),
        vol.Optional(CONF_DATA_UNIT): DATA_UNIT_SELECTOR,
        vol.Optional(CONF_PLAN_UNIT): PLAN_UNIT_SELECTOR,
        vol.Optional(CONF_ALL_DETAILS): cv.boolean,
    }
)
SETTINGS = tuple(str(key) for key in SETTINGS_SCHEMA.schema)

type Answer = dict[str, JsonValueType]
type SimCall = Callable[[IotPortalSimCoordinator], Awaitable[Answer]]
type Attempt = tuple[Answer, Callable[[], Awaitable[Answer]]]
type Handler = Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions, each for the users who may use it."""
    for name, (handler, schema, supports_response, policy) in ACTIONS.items():
        if policy is None:
            service.async_register_admin_service(
                hass, DOMAIN, name, handler, schema, supports_response
            )
        else:
            hass.services.async_register(
                DOMAIN, name, partial(_call_if_allowed, policy, handler), schema, supports_response
            )


async def _call_if_allowed(policy: str, handler: Handler, call: ServiceCall) -> ServiceResponse:
    """Handle a call if its user may control, or read, all entities of every SIM; an automation has no user.

    Home Assistant asks the same of a call to the entities of a device. Without entities only administrators may.
    """
    if (user_id := call.context.user_id) is not None:
        user = await call.hass.auth.async_get_user(user_id)
        if user is None:
            raise UnknownUser(context=call.context, permission=policy)
        registry = er.async_get(call.hass)
        for device in () if user.is_admin else _sims_of(call):
            entities = er.async_entries_for_device(registry, device.id)
            may = user.permissions.check_entity
            if not entities or not all(may(entity.entity_id, policy) for entity in entities):
                raise Unauthorized(context=call.context, permission=policy)
    return await handler(call)


async def _send_sms(call: ServiceCall) -> ServiceResponse:
    """Send an SMS to each SIM."""
    message = call.data[ATTR_MESSAGE]
    check_message(message)

    async def send(sim: IotPortalSimCoordinator) -> Answer:
        return {"sms_id": await sim.sms.async_send(message, call.context)}

    return await _for_each_sim(call, send)


async def _request_status_change(call: ServiceCall) -> ServiceResponse:
    """Request a status of each SIM."""
    status = _checked_status(call, call.data[ATTR_STATUS])

    async def request(sim: IotPortalSimCoordinator) -> Answer:
        await sim.status_requests.async_request(status, call.context)
        return {"status": status}

    return await _for_each_sim(call, request)


async def _edit_device(call: ServiceCall) -> ServiceResponse:
    """Change fields of each SIM, given by the portal's names."""
    changes = _checked_changes(call)

    async def edit(sim: IotPortalSimCoordinator) -> Answer:
        return {"answer": _as_json(await sim.async_edit_device(changes, call.context))}

    return await _for_each_sim(call, edit)


async def _bulk_edit_devices(call: ServiceCall) -> ServiceResponse:
    """Queue the same changes of many SIMs, in one request for each account."""
    changes = _checked_changes(call)
    accounts: dict[str, list[dr.DeviceEntry]] = {}
    for device in _sims_of(call):
        accounts.setdefault(device.config_entry_id, []).append(device)

    async def edit(entry_id: str, sims: list[dr.DeviceEntry]) -> Answer:
        entry: IotPortalConfigEntry = service.async_get_config_entry(call.hass, DOMAIN, entry_id)
        bulk_edits, iccids = entry.runtime_data.bulk_edits, [_iccid_of(sim) for sim in sims]
        answer, queue_id = await bulk_edits.async_send(iccids, changes, call.context)
        # The event of the outcome carries the queue id; without an external URL there is none.
        return {"answer": _as_json(answer), "queue_id": queue_id}

    return await _try_each(
        call,
        "accounts",
        translation_key="some_accounts_failed",
        attempts=[
            (
                {"config_entry_id": entry_id, "sims": [_description(sim) for sim in sims]},
                partial(edit, entry_id, sims),
            )
            for entry_id, sims in accounts.items()
        ],
    )


async def _update_rule(call: ServiceCall) -> ServiceResponse:
    """Send a rule update to an account as it is."""
    _check_terminal(call, call.data[ATTR_RULE])
    entry: IotPortalConfigEntry = service.async_get_config_entry(
        call.hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID]
    )
    with translated_errors(call.hass, entry, entry.title):
        answer = await entry.runtime_data.account.client.update_rule(call.data[ATTR_RULE])
    return {"answer": _as_json(answer)} if call.return_response else None


async def _set_sim_settings(call: ServiceCall) -> ServiceResponse:
    """Change the settings of many SIMs, as the dialog of each would; if one cannot have them, none is changed.

    The work is done in slices: a SIM that another change in between keeps from having them is left out, with an error.
    """
    given = {key: call.data[key] for key in SETTINGS if key in call.data}
    reset = set(call.data.get(ATTR_RESET, ()))
    if not given and not reset:
        raise invalid_input(key="settings_empty")
    if both := sorted(given.keys() & reset):
        names = await _setting_names(call.hass)
        raise invalid_input(
            key="settings_contradict", settings=", ".join(names[key] for key in both)
        )
    devices = _sims_of(call)
    async for device in in_slices(devices):
        _changed_sim(call.hass, device, given, reset)
    slices = Slices()

    async def apply(device: dr.DeviceEntry) -> Answer:
        await slices.async_pause()
        # What has changed since the slice before is kept.
        try:
            changed = _changed_sim(call.hass, device, given, reset)
        except ServiceValidationError as err:
            raise invalid_input(key="settings_changed_meanwhile", sim=_name_of(device)) from err
        if changed is None:
            raise _removed_meanwhile(device)
        entry, subentry, data = changed
        call.hass.config_entries.async_update_subentry(entry, subentry, data=data)
        if entry.state is ConfigEntryState.LOADED and (
            sim := entry.runtime_data.sims.get(subentry.subentry_id)
        ):
            # At once, so that the next step of an automation finds the values.
            with apart(sim.title):
                sim.async_apply_subentry()
        return {"settings": {key: data[key] for key in SETTINGS if key in data}}

    return await _try_each(
        call,
        "sims",
        translation_key="some_sims_failed",
        attempts=[(_description(device), partial(apply, device)) for device in devices],
    )


async def _setting_names(hass: HomeAssistant) -> dict[str, str]:
    """Return the names of the settings as the action shows them."""
    texts = await async_get_translations(hass, hass.config.language, "services", [DOMAIN])
    fields = f"component.{DOMAIN}.services.set_sim_settings.fields"
    return {key: texts[f"{fields}.{key}.name"] for key in SETTINGS}


def _changed_sim(
    hass: HomeAssistant, device: dr.DeviceEntry, given: Mapping[str, Any], reset: set[str]
) -> tuple[IotPortalConfigEntry, ConfigSubentry, dict[str, Any]] | None:
    """Return the account and the subentry of a SIM with the data that it would have, None if the SIM was removed.

    Raise an error if the settings do not fit.
    """
    entry: IotPortalConfigEntry | None = hass.config_entries.async_get_entry(device.config_entry_id)
    subentry = entry.subentries.get(device.config_subentry_id or "") if entry else None
    if entry is None or subentry is None:
        return None
    kept = {key: value for key, value in subentry.data.items() if key not in reset}
    data = {**kept, **given}
    if not has_whole_cycle(merge_options(entry.options, data)):
        raise invalid_input(key="cycle_incomplete", sim=subentry.title)
    if subentry.data.get(CONF_ALL_DETAILS) and not data.get(CONF_ALL_DETAILS):
        # The entities can be removed only while the account is loaded.
        service.async_get_config_entry(hass, DOMAIN, entry.entry_id)
    return entry, subentry, data


async def _get_sim(call: ServiceCall) -> ServiceResponse:
    """Read all that the portal reports of each SIM, under its own field names."""

    async def read(sim: IotPortalSimCoordinator) -> Answer:
        reader = SimReader(sim.client, sim.iccid, SimData())
        with sim.translated_errors():
            usage = await reader.async_read_part(Endpoint.USAGE, sim.client.get_usage)
            session = await reader.async_read_part(Endpoint.SESSION, sim.client.get_session)
            device = await reader.async_read_part(Endpoint.DEVICE, sim.client.get_device)
            try:
                status = await sim.client.get_status(sim.iccid)
            except IotPortalNotAvailableError:
                # Not every network reports the status by itself.
                status = usage.status if usage else None
        parts = {"usage": usage, "session": session, "device": device}
        return {
            "status": status,
            **{name: _as_json(part.raw) if part else None for name, part in parts.items()},
        }

    return await _for_each_sim(call, read)


async def _get_sms(call: ServiceCall) -> ServiceResponse:
    """Read an SMS, under the portal's field names."""
    sms_id = call.data[ATTR_SMS_ID]

    async def read(sim: IotPortalSimCoordinator) -> Answer:
        with sim.translated_errors():
            try:
                return {"sms": _as_json((await sim.client.get_sms(sms_id, sim.iccid)).raw)}
            except IotPortalNotFoundError as err:
                raise invalid_input(
                    key="sms_not_found", sms_id=sms_id, error=explain(call.hass, err)
                ) from err

    return await _for_each_sim(call, read)


async def _list_sms(call: ServiceCall) -> ServiceResponse:
    """List the ids of the SMS of each SIM, in the portal's order."""

    async def read(sim: IotPortalSimCoordinator) -> Answer:
        with sim.translated_errors():
            listed = await sim.client.get_sms_list(sim.iccid)
        return {"sms_ids": _as_json(listed.ids), "is_complete": listed.is_complete}

    return await _for_each_sim(call, read)


# The permission is needed for the SIMs of the call; without one only administrators may call the action.
ACTIONS: dict[str, tuple[Handler, vol.Schema, SupportsResponse, str | None]] = {
    "send_sms": (
        _send_sms,
        SIMS_SCHEMA.extend({vol.Required(ATTR_MESSAGE): TEXT}),
        SupportsResponse.OPTIONAL,
        POLICY_CONTROL,
    ),
    "request_status_change": (
        _request_status_change,
        STATUS_SCHEMA.extend({vol.Required(ATTR_STATUS): TEXT}),
        SupportsResponse.OPTIONAL,
        POLICY_CONTROL,
    ),
    "edit_device": (
        _edit_device,
        STATUS_SCHEMA.extend({vol.Required(ATTR_CHANGES): FIELDS}),
        SupportsResponse.OPTIONAL,
        None,
    ),
    "bulk_edit_devices": (
        _bulk_edit_devices,
        STATUS_SCHEMA.extend({vol.Required(ATTR_CHANGES): FIELDS}),
        SupportsResponse.OPTIONAL,
        None,
    ),
    "update_rule": (
        _update_rule,
        vol.Schema(
            {
                vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string,
                vol.Required(ATTR_RULE): FIELDS,
                **CONFIRM_TERMINAL,
            }
        ),
        SupportsResponse.OPTIONAL,
        None,
    ),
    "set_sim_settings": (
        _set_sim_settings,
        SETTINGS_SCHEMA.extend(
            {
                **cv.ENTITY_SERVICE_FIELDS,
                vol.Optional(ATTR_RESET): vol.All(cv.ensure_list, [vol.In(SETTINGS)]),
            }
        ),
        SupportsResponse.OPTIONAL,
        None,
    ),
    "get_sim": (_get_sim, SIMS_SCHEMA, SupportsResponse.ONLY, POLICY_READ),
    "get_sms": (
        _get_sms,
        SIMS_SCHEMA.extend({vol.Required(ATTR_SMS_ID): cv.string}),
        SupportsResponse.ONLY,
        POLICY_READ,
    ),
    "list_sms": (_list_sms, SIMS_SCHEMA, SupportsResponse.ONLY, POLICY_READ),
}


def _checked_changes(call: ServiceCall) -> dict[str, Any]:
    """Return the fields to change, with a checked status if there is one."""
    changes = dict(call.data[ATTR_CHANGES])
    if not changes:
        raise invalid_input(key="changes_empty")
    _check_terminal(call, changes)
    status = changes.get(ATTR_STATUS)
    if isinstance(status, str | int):
        changes[ATTR_STATUS] = _checked_status(call, str(status))
    return changes


def _checked_status(call: ServiceCall, text: str) -> str:
    """Return a status in the portal's spelling; raise if a terminal one is not confirmed.

    Known statuses are shown and chosen in lower case; those of other networks stay as they are.
    """
    _check_terminal(call, text)
    word = text.strip()
    if not word:
        raise invalid_input(key="status_empty")
    return word.upper() if word.upper() in SimStatus else word


def _check_terminal(call: ServiceCall, value: object) -> None:
    """Raise if a terminal status that is not confirmed stands anywhere in a value.

    Portals name the field in many ways, so its name does not matter.
    """
    status = next((word for text in _texts(value) if (word := _terminal_status(text))), None)
    if status is not None and not call.data[ATTR_CONFIRM_TERMINAL]:
        raise invalid_input(key="status_terminal", status=status_name(call.hass, status))


def _texts(value: object) -> Iterator[str]:
    """Yield all texts in a value, however it is nested."""
    match value:
        case Mapping():
            for key, item in value.items():
                yield from _texts(key)
                yield from _texts(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _texts(item)
        case _:
            yield str(value)


def _terminal_status(text: str) -> SimStatus | None:
    """Return the terminal status that a text is, whatever its case and what is around it."""
    word = "".join(filter(str.isalpha, text)).upper()
    return next((status for status in TERMINAL_STATUSES if word == status), None)


def _as_json(value: object) -> JsonValueType:
    """Return an answer of the portal as JSON values, which an action can respond with."""
    return json_loads(json_bytes(value))


async def _for_each_sim(call: ServiceCall, act: SimCall) -> ServiceResponse:
    """Act on each SIM of a call, and respond for each."""
    return await _try_each(
        call,
        "sims",
        translation_key="some_sims_failed",
        attempts=[
            (_description(device), partial(_act_on, call.hass, device, act))
            for device in _sims_of(call)
        ],
    )


async def _act_on(hass: HomeAssistant, device: dr.DeviceEntry, act: SimCall) -> Answer:
    """Act on a SIM; raise if its account is not loaded, or if it was removed while others had their turn."""
    entry: IotPortalConfigEntry = service.async_get_config_entry(
        hass, DOMAIN, device.config_entry_id
    )
    if (sim := entry.runtime_data.sims.get(device.config_subentry_id or "")) is None:
        raise _removed_meanwhile(device)
    return await act(sim)


def _removed_meanwhile(device: dr.DeviceEntry) -> ServiceValidationError:
    """Return the error for a SIM that was removed after the call."""
    return invalid_input(key="sim_removed_meanwhile", sim=_name_of(device))


def _description(device: dr.DeviceEntry) -> Answer:
    """Return which SIM a part of the response is about."""
    return {
        "device_id": device.id,
        "name": _name_of(device),
        "iccid": _iccid_of(device),
    }


def _name_of(device: dr.DeviceEntry) -> str:
    """Return the name of the device of a SIM."""
    return device.name_by_user or device.name or ""


def _iccid_of(device: dr.DeviceEntry) -> str:
    """Return the ICCID of the device of a SIM."""
    return next(identifier for domain, identifier in device.identifiers if domain == DOMAIN)


async def _try_each(
    call: ServiceCall, subjects: str, *, translation_key: str, attempts: list[Attempt]
) -> ServiceResponse:
    """Make every attempt, also after one that failed, and respond for each.

    Raises if nothing succeeded, or if something failed and no response was requested.
    """
    answers: list[JsonValueType] = []
    failures: list[HomeAssistantError] = []
    for subject, act in attempts:
        answer = dict(subject)
        try:
            answer |= await act()
        except HomeAssistantError as err:
            answer["error"] = localize(call.hass, err)
            failures.append(err)
        answers.append(answer)
    if len(failures) == len(attempts) == 1:
        raise failures[0]
    if failures and (len(failures) == len(attempts) or not call.return_response):
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=translation_key,
            translation_placeholders={
                "failed": str(len(failures)),
                "total": str(len(attempts)),
                "errors": _sentences(call.hass, failures),
            },
        )
    return {subjects: answers} if call.return_response else None


def _sentences(hass: HomeAssistant, errors: list[HomeAssistantError]) -> str:
    """Return errors as sentences, each once, and only the first of them: a fleet may have hundreds."""
    texts = list(dict.fromkeys(f"{localize(hass, err).rstrip('. ')}." for err in errors))
    return " ".join(texts[:MAX_ERRORS]) + (" …" if len(texts) > MAX_ERRORS else "")


@callback
def _sims_of(call: ServiceCall) -> list[dr.DeviceEntry]:
    """Return the devices of the SIMs in the target of a call; raise before anything is sent if there are none."""
    target = Target.select(call.hass, call.data)
    if call.data.get(CONF_ONLY_TRIGGERING_SIM):
        if (cause := target.find(call.hass, triggering_sim(call.context))) is None:
            raise invalid_input(key="no_triggering_sim")
        return [cause]
    sims = target.sims
    missing = missing_from(call.hass, call.data)
    if not sims and missing:
        raise invalid_input(key="target_not_found", ids=", ".join(missing))
    if not sims:
        raise invalid_input(key="no_sim_in_target")
    if missing:
        LOGGER.warning(
            "%s.%s goes on without what Home Assistant does not know of its target: %s",
            DOMAIN,
            call.service,
            mask_numbers(", ".join(missing)),
        )
    return list(sims.values())
