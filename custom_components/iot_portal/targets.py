"""The SIMs and accounts that a target of an automation or an action names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, CONF_EXCLUDE
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.helpers.target import (
    SelectedEntities,
    TargetSelection,
    async_extract_referenced_entity_ids,
)
import voluptuous as vol

from .const import DOMAIN
from .coordinator import IotPortalSimCoordinator
from .follow_up import TrackedSim
from .runtime_data import IotPortalConfigEntry

# What a trigger and a condition take for a target. From 2026.11 on Home Assistant knows targets to exclude.
TARGET: Final = vol.All(
    cv.TARGET_FIELDS,
    cv.has_at_least_one_key(*({str(key) for key in cv.TARGET_FIELDS} - {CONF_EXCLUDE})),
)
# The statuses of a trigger or a condition.
STATUSES: Final = vol.All(cv.ensure_list, [vol.All(cv.string, str.strip)])
# A change of one of these can change what a target names.
REGISTRY_EVENTS: Final = (
    ar.EVENT_AREA_REGISTRY_UPDATED,
    dr.EVENT_DEVICE_REGISTRY_UPDATED,
    er.EVENT_ENTITY_REGISTRY_UPDATED,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a target names: the devices of SIMs by subentry id, and accounts by entry id.

    `fleets` are the accounts that are named themselves, as a device or by one of their entities: automations take such
    an account for all its SIMs but those in `excluded`. `accounts` are those of everything that is named.
    """

    sims: Mapping[str, dr.DeviceEntry]
    fleets: frozenset[str]
    accounts: frozenset[str]
    excluded: frozenset[str]

    @classmethod
    def select(cls, hass: HomeAssistant, config: Mapping[str, Any]) -> Self:
        """Return what a target names now, without what it excludes: a SIM by any of its entities, as it is named."""
        exclude = config.get(CONF_EXCLUDE) or {}
        excluded, fleets = _sims(_devices(hass, exclude)), _fleets(hass, exclude)
        devices = [
            device
            for device in _devices(hass, config)
            if device.config_subentry_id not in excluded and device.config_entry_id not in fleets
        ]
        # An answer follows the order in which devices were given.
        given = {id_: n for n, id_ in enumerate(cv.ensure_list(config.get(ATTR_DEVICE_ID)))}
        devices.sort(key=lambda device: given.get(device.id, len(given)))
        return cls(
            sims=_sims(devices),
            fleets=_fleets(hass, config) - fleets,
            accounts=frozenset(device.config_entry_id for device in devices),
            excluded=frozenset(excluded),
        )

    def has_sim(self, sim: TrackedSim) -> bool:
        """Return whether a SIM is named, by itself or with all SIMs of its account."""
        subentry_id = sim.subentry.subentry_id
        return subentry_id in self.sims or (
            sim.config_entry.entry_id in self.fleets and subentry_id not in self.excluded
        )

    def find(self, hass: HomeAssistant, subentry_id: str | None) -> dr.DeviceEntry | None:
        """Return the device of a SIM if it is named, by itself or with all SIMs of its account."""
        if subentry_id is None or subentry_id in self.excluded:
            return None
        registry = dr.async_get(hass)
        of_fleets = _sims(
            [
                device
                for entry_id in self.fleets
                for device in dr.async_entries_for_config_entry(registry, entry_id)
            ]
        )
        return self.sims.get(subentry_id) or of_fleets.get(subentry_id)


def _extract(hass: HomeAssistant, config: Mapping[str, Any]) -> SelectedEntities:
    """Return the entities and devices that ids name, diagnostic entities too, whatever is excluded."""
    ids = {key: value for key, value in config.items() if key != CONF_EXCLUDE}
    return async_extract_referenced_entity_ids(
        hass, TargetSelection(ids), primary_entities_only=False
    )


def _sims(devices: list[dr.DeviceEntry]) -> dict[str, dr.DeviceEntry]:
    """Return the devices of SIMs by subentry id."""
    return {
        device.config_subentry_id: device
        for device in devices
        if device.config_subentry_id is not None
    }


def _fleets(hass: HomeAssistant, config: Mapping[str, Any]) -> frozenset[str]:
    """Return the accounts that ids of devices and entities name."""
    named = {key: config[key] for key in (ATTR_DEVICE_ID, ATTR_ENTITY_ID) if key in config}
    return frozenset(
        device.config_entry_id
        for device in _devices(hass, named)
        if device.config_subentry_id is None
    )


def _devices(hass: HomeAssistant, config: Mapping[str, Any]) -> list[dr.DeviceEntry]:
    """Return the devices of this integration that ids name, by their names."""
    found = _extract(hass, config)
    entities = er.async_get(hass)
    owners = {
        entity.device_id
        for entity_id in found.referenced | found.indirectly_referenced
        if (entity := entities.async_get(entity_id)) is not None
        and entity.platform == DOMAIN
        and entity.device_id is not None
    }
    registry = dr.async_get(hass)
    devices = [
        device
        for device_id in owners | found.referenced_devices
        if (device := registry.async_get(device_id, include_child_devices=False)) is not None
        # Identifiers of other integrations may have three parts.
        and any(identifier[0] == DOMAIN for identifier in device.identifiers)
    ]
    return sorted(devices, key=lambda device: (device.name_by_user or device.name or "", device.id))


def missing_from(hass: HomeAssistant, config: Mapping[str, Any]) -> list[str]:
    """Return the ids in a target that Home Assistant does not know."""
    found = _extract(hass, config)
    entities = er.async_get(hass)
    unknown = {
        entity_id
        for entity_id in found.referenced
        if entities.async_get(entity_id) is None and hass.states.get(entity_id) is None
    }
    return sorted(
        unknown
        | found.missing_devices
        | found.missing_areas
        | found.missing_floors
        | found.missing_labels
    )


class TrackedTarget:
    """A target whose SIMs are looked up again after a registry has changed, once they are asked for."""

    def __init__(self, hass: HomeAssistant, config: Mapping[str, Any]) -> None:
        """Start without looking."""
        self._hass = hass
        self._config = config
        self._target: Target | None = None

    @callback
    def async_track(self) -> CALLBACK_TYPE:
        """Follow the registries; return how to stop that."""
        unsubscribe = [
            self._hass.bus.async_listen(event, self._async_forget) for event in REGISTRY_EVENTS
        ]

        @callback
        def stop() -> None:
            for each in unsubscribe:
                each()

        return stop

    @callback
    def _async_forget(self, _: Event[Any]) -> None:
        """Forget what was looked up."""
        self._target = None

    @property
    def now(self) -> Target:
        """Return what the target names now."""
        if self._target is None:
            self._target = Target.select(self._hass, self._config)
        return self._target

    @property
    def sims(self) -> list[IotPortalSimCoordinator]:
        """Return the SIMs of loaded accounts that the target names."""
        accounts: list[IotPortalConfigEntry] = self._hass.config_entries.async_loaded_entries(
            DOMAIN
        )
        return [
            sim
            for account in accounts
            for sim in account.runtime_data.sims.values()
            if self.now.has_sim(sim)
        ]


def device_of(hass: HomeAssistant, entry: ConfigEntry, identifier: str) -> str | None:
    """Return the id of a device: that of a SIM by its ICCID, or of an account by its entry id."""
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, identifier), entry.entry_id)
    return None if device is None else device.id
