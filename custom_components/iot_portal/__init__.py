"""SIM cards of the IoT Portal in Home Assistant."""

import asyncio
from collections.abc import Iterable
from functools import partial

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntry, DeviceEntryType
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.typing import ConfigType

from .account import IotPortalAccount
from .api import (
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalInputError,
)
from .bulk_edit import BulkEdits
from .client_factory import async_apply_limits, async_create_client, async_end_pause
from .config_flow import IotPortalConfigFlow
from .const import CONF_WATCH_SMS, DOMAIN, SUBENTRY_TYPE_SIM
from .coordinator import IotPortalSimCoordinator
from .dashboard import async_setup_dashboard
from .entity import async_remove_details
from .errors import translate
from .issues import (
    Issue,
    async_clear_account_issues,
    async_clear_sim_issues,
    async_raise_issue,
)
from .outages import OUTAGES, Outages
from .reauthentication import async_record_login, async_record_refused_login
from .runtime_data import IotPortalConfigEntry, IotPortalData
from .services import async_setup_services
from .sim_devices import SimDevices
from .slices import apart, in_slices
from .storage import HistoryStore, PendingWritesStore, SnapshotStore

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
    """Set up the actions and the dashboard, and report accounts that Home Assistant refuses to start."""
    async_setup_services(hass)
    hass.data[OUTAGES] = Outages(hass)
    await hass.data[OUTAGES].async_load()
    await async_setup_dashboard(hass)
    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, partial(_async_state_changed, hass))
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


@callback
def _async_state_changed(
    hass: HomeAssistant, _: ConfigEntryChange, entry: IotPortalConfigEntry
) -> None:
    """Start an account afresh that a person has unloaded; Home Assistant's own set-up retries do not unload it."""
    if entry.domain == DOMAIN and entry.state is ConfigEntryState.NOT_LOADED:
        async_end_pause(hass, entry.data)
        hass.data[OUTAGES].async_set_up_ended(entry)


async def async_migrate_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> bool:
    """Return whether an entry can be used: a newer minor version changes nothing that is read here.

    Home Assistant itself refuses an entry of a newer major version.
    """
    return entry.version == IotPortalConfigFlow.VERSION


async def async_setup_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> bool:
    """Log in to an account, and track its SIMs."""
    client = await _async_log_in(hass, entry)
    _async_update_device(hass, entry)
    entry.runtime_data = await _async_load(hass, entry, client)
    sims = await _async_add_sims(hass, entry, entry.runtime_data)
    if not sims:
        # Nothing will be read that could show it.
        hass.data[OUTAGES].async_end(entry)
    sim_devices = entry.runtime_data.sim_devices
    async for sim in entry.runtime_data.async_each_sim():
        sim_devices.async_update(sim.subentry)
    sim_devices.async_follow()
    entry.async_on_unload(sim_devices.async_stop)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    # Only now, so that the event entities exist when something happens.
    bulk_edits = entry.runtime_data.bulk_edits
    bulk_edits.async_resume()
    entry.async_on_unload(bulk_edits.async_stop)
    entry.async_on_unload(entry.add_update_listener(_async_entry_updated))

    @callback
    def stop_saving(_: Event) -> None:
        """Schedule no more saves: Home Assistant writes its files for the last time, and one would outlive it."""
        entry.runtime_data.account.async_stop_saving()

    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, stop_saving))

    @callback
    def start(_: HomeAssistant) -> None:
        """Start the SIMs in the background."""
        entry.async_create_background_task(
            hass, _async_start_sims(entry.runtime_data, sims), f"{DOMAIN} start of {entry.title}"
        )

    if entry.runtime_data.account.is_large:
        # Home Assistant finishes starting before it adds thousands of entities.
        entry.async_on_unload(async_at_started(hass, start))
    else:
        start(hass)
    return True


