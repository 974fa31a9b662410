"""What belongs to a loaded account."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import callback

from .account import IotPortalAccount
from .bulk_edit import BulkEdits
from .coordinator import IotPortalSimCoordinator
from .sim_devices import SimDevices
from .slices import Slices, in_slices

type IotPortalConfigEntry = ConfigEntry[IotPortalData]
type SimListener = Callable[[IotPortalSimCoordinator], None]


@dataclass(kw_only=True)
class IotPortalData:
    """A loaded account: the options that are applied, and its SIMs by subentry id.

    The entities are removed in the slices of `removal`. `details` are the platforms and keys of the entities that SIMs of
    large accounts have only on request. While changes are being applied, `has_changed` is set by further ones, and
    `must_reload` by those that need a reload in the end.
    """

    account: IotPortalAccount
    bulk_edits: BulkEdits
    options: Mapping[str, Any]
    sim_devices: SimDevices
    sims: dict[str, IotPortalSimCoordinator]
    removal: Slices = field(default_factory=Slices)
    details: set[tuple[Platform, str]] = field(default_factory=set)
    is_applying_changes: bool = False
    has_changed: bool = False
    must_reload: bool = False
    _add_listeners: list[SimListener] = field(default_factory=list)
    _update_listeners: list[SimListener] = field(default_factory=list)

    def is_in_use(self) -> bool:
        """Return whether the account is loaded, or being loaded, with this data."""
        entry = self.account.config_entry
        is_loaded = entry.state in (ConfigEntryState.LOADED, ConfigEntryState.SETUP_IN_PROGRESS)
        return is_loaded and getattr(entry, "runtime_data", None) is self

    async def async_each_sim(self) -> AsyncIterator[IotPortalSimCoordinator]:
        """Yield the SIMs in slices, but none that was removed, or whose account was unloaded, in the meantime."""
        async for sim in in_slices(self.sims.values()):
            if sim.subentry.subentry_id in self.sims and self.is_in_use():
                yield sim

    async def async_listen_to_sims(self, added: SimListener, updated: SimListener) -> None:
        """Call a listener for every SIM and each that is added, and another for each update, until the unload."""
        self._add_listeners.append(added)
        self._update_listeners.append(updated)
        async for sim in self.async_each_sim():
            added(sim)

    @callback
    def async_add_sim(self, sim: IotPortalSimCoordinator) -> None:
        """Add a SIM, which is still to be started, and its entities."""
        self.sims[sim.subentry.subentry_id] = sim
        self.account.async_add_sim(sim.iccid)
        # The polls go on as long as there is a listener, even if all entities are disabled.
        stop = sim.async_add_listener(partial(self._async_sim_updated, sim))
        self.account.config_entry.async_on_unload(stop)
        for listener in self._add_listeners:
            listener(sim)

    @callback
    def _async_sim_updated(self, sim: IotPortalSimCoordinator) -> None:
        """Call the listeners for an update."""
        for listener in self._update_listeners:
            listener(sim)

    @callback
    def async_remove_sim(self, subentry_id: str) -> IotPortalSimCoordinator:
        """Remove a SIM and return it, to be shut down; Home Assistant removes its entities."""
        sim = self.sims.pop(subentry_id)
        self.account.async_remove_sim(sim.iccid)
        return sim
