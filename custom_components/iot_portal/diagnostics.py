"""Diagnostics of the IoT Portal integration: what helps to mend, and nothing that identifies."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from homeassistant.components.diagnostics import REDACTED
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import AnyDeviceEntry

from .account import IotPortalAccount
from .coordinator import IotPortalConfigEntry, IotPortalSimCoordinator

# What the portal's fields may show as it is: words, numbers and dates that belong to nobody.
_SHOWN = {
    *("status", "ctdDataUsage", "ctdSMSUsage", "ctdVoiceUsage", "ctdSessionCount"),
    *("dateActivated", "dateCreated", "dateUpdated", "dateShipped"),
    *("dateSessionStarted", "dateSessionEnded", "globalSimType", "isshared"),
    *("dataquantity", "datasize", "commsplan"),
    # Of an SMS that was sent from here.
    *("sent_at", "has_ended"),
}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: IotPortalConfigEntry
) -> dict[str, Any]:
    """Return how an account and its SIMs are doing."""
    return {
        # Only which credentials there are: the address may be somebody's own.
        "log_in_with": sorted(entry.data),
        "options": dict(entry.options),
        **_describe_account(entry.runtime_data.account),
        "sims": [_describe(sim) for sim in entry.runtime_data.sims.values()],
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: IotPortalConfigEntry, device: AnyDeviceEntry
) -> dict[str, Any]:
    """Return how one SIM is doing, or the account for its own device."""
    sim = entry.runtime_data.sims.get(device.config_subentry_id or "")
    if sim is None:
        return await async_get_config_entry_diagnostics(hass, entry)
    return _describe(sim)


def _describe_account(account: IotPortalAccount) -> dict[str, Any]:
    """Return how an account gets on with the portal."""
    return {
        "is_connected": account.data.is_connected,
        "last_error": account.last_error,
        "requests_in_last_hour": account.client.pacer.requests_in_last_hour,
        "poll_interval": account.schedule.interval,
        "bulk_edits_without_report": len(account.memory.bulk_edits),
    }


def _describe(sim: IotPortalSimCoordinator) -> dict[str, Any]:
    """Return the state of a SIM and the shape of what the portal said last."""
    data = sim.data if sim.has_been_read else None
    return {
        "settings": {key: value for key, value in sim.subentry.data.items() if key != "iccid"},
        "last_update_success": sim.last_update_success,
        "last_error": type(sim.last_exception).__name__ if sim.last_exception else None,
        "refused_routes": sim.reader.refused_routes,
        "change": asdict(data.change) if data and data.change else None,
        "last_sms": _shape(asdict(data.last_sms)) if data and data.last_sms else None,
        "status": data.status if data else None,
        "usage": _shape(data.usage.raw if data and data.usage else {}),
        "session": _shape(data.session.raw if data and data.session else {}),
        "device": _shape(data.device.raw if data and data.device else {}),
    }


def _shape(raw: Any) -> dict[str, Any]:
    """Return the fields of an answer; of those that may identify, only whether there is something."""
    fields: Iterable[tuple[str, Any]] = raw.items()
    return {
        key: value if key in _SHOWN or value in (None, "") else REDACTED for key, value in fields
    }
