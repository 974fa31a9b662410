"""Diagnostics of the IoT Portal integration, without anything that identifies a SIM or its owner."""

from collections.abc import Iterable
from dataclasses import asdict
import re
from typing import Any

from homeassistant.components.diagnostics import REDACTED
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import AnyDeviceEntry

from .account import IotPortalAccount
from .const import CONF_DEFAULT_TITLE
from .coordinator import IotPortalSimCoordinator
from .runtime_data import IotPortalConfigEntry

_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?( ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?"
)
_NUMBER = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,9})?")
_WORDS = re.compile(r"(?!.*[0-9]{7})\w[\w .()/+&'-]{0,63}")
_FIELD = re.compile(r"(?!.*[0-9]{4})[A-Za-z_][\w.-]{0,63}")

# Fields of the portal shown in their form only: words, numbers and dates that identify nobody.
_SHOWN = (
    dict.fromkeys(("status", "globalSimType", "isshared", "datasize", "commsplan"), _WORDS)
    | dict.fromkeys(("ctdDataUsage", "ctdSMSUsage", "ctdVoiceUsage", "ctdSessionCount"), _NUMBER)
    | dict.fromkeys(("dataquantity",), _NUMBER)
    | dict.fromkeys(("dateActivated", "dateCreated", "dateUpdated", "dateShipped"), _DATE)
    | dict.fromkeys(("dateSessionStarted", "dateSessionEnded"), _DATE)
)
# Fields of an SMS that Home Assistant sent, which are its own.
_OWN = {"sent_at", "has_ended"}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: IotPortalConfigEntry
) -> dict[str, Any]:
    """Return the diagnostics of an account and its SIMs."""
    return {
        # Only the names of the fields: the address may be private.
        "log_in_with": sorted(entry.data.keys() - {CONF_DEFAULT_TITLE}),
        "options": dict(entry.options),
        **_describe_account(entry.runtime_data.account),
        "sims": [_describe(sim) for sim in entry.runtime_data.sims.values()],
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: IotPortalConfigEntry, device: AnyDeviceEntry
) -> dict[str, Any]:
    """Return the diagnostics of a SIM, or of the account for its own device."""
    sim = entry.runtime_data.sims.get(device.config_subentry_id or "")
    if sim is None:
        return await async_get_config_entry_diagnostics(hass, entry)
    return _describe(sim)


def _describe_account(account: IotPortalAccount) -> dict[str, Any]:
    """Return the state of an account."""
    return {
        "is_connected": account.data.is_connected,
        "last_error": account.last_error,
        "pause": asdict(account.data.pause) if account.data.pause else None,
        "requests_in_last_hour": account.client.pacer.requests_in_last_hour,
        "poll_interval": account.schedule.interval,
        "bulk_edits_without_report": len(account.pending_writes.bulk_edits),
    }


def _describe(sim: IotPortalSimCoordinator) -> dict[str, Any]:
    """Return the state of a SIM and the shape of the portal's last answers."""
    data = sim.data
    request, last_sent_sms = data.writes.awaited_status, data.writes.last_sent_sms
    return {
        "settings": {key: value for key, value in sim.subentry.data.items() if key != "iccid"},
        "last_update_success": sim.last_update_success,
        "last_error": type(sim.last_exception).__name__ if sim.last_exception else None,
        "failing_routes": {endpoint: asdict(failure) for endpoint, failure in data.failing.items()},
        "status_request": asdict(request, dict_factory=_without_user) if request else None,
        "last_sent_sms": _shape(asdict(last_sent_sms, dict_factory=_without_user))
        if last_sent_sms
        else None,
        "sms_list_is_complete": sim.sms.is_list_complete,
        "status": data.status,
        "usage": _shape(data.usage.raw if data.usage else {}),
        "session": _shape(data.session.raw if data.session else {}),
        "device": _shape(data.device.raw if data.device else {}),
    }


def _without_user(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of a write without the context, which names the user."""
    return {name: value for name, value in fields if name != "context"}


def _shape(raw: Any) -> dict[str, Any]:
    """Return the fields of an answer; redact those with a value that may identify."""
    fields: Iterable[tuple[str, Any]] = raw.items()
    return {
        key if _FIELD.fullmatch(key) else REDACTED: value if _is_shown(key, value) else REDACTED
        for key, value in fields
    }


def _is_shown(key: str, value: Any) -> bool:
    """Return whether a value identifies nobody: a number, a word or a date where one is expected."""
    if value is None or value == "" or key in _OWN:
        return True
    form = _SHOWN.get(key)
    return (
        form is not None
        and isinstance(value, str | int | float)
        and form.fullmatch(str(value)) is not None
    )