@callback
def _async_update_device(hass: HomeAssistant, entry: IotPortalConfigEntry) -> None:
    """Create the device of an account, or give it the name that the account has now."""
    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, entry.entry_id)},
        manufacturer="IoT Portal",
        model="Account",
        name=entry.title,
    )


async def _async_log_in(hass: HomeAssistant, entry: IotPortalConfigEntry) -> IotPortalClient:
    """Return a client that is logged in, or raise the error that Home Assistant reacts to."""
    outages = hass.data[OUTAGES]
    try:
        client = async_create_client(hass, entry.data)
        await client.login()
    except IotPortalAuthenticationError as err:
        outages.async_set_up_failed(entry, err)
        if err.is_strong:
            raise ConfigEntryAuthFailed(**translate(hass, err, entry.title)) from err
        async_record_refused_login(hass, entry, err)
        raise ConfigEntryNotReady(**translate(hass, err, entry.title)) from err
    except IotPortalInputError as err:
        raise ConfigEntryError(**translate(hass, err, entry.title)) from err
    except IotPortalError as err:
        outages.async_set_up_failed(entry, err)
        raise ConfigEntryNotReady(**translate(hass, err, entry.title)) from err
    async_record_login(hass, entry)
    outages.async_set_up_ended(entry)
    return client


async def _async_load(
    hass: HomeAssistant, entry: IotPortalConfigEntry, client: IotPortalClient
) -> IotPortalData:
    """Return an account with its stored data, without SIMs yet."""
    pending_writes = PendingWritesStore(hass, entry)
    if (aside := await pending_writes.async_load()) is not None:
        async_raise_issue(
            hass,
            Issue.PENDING_WRITES_LOST,
            entry.entry_id,
            "pending_writes",
            {"account": entry.title, "file": aside},
        )
    snapshots = SnapshotStore(hass, entry.entry_id)
    await snapshots.async_load()
    histories = HistoryStore(hass, entry.entry_id)
    await histories.async_load()
    sims: dict[str, IotPortalSimCoordinator] = {}
    account = IotPortalAccount(
        hass,
        entry,
        client,
        pending_writes=pending_writes,
        snapshots=snapshots,
        histories=histories,
        sims=sims,
    )
    return IotPortalData(
        account=account,
        bulk_edits=BulkEdits(hass, account, sims),
        options=entry.options,
        sim_devices=SimDevices(hass, entry),
        sims=sims,
    )


async def async_unload_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> bool:
    """Unload an account."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        await entry.runtime_data.account.async_close_stores()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: IotPortalConfigEntry) -> None:
    """Remove the issues and the files of an account."""
    async_clear_account_issues(hass, entry.entry_id)
    hass.data[OUTAGES].async_forget(entry)
    await PendingWritesStore(hass, entry).async_remove()
    await SnapshotStore(hass, entry.entry_id).async_remove()
    await HistoryStore(hass, entry.entry_id).async_remove()


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: IotPortalConfigEntry, device: DeviceEntry
) -> bool:
    """Allow deleting a device that belongs to nothing; a SIM is removed on the account's page."""
    return (
        device.config_subentry_id not in entry.subentries
        and (DOMAIN, entry.entry_id) not in device.identifiers
    )


async def _async_entry_updated(hass: HomeAssistant, entry: IotPortalConfigEntry) -> None:
    """Remove SIMs at once, and apply all other changes that are made together in one go."""
    data = entry.runtime_data
    for subentry_id in data.sims.keys() - entry.subentries.keys():
        await data.async_remove_sim(subentry_id).async_shutdown()
        async_clear_sim_issues(hass, entry.entry_id, subentry_id)
    data.has_changed = True
    if data.is_applying_changes:
        return
    data.is_applying_changes = True
    try:
        while data.has_changed:
            # Each of hundreds of SIMs that change together calls this, which goes through all SIMs: once none does.
            await asyncio.sleep(0)
            while data.has_changed:
                data.has_changed = False
                await asyncio.sleep(0)
            await _async_apply_changes(hass, entry, data)
    finally:
        data.is_applying_changes = False


