"""Switches of the IoT Portal integration."""

from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import SimStatus
from .coordinator import IotPortalConfigEntry
from .entity import IotPortalSimEntity, IotPortalSimEntityDescription, async_add_sim_entities

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class IotPortalSwitchEntityDescription(IotPortalSimEntityDescription[Any], SwitchEntityDescription):
    """Describes a switch of a SIM."""


SWITCHES = (
    IotPortalSwitchEntityDescription(
        key="active",
        # A change costs money and takes the SIM off its network: only for those who ask for it.
        entity_registry_enabled_default=False,
        part_fn=lambda data: data.status,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the switches."""
    async_add_sim_entities(entry, Platform.SWITCH, async_add_entities, IotPortalSwitch, SWITCHES)


class IotPortalSwitch(IotPortalSimEntity, SwitchEntity):
    """The switch that activates and deactivates a SIM; it shows what the portal reports."""

    entity_description: IotPortalSwitchEntityDescription

    @property
    @override
    def is_on(self) -> bool:
        """Tell whether the SIM is activated."""
        return self.coordinator.data.status == SimStatus.ACTIVATED

    @property
    @override
    def shows(self) -> object:
        """Return the state."""
        return self.is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Ask for activation."""
        await self.coordinator.changes.async_request(SimStatus.ACTIVATED)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Ask for deactivation."""
        await self.coordinator.changes.async_request(SimStatus.DEACTIVATED)
