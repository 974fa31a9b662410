"""Buttons of the IoT Portal integration."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import IotPortalSimCoordinator
from .entity import IotPortalSimEntity, IotPortalSimEntityDescription, async_add_sim_entities
from .models import SimData
from .runtime_data import IotPortalConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class IotPortalButtonEntityDescription(
    IotPortalSimEntityDescription[SimData], ButtonEntityDescription
):
    """Describes a button of a SIM."""

    press_fn: Callable[[IotPortalSimCoordinator], Awaitable[None]]


BUTTONS = (
    IotPortalButtonEntityDescription(
        key="refresh",
        entity_category=EntityCategory.DIAGNOSTIC,
        left_out_in_large_fleets=True,
        part_fn=lambda data: data if data.is_known else None,
        press_fn=lambda sim: sim.async_read_now(),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the buttons."""
    await async_add_sim_entities(
        entry, Platform.BUTTON, async_add_entities, IotPortalButton, BUTTONS
    )


class IotPortalButton(IotPortalSimEntity, ButtonEntity):
    """A button of a SIM."""

    entity_description: IotPortalButtonEntityDescription

    @property
    @override
    def available(self) -> bool:
        """Stay available so that a retry is possible."""
        return True

    @override
    async def async_press(self) -> None:
        """Press the button."""
        await self.entity_description.press_fn(self.coordinator)