async def _async_apply_changes(
    hass: HomeAssistant, entry: IotPortalConfigEntry, data: IotPortalData
) -> None:
    """Apply what has changed of an account and its SIMs, in slices; the account may be unloaded in between."""
    if not data.is_in_use():
        return
    _async_update_device(hass, entry)
    await _async_apply_options(hass, entry, data)
    async for sim in data.async_each_sim():
        with apart(sim.title):
            sim.async_apply_subentry()
            data.sim_devices.async_update(sim.subentry)
    added = await _async_add_sims(hass, entry, data)
    if not data.is_in_use():
        return
    data.sim_devices.async_follow()
    entry.async_create_background_task(
        hass, _async_start_sims(data, added), f"{DOMAIN} start of new SIMs of {entry.title}"
    )
    # Last, because it may unload the account.
    await _async_apply_details(hass, entry, data)


async def _async_apply_options(
    hass: HomeAssistant, entry: IotPortalConfigEntry, data: IotPortalData
) -> None:
    """Apply changed options without a reload, which would write the state of every entity anew."""
    before, data.options = data.options, entry.options
    if entry.options == before:
        return
    schedule = data.account.schedule
    interval = schedule.interval
    async_apply_limits(hass, entry.data)
    data.account.async_apply_options()
    if schedule.interval != interval:
        async for sim in data.async_each_sim():
            sim.async_reschedule()
    if entry.options.get(CONF_WATCH_SMS) and not before.get(CONF_WATCH_SMS):
        # An SMS that comes from now on has to be told apart from those that are listed already.
        entry.async_create_background_task(
            hass, _async_read_sims(data), f"{DOMAIN} read of the SMS of {entry.title}"
        )


async def _async_apply_details(
    hass: HomeAssistant, entry: IotPortalConfigEntry, data: IotPortalData
) -> None:
    """Add or remove the details of SIMs of a large account, with a reload, as if a person had enabled an entity."""
    changed = [
        sim for sim in data.sims.values() if sim.shows_details != sim.data.settings.all_details
    ]
    if data.account.is_large:
        async for sim in in_slices(changed):
            data.must_reload = True
            if not sim.data.settings.all_details:
                async_remove_details(data, sim)
    else:
        # Each SIM has all entities anyway, and keeps them when the account grows.
        for sim in changed:
            sim.shows_details = sim.data.settings.all_details
    # The slices take a while: further changes are applied first, and the account may have been unloaded.
    if data.must_reload and data.is_in_use() and not data.has_changed:
        hass.config_entries.async_schedule_reload(entry.entry_id)


async def _async_read_sims(data: IotPortalData) -> None:
    """Read all SIMs that have been read before; the others are about to be."""
    async for sim in data.async_each_sim():
        if sim.has_been_read:
            sim.async_read_in_background()
            await asyncio.sleep(0)


async def _async_add_sims(
    hass: HomeAssistant, entry: IotPortalConfigEntry, data: IotPortalData
) -> list[IotPortalSimCoordinator]:
    """Add the SIMs that are not tracked yet, and return them; they are still to be started."""
    added = []
    async for subentry in in_slices(entry.get_subentries_of_type(SUBENTRY_TYPE_SIM)):
        is_new = subentry.subentry_id not in data.sims
        if is_new and subentry.subentry_id in entry.subentries and data.is_in_use():
            with apart(subentry.title):
                sim = IotPortalSimCoordinator(hass, entry, subentry, data.account)
                data.async_add_sim(sim)
                added.append(sim)
    data.account.async_update()
    return added


async def _async_start_sims(data: IotPortalData, sims: Iterable[IotPortalSimCoordinator]) -> None:
    """Start SIMs one after the other, with the rest of Home Assistant's work in between."""
    for sim in sims:
        if sim.subentry.subentry_id in data.sims:
            with apart(sim.title):
                sim.async_start()
            await asyncio.sleep(0)
