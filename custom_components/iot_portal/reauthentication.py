"""Asking for new credentials: at once if the portal itself refused them, otherwise once that has repeated."""

from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .api import IotPortalAuthenticationError
from .const import DOMAIN
from .evidence import ENOUGH_LOGINS, LOGIN_REFUSED_FOR, WeakEvidence

# By entry id, also of entries whose set-up is retried.
_EVIDENCE: HassKey[dict[str, WeakEvidence]] = HassKey(f"{DOMAIN}_refused_logins")


@callback
def async_record_refused_login(
    hass: HomeAssistant, entry: ConfigEntry[Any], err: IotPortalAuthenticationError
) -> None:
    """Record refused credentials, and start reauthentication when that can be believed."""
    if err.is_strong:
        entry.async_start_reauth(hass)
        return
    refused = hass.data.setdefault(_EVIDENCE, {}).setdefault(entry.entry_id, WeakEvidence())
    now = dt_util.utcnow()
    refused.add(now)
    if refused.is_enough(ENOUGH_LOGINS, LOGIN_REFUSED_FOR, now):
        entry.async_start_reauth(hass)


@callback
def async_record_login(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Record accepted credentials: end a reauthentication that was started for weak evidence."""
    if hass.data.get(_EVIDENCE, {}).pop(entry.entry_id, None) is None:
        return
    for flow in entry.async_get_active_flows(hass, {SOURCE_REAUTH}):
        hass.config_entries.flow.async_abort(flow["flow_id"])
