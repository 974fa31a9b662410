"""Notify entities of the IoT Portal integration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.notify import NotifyEntity, NotifyEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import IotPortalSimEntity, IotPortalSimEntityDescription, async_add_sim_entities
from .models import SimData
from .runtime_data import IotPortalConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class IotPortalNotifyEntityDescription(
    IotPortalSimEntityDescription[SimData], NotifyEntityDescription
):
    """Describes a notify entity of a SIM, which is there once the SIM has been read."""

    part_fn: Callable[[SimData], SimData | None] = lambda data: data if data.is_known else None


NOTIFIERS = (IotPortalNotifyEntityDescription(key="send_sms"),)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the notify entities."""
    await async_add_sim_entities(
        entry, Platform.NOTIFY, async_add_entities, IotPortalNotifier, NOTIFIERS
    )


class IotPortalNotifier(IotPortalSimEntity, NotifyEntity):
    """A notify entity that sends an SMS to a SIM."""

    entity_description: IotPortalNotifyEntityDescription

    @property
    @override
    def available(self) -> bool:
        """Stay available: Home Assistant silently skips unavailable entities instead of raising the error."""
        return True

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Send the message as an SMS."""
        await self.coordinator.sms.async_send(message, self._context)
