"""Binary sensors of the IoT Portal integration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import Session
from .coordinator import Budget, IotPortalConfigEntry
from .entity import IotPortalSimEntity, IotPortalSimEntityDescription, async_add_sim_entities

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class IotPortalBinarySensorEntityDescription[PartT](
    IotPortalSimEntityDescription[PartT], BinarySensorEntityDescription
):
    """Describes a binary sensor of a SIM."""

    is_on_fn: Callable[[PartT], bool]


BINARY_SENSORS = (
    IotPortalBinarySensorEntityDescription[Session](
        key="in_session",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        part_fn=lambda data: data.session,
        is_on_fn=lambda session: session.is_open,
    ),
    IotPortalBinarySensorEntityDescription[Budget](
        key="over_pace",
        device_class=BinarySensorDeviceClass.PROBLEM,
        part_fn=lambda data: data.budget,
        is_on_fn=lambda budget: budget.is_over_pace,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the binary sensors."""
    async_add_sim_entities(entry, async_add_entities, IotPortalBinarySensor, BINARY_SENSORS)


class IotPortalBinarySensor(IotPortalSimEntity, BinarySensorEntity):
    """A binary sensor of a SIM."""

    entity_description: IotPortalBinarySensorEntityDescription[Any]

    @property
    @override
    def is_on(self) -> bool:
        """Return what the portal reported last."""
        return self.entity_description.is_on_fn(self.part)
