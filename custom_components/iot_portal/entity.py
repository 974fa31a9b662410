"""Base of the entities of a SIM."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import IotPortalSimCoordinator, SimData


@dataclass(frozen=True, kw_only=True)
class IotPortalSimEntityDescription(EntityDescription):
    """Describes an entity of a SIM and the part of the SIM that it needs."""

    exists_fn: Callable[[SimData], bool]


class IotPortalSimEntity(CoordinatorEntity[IotPortalSimCoordinator]):
    """An entity of a SIM."""

    _attr_has_entity_name = True
    entity_description: IotPortalSimEntityDescription

    def __init__(
        self, coordinator: IotPortalSimCoordinator, description: IotPortalSimEntityDescription
    ) -> None:
        """Place the entity on the device of its SIM, below that of its account."""
        super().__init__(coordinator)
        self.entity_description = description
        entry_id = coordinator.config_entry.entry_id
        self._attr_unique_id = f"{coordinator.iccid}_{description.key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, coordinator.iccid)},
            manufacturer="IoT Portal",
            model="SIM card",
            name=coordinator.subentry.title,
            serial_number=coordinator.iccid,
            via_device_id=dr.async_get_device_id_by_identifier(
                coordinator.hass, (DOMAIN, entry_id), config_entry_id=entry_id
            ),
        )

    @property
    @override
    def available(self) -> bool:
        """Tell whether the part of the SIM that the entity shows could be read."""
        return (
            super().available
            and self.coordinator.has_been_read
            and self.entity_description.exists_fn(self.coordinator.data)
        )
