"""Switches of the IoT Portal integration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import SimStatus, is_activated
from .entity import IotPortalSimEntity, IotPortalSimEntityDescription, async_add_sim_entities
from .runtime_data import IotPortalConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class IotPortalSwitchEntityDescription(IotPortalSimEntityDescription[str], SwitchEntityDescription):
    """Describes a switch of a SIM by the statuses that it requests."""

    value_fn: Callable[[str], bool | None]
    on_status: SimStatus
    off_status: SimStatus


SWITCHES = (
    IotPortalSwitchEntityDescription(
        key="active",
        # Kept from areas, labels, floors and voice assistants, which would reach it by accident.
        entity_category=EntityCategory.CONFIG,
        shows_writes=True,
        # A change costs money and takes the SIM off its network: only for those who enable it.
        entity_registry_enabled_default=False,
        part_fn=lambda data: data.status,
        value_fn=is_activated,
        on_status=SimStatus.ACTIVATED,
        off_status=SimStatus.DEACTIVATED,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the switches."""
    await async_add_sim_entities(
        entry, Platform.SWITCH, async_add_entities, IotPortalSwitch, SWITCHES
    )


class IotPortalSwitch(IotPortalSimEntity, SwitchEntity):
    """A switch that requests a status of a SIM; it shows what the portal reports."""

    entity_description: IotPortalSwitchEntityDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """Return whether the portal reports a status that means on; None for a word that says neither."""
        is_on: bool | None = self.shown.value if self.shown else None
        return is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Request the status for on."""
        await self._request(self.entity_description.on_status)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Request the status for off."""
        await self._request(self.entity_description.off_status)

    async def _request(self, status: SimStatus) -> None:
        """Request a status in the context of the call."""
        await self.coordinator.status_requests.async_request(status, self._context)
