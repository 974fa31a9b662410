"""SIM cards of the IoT Portal in Home Assistant."""

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntry, DeviceEntryType
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.typing import ConfigType

from .account import IotPortalAccount
from .api import (
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalInputError,
)
from .config_flow import IotPortalConfigFlow
from .const import DOMAIN
from .coordinator import IotPortalConfigEntry, IotPortalData
from .dashboard import async_setup_dashboard
from .errors import translate
from .issues import Issue, async_clear_account, async_raise_issue
from .portal import async_create_client
from .reads import AccountReads
from .services import async_setup_services
from .store import AccountMemory

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.NOTIFY,
    Platform.SENSOR,
    Platform.SWITCH,
]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the actions and the dashboard, and say which accounts Home Assistant will not start."""
    async_setup_services(hass)
    await async_setup_dashboard(hass)
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.version > IotPortalConfigFlow.VERSION:
            async_raise_issue(
                hass,
                Issue.ENTRY_TOO_NEW,
                entry.entry_id,
                "version",
                {
                    "account": entry.title,
                    "found": str(entry.version),
                    "known": str(IotPortalConfigFlow.VERSION),
                },
            )
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> bool:
    """Take in what another version has stored: a minor one changes nothing that this one reads.

    Home Assistant itself refuses an entry of a newer major version.
    """
    return entry.version == IotPortalConfigFlow.VERSION


async def async_setup_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> bool:
    """Log an account in and start to follow its SIMs."""
    client = await _async_log_in(hass, entry)
    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, entry.entry_id)},
        manufacturer="IoT Portal",
        model="Account",
        name=entry.title,
    )
    memory = await _async_remember(hass, entry)
    reads = AccountReads(hass, entry.entry_id)
    await reads.async_load()
    account = IotPortalAccount(hass, entry, client, memory, reads)
    entry.runtime_data = IotPortalData(account=account, options=entry.options)
    sims = entry.runtime_data.async_add_sims(hass, entry)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    # Only now, so that the event entities are there for what happens next.
    bulk_edits = entry.runtime_data.bulk_edits
    bulk_edits.async_resume()
    entry.async_on_unload(bulk_edits.async_stop)
    entry.async_on_unload(entry.add_update_listener(_async_entry_updated))

    @callback
    def start(_: HomeAssistant) -> None:
        """Show and read the SIMs in the background."""
        entry.async_create_background_task(
            hass, entry.runtime_data.async_start(sims), f"{DOMAIN} start of {entry.title}"
        )

    if account.is_large:
        # Home Assistant is there before thousands of entities are.
        entry.async_on_unload(async_at_started(hass, start))
    else:
        start(hass)
    return True


async def _async_log_in(hass: HomeAssistant, entry: IotPortalConfigEntry) -> IotPortalClient:
    """Return a client that is logged in, or raise what Home Assistant has to do about it."""
    try:
        client = async_create_client(hass, entry.data)
        await client.login()
    except IotPortalAuthenticationError as err:
        raise ConfigEntryAuthFailed(**translate(err, entry.title)) from err
    except IotPortalInputError as err:
        raise ConfigEntryError(**translate(err, entry.title)) from err
    except IotPortalError as err:
        raise ConfigEntryNotReady(**translate(err, entry.title)) from err
    return client


async def _async_remember(hass: HomeAssistant, entry: IotPortalConfigEntry) -> AccountMemory:
    """Return what must not be forgotten of an account; tell a person when it cannot be read."""
    memory = AccountMemory(hass, entry.entry_id)
    if (aside := await memory.async_load()) is not None:
        async_raise_issue(
            hass,
            Issue.MEMORY_LOST,
            entry.entry_id,
            "memory",
            {"account": entry.title, "file": aside},
        )
    return memory


async def async_unload_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> bool:
    """Let go of an account."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        account = entry.runtime_data.account
        await account.memory.async_close()
        await account.reads.async_close()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> None:
    """Take away what an account leaves behind."""
    async_clear_account(hass, entry.entry_id)
    await AccountMemory(hass, entry.entry_id).async_remove()
    await AccountReads(hass, entry.entry_id).async_remove()


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: IotPortalConfigEntry, device: DeviceEntry
) -> bool:
    """Allow to delete a device that nothing belongs to; a SIM is removed from the account's page."""
    return (
        device.config_subentry_id not in entry.subentries
        and (DOMAIN, entry.entry_id) not in device.identifiers
    )


async def _async_entry_updated(hass: HomeAssistant, entry: IotPortalConfigEntry) -> None:
    """Follow SIMs that were added, changed or removed; only other options reload all of them."""
    if entry.options != entry.runtime_data.options:
        hass.config_entries.async_schedule_reload(entry.entry_id)
        return
    await entry.runtime_data.async_follow_subentries(hass, entry)
