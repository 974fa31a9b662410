"""Bases of the entities of a SIM and of an account, and how they come to be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .account import IotPortalAccount
from .const import DOMAIN
from .coordinator import IotPortalConfigEntry, IotPortalSimCoordinator
from .sim import SimData


@dataclass(frozen=True, kw_only=True)
class IotPortalSimEntityDescription[PartT](EntityDescription):
    """Describes an entity of a SIM and the part of the SIM that it needs, None while it is missing.

    What a large fleet can do without starts disabled there.
    """

    part_fn: Callable[[SimData], PartT | None]
    is_for_small_fleets: bool = False

    def has_part(self, data: SimData) -> bool:
        """Tell whether the part is there."""
        return self.part_fn(data) is not None

    def is_ready(self, known: SimData | None) -> bool:
        """Tell whether a SIM has such an entity, as far as is known."""
        return known is not None and self.has_part(known)


@callback
def async_add_sim_entities[DescriptionT: IotPortalSimEntityDescription[Any]](
    entry: IotPortalConfigEntry,
    platform: Platform,
    async_add_entities: AddConfigEntryEntitiesCallback,
    create: Callable[[IotPortalSimCoordinator, DescriptionT], Entity],
    descriptions: tuple[DescriptionT, ...],
) -> None:
    """Add the entities of every SIM, each as soon as its part has been read once, in whichever run."""

    @callback
    def sim_added(coordinator: IotPortalSimCoordinator) -> None:
        waiting = [
            description
            for description in descriptions
            if not _is_disabled(coordinator, platform, description.key)
        ]

        @callback
        def add_those_that_are_ready() -> None:
            if not waiting:
                return
            ready = [item for item in waiting if item.is_ready(coordinator.known)]
            waiting[:] = [item for item in waiting if item not in ready]
            if ready:
                async_add_entities(
                    [create(coordinator, description) for description in ready],
                    config_subentry_id=coordinator.subentry.subentry_id,
                )

        entry.async_on_unload(coordinator.async_add_listener(add_those_that_are_ready))

    entry.async_on_unload(entry.runtime_data.async_for_each_sim(sim_added))


def _is_disabled(coordinator: IotPortalSimCoordinator, platform: Platform, key: str) -> bool:
    """Tell whether an entity is registered as disabled; when it is enabled, its account is reloaded.

    To add it would cost as much as to add one that is shown, and most of a SIM's are disabled.
    """
    registry = er.async_get(coordinator.hass)
    entity_id = registry.async_get_entity_id(platform, DOMAIN, _unique_id(coordinator, key))
    return entity_id is not None and registry.entities[entity_id].disabled


def _unique_id(coordinator: IotPortalSimCoordinator, key: str) -> str:
    """Return what an entity of a SIM is registered under."""
    return f"{coordinator.iccid}_{key}"


def sim_device(coordinator: IotPortalSimCoordinator) -> DeviceInfo:
    """Return the device of a SIM, below that of its account."""
    entry_id = coordinator.config_entry.entry_id
    return DeviceInfo(
        identifiers={(DOMAIN, coordinator.iccid)},
        manufacturer="IoT Portal",
        model="SIM card",
        name=coordinator.subentry.title,
        serial_number=coordinator.iccid,
        via_device_id=dr.async_get_device_id_by_identifier(
            coordinator.hass, (DOMAIN, entry_id), config_entry_id=entry_id
        ),
    )


def account_device(account: IotPortalAccount) -> DeviceInfo:
    """Return the device of an account, which set-up has made."""
    return DeviceInfo(identifiers={(DOMAIN, account.config_entry.entry_id)})


class IotPortalSimEntity(CoordinatorEntity[IotPortalSimCoordinator]):
    """An entity of a SIM."""

    _attr_has_entity_name = True
    entity_description: IotPortalSimEntityDescription[Any]

    def __init__(
        self, coordinator: IotPortalSimCoordinator, description: IotPortalSimEntityDescription[Any]
    ) -> None:
        """Place the entity on the device of its SIM."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_translation_key = description.key
        self._attr_unique_id = _unique_id(coordinator, description.key)
        self._attr_device_info = sim_device(coordinator)
        if description.is_for_small_fleets and coordinator.account.is_large:
            self._attr_entity_registry_enabled_default = False
        self._shown: tuple[bool, object] | None = None

    @property
    @override
    def available(self) -> bool:
        """Tell whether the part of the SIM that the entity shows could be read."""
        return (
            super().available
            and self.coordinator.has_been_read
            and self.entity_description.has_part(self.coordinator.data)
        )

    @property
    def shows(self) -> object:
        """Return what the entity shows while it is available, to tell when that changes."""
        return None

    @override
    async def async_added_to_hass(self) -> None:
        """Begin with what Home Assistant is about to show."""
        await super().async_added_to_hass()
        self._has_changed()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Show what was read, where it is something else than before: most of a SIM stays the same."""
        if self._has_changed():
            super()._handle_coordinator_update()

    def _has_changed(self) -> bool:
        """Tell whether there is something else to show than the last time."""
        before, self._shown = self._shown, (self.available, self.shows if self.available else None)
        return self._shown != before


class IotPortalAccountEntity(CoordinatorEntity[IotPortalAccount]):
    """An entity of an account."""

    _attr_has_entity_name = True

    def __init__(self, account: IotPortalAccount, description: EntityDescription) -> None:
        """Place the entity on the device of its account."""
        super().__init__(account)
        self.entity_description = description
        self._attr_translation_key = description.key
        self._attr_unique_id = f"{account.config_entry.entry_id}_{description.key}"
        self._attr_device_info = account_device(account)
