"""SIM cards of the IoT Portal in Home Assistant."""

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType
from homeassistant.helpers.typing import ConfigType

from .api import IotPortalAuthenticationError, IotPortalError
from .const import DOMAIN
from .coordinator import IotPortalConfigEntry, IotPortalData, async_create_client
from .errors import translate
from .services import async_setup_services

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.NOTIFY,
    Platform.SENSOR,
    Platform.SWITCH,
]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the actions."""
    async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> bool:
    """Log an account in and start to follow its SIMs."""
    client = async_create_client(hass, entry.data, entry.options)
    try:
        await client.login()
    except IotPortalAuthenticationError as err:
        raise ConfigEntryAuthFailed(**translate(err, entry.title)) from err
    except IotPortalError as err:
        raise ConfigEntryNotReady(**translate(err, entry.title)) from err

    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, entry.entry_id)},
        manufacturer="IoT Portal",
        model="Account",
        name=entry.title,
    )
    entry.runtime_data = IotPortalData(client=client, options=entry.options)
    await entry.runtime_data.async_follow_subentries(hass, entry)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    entry.async_on_unload(entry.add_update_listener(_async_entry_updated))
    return True


async def async_unload_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> bool:
    """Let go of an account."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def _async_entry_updated(hass: HomeAssistant, entry: IotPortalConfigEntry) -> None:
    """Follow SIMs that were added, changed or removed; only other options reload all of them."""
    if entry.options != entry.runtime_data.options:
        hass.config_entries.async_schedule_reload(entry.entry_id)
        return
    await entry.runtime_data.async_follow_subentries(hass, entry)
