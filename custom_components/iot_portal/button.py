"""Buttons of the IoT Portal integration."""

from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import IotPortalConfigEntry
from .entity import IotPortalSimEntity, IotPortalSimEntityDescription, async_add_sim_entities

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class IotPortalButtonEntityDescription(IotPortalSimEntityDescription[Any], ButtonEntityDescription):
    """Describes a button of a SIM."""


BUTTONS = (
    IotPortalButtonEntityDescription(
        key="refresh",
        entity_category=EntityCategory.DIAGNOSTIC,
        is_for_small_fleets=True,
        part_fn=lambda data: data,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the buttons."""
    async_add_sim_entities(entry, Platform.BUTTON, async_add_entities, IotPortalButton, BUTTONS)


class IotPortalButton(IotPortalSimEntity, ButtonEntity):
    """The button that reads a SIM now."""

    entity_description: IotPortalButtonEntityDescription

    @property
    @override
    def available(self) -> bool:
        """Allow to try again when the SIM could not be read."""
        return True

    @override
    async def async_press(self) -> None:
        """Read the SIM."""
        await self.coordinator.async_read_now()
