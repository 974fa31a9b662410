"""Notify entities of the IoT Portal integration: an SMS to a SIM."""

from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.notify import NotifyEntity, NotifyEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import IotPortalConfigEntry
from .entity import IotPortalSimEntity, IotPortalSimEntityDescription, async_add_sim_entities

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class IotPortalNotifyEntityDescription(IotPortalSimEntityDescription[Any], NotifyEntityDescription):
    """Describes a notify entity of a SIM."""


NOTIFIERS = (IotPortalNotifyEntityDescription(key="sms", part_fn=lambda data: data),)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the notify entities."""
    async_add_sim_entities(entry, Platform.NOTIFY, async_add_entities, IotPortalNotifier, NOTIFIERS)


class IotPortalNotifier(IotPortalSimEntity, NotifyEntity):
    """The way to send a SIM an SMS."""

    entity_description: IotPortalNotifyEntityDescription

    @property
    @override
    def available(self) -> bool:
        """Allow to try when the SIM could not be read: Home Assistant passes over what is unavailable."""
        return True

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Send the message as an SMS."""
        await self.coordinator.messages.async_send(message)
