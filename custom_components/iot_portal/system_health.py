"""System health of the IoT Portal integration."""

from collections.abc import Iterable
from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback

from .api import PRODUCTION_URL
from .const import CONF_BASE_URL, DOMAIN
from .runtime_data import IotPortalConfigEntry


@callback
def async_register(hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Register the system health callback."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return the state of all accounts together."""
    entries: list[IotPortalConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    accounts = [entry.runtime_data.account for entry in entries]
    pauses = [account.data.pause for account in accounts]
    urls = {entry.data[CONF_BASE_URL] for entry in hass.config_entries.async_entries(DOMAIN)}
    return {
        "can_reach_portal": _async_check(hass, urls or {PRODUCTION_URL}),
        "accounts": len(accounts),
        "sims": sum(account.data.sims for account in accounts),
        # Entries of one account of the portal share a pacer.
        "requests_per_hour": sum(
            pacer.requests_in_last_hour for pacer in {account.client.pacer for account in accounts}
        ),
        "paused_until": max((pause.until for pause in pauses if pause), default="-"),
        "poll_intervals": _minutes(account.schedule.interval for account in accounts),
        "last_error": next((error for account in accounts if (error := account.last_error)), None),
    }


def _minutes(intervals: Iterable[float]) -> str:
    """Return the intervals at which SIMs are polled, longer than wanted where a fleet needs it."""
    return ", ".join(f"{interval / 60:g} min" for interval in sorted({*intervals})) or "-"


async def _async_check(hass: HomeAssistant, urls: set[str]) -> str | dict[str, str]:
    """Return "ok" if all portals can be reached, or else the error of the first that cannot."""
    checks = [await system_health.async_check_can_reach_url(hass, url) for url in sorted(urls)]
    return next((check for check in checks if check != "ok"), "ok")
