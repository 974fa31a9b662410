"""Names of accounts: the user's own, or else one from what the portal reports."""

from itertools import count
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .api import Device, mask_numbers
from .const import CONF_CLIENT_ID, CONF_DEFAULT_TITLE, DOMAIN

DEFAULT_TITLE: Final = "IoT Portal"


@callback
def async_unique_title(
    hass: HomeAssistant, title: str = DEFAULT_TITLE, *, entry_id: str | None = None
) -> str:
    """Return a title that no other account has: "IoT Portal 2" where "IoT Portal" is taken."""
    taken = {
        entry.title
        for entry in hass.config_entries.async_entries(DOMAIN)
        if entry.entry_id != entry_id
    }
    numbered = (f"{title} {number}" for number in count(2))
    return title if title not in taken else next(each for each in numbered if each not in taken)


def is_unnamed(entry: ConfigEntry) -> bool:
    """Return whether an account still has the title that it got because the user gave it none."""
    return bool(entry.data.get(CONF_DEFAULT_TITLE) == entry.title)


@callback
def async_name_account(hass: HomeAssistant, entry: ConfigEntry, device: Device) -> None:
    """Name an unnamed account after the customer of one of its SIMs, or by its number at the portal."""
    if not is_unnamed(entry) or (name := _reported_name(device, entry)) is None:
        return
    hass.config_entries.async_update_entry(
        entry,
        title=async_unique_title(hass, name, entry_id=entry.entry_id),
        data={key: value for key, value in entry.data.items() if key != CONF_DEFAULT_TITLE},
    )


def _reported_name(device: Device, entry: ConfigEntry) -> str | None:
    """Return what the portal reports of an account, never its client ID or a whole number."""
    client_id = entry.data.get(CONF_CLIENT_ID)
    if device.customer and device.customer != client_id:
        customer = mask_numbers(device.customer)
        if customer.strip("…0123456789"):
            return customer
    if device.account_id and device.account_id != client_id:
        return f"{DEFAULT_TITLE} {mask_numbers(device.account_id)}"
    return None
