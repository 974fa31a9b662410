"""Sensors of the IoT Portal integration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfInformation
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType

from .api import SimStatus
from .const import LOGGER
from .coordinator import IotPortalConfigEntry, IotPortalSimCoordinator, SimData
from .entity import IotPortalSimEntity, IotPortalSimEntityDescription

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class IotPortalSensorEntityDescription(IotPortalSimEntityDescription, SensorEntityDescription):
    """Describes a sensor of a SIM."""

    value_fn: Callable[[SimData], StateType]


def _status_option(data: SimData) -> str | None:
    """Return a known status as the key of its translation, another one as the portal reports it."""
    status = data.status
    return status.lower() if status is not None and status in SimStatus else status


SENSORS = (
    IotPortalSensorEntityDescription(
        key="status",
        translation_key="status",
        device_class=SensorDeviceClass.ENUM,
        options=[status.lower() for status in SimStatus],
        exists_fn=lambda data: data.status is not None,
        value_fn=_status_option,
    ),
    IotPortalSensorEntityDescription(
        key="data_usage",
        translation_key="data_usage",
        device_class=SensorDeviceClass.DATA_SIZE,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
        suggested_display_precision=1,
        exists_fn=lambda data: data.usage is not None,
        value_fn=lambda data: data.usage.data_bytes if data.usage else None,
    ),
    IotPortalSensorEntityDescription(
        key="last_ip",
        translation_key="last_ip",
        entity_category=EntityCategory.DIAGNOSTIC,
        exists_fn=lambda data: data.session is not None,
        value_fn=lambda data: data.session.ip_address if data.session else None,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the sensors of every SIM, also of those that are added later."""

    @callback
    def sim_added(coordinator: IotPortalSimCoordinator) -> None:
        async_add_entities(
            (IotPortalSensor(coordinator, description) for description in SENSORS),
            config_subentry_id=coordinator.subentry.subentry_id,
        )

    entry.async_on_unload(entry.runtime_data.async_for_each_sim(sim_added))


class IotPortalSensor(IotPortalSimEntity, SensorEntity):
    """A sensor of a SIM."""

    entity_description: IotPortalSensorEntityDescription

    def __init__(
        self, coordinator: IotPortalSimCoordinator, description: IotPortalSensorEntityDescription
    ) -> None:
        """Start with the states that are known."""
        super().__init__(coordinator, description)
        self._learn_option()

    @property
    @override
    def native_value(self) -> StateType:
        """Return what the portal reported last."""
        return self.entity_description.value_fn(self.coordinator.data)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Show what was read."""
        self._learn_option()
        super()._handle_coordinator_update()

    def _learn_option(self) -> None:
        """Take in a state that we did not know: other networks have words of their own."""
        options = self.options
        if options is None or not self.available or (value := self.native_value) in options:
            return
        LOGGER.info("%s reports a status that is not known: %s", self.coordinator.name, value)
        self._attr_options = [*options, str(value)]
