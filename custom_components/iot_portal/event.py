"""Event entities of the IoT Portal integration."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import IotPortalAccount
from .coordinator import IotPortalSimCoordinator
from .entity import (
    IotPortalSimEntityDescription,
    SlicedEntity,
    account_device,
    async_add_sim_entities,
    sim_device,
)
from .event_feed import EventFeed
from .models import BulkEditEventType, SimData, SimEvent, SimEventType, SmsEventType
from .runtime_data import IotPortalConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class IotPortalSimEventEntityDescription(
    IotPortalSimEntityDescription[SimData], EventEntityDescription
):
    """Describes an event entity of a SIM."""

    part_fn: Callable[[SimData], SimData] = lambda data: data

    @override
    def is_ready(self, data: SimData) -> bool:
        """Return True: a write may end before the SIM is first read."""
        return True


SIM_EVENTS = (
    IotPortalSimEventEntityDescription(key="sim_event", event_types=list(SimEventType)),
    IotPortalSimEventEntityDescription(key="sms_event", event_types=list(SmsEventType)),
)
ACCOUNT_EVENTS = (EventEntityDescription(key="bulk_edit", event_types=list(BulkEditEventType)),)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the event entities."""
    await async_add_sim_entities(entry, Platform.EVENT, async_add_entities, _sim_event, SIM_EVENTS)
    account = entry.runtime_data.account
    async_add_entities(_account_event(account, description) for description in ACCOUNT_EVENTS)


def _sim_event(
    sim: IotPortalSimCoordinator, description: IotPortalSimEventEntityDescription
) -> IotPortalEvent:
    """Return an event entity of a SIM."""
    return IotPortalEvent(description, sim.events, sim.iccid, partial(sim_device, sim))


def _account_event(
    account: IotPortalAccount, description: EventEntityDescription
) -> IotPortalEvent:
    """Return an event entity of an account."""
    return IotPortalEvent(
        description,
        account.events,
        account.config_entry.entry_id,
        partial(account_device, account),
    )


class IotPortalEvent(EventEntity, SlicedEntity):
    """The last event of a SIM or an account; it stays available while the portal is unreachable."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    entity_description: EventEntityDescription

    def __init__(
        self,
        description: EventEntityDescription,
        feed: EventFeed[Any],
        owner: str,
        device: Callable[[], DeviceInfo],
    ) -> None:
        """Initialize the entity on the device of its owner, an ICCID or the id of an entry."""
        self.entity_description = description
        self._feed = feed
        self._attr_translation_key = description.key
        self._attr_unique_id = f"{owner}_{description.key}"
        self._device = device

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the device of the owner, which is needed once only."""
        return self._device()

    @override
    async def async_added_to_hass(self) -> None:
        """Start listening."""
        await super().async_added_to_hass()
        self.async_on_remove(self._feed.async_listen(self._async_handle_event))

    @callback
    def _async_handle_event(self, event: SimEvent) -> None:
        """Show an event of one of the entity's types."""
        if event.event_type in self.event_types:
            self._trigger_event(event.event_type.value, dict(event.attributes))
            self._context = event.context
            self.async_write_ha_state()
            self._context = None
