"""Event entities of the IoT Portal integration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import IotPortalConfigEntry, IotPortalSimCoordinator
from .entity import (
    IotPortalSimEntityDescription,
    account_device,
    async_add_sim_entities,
    sim_device,
)
from .happenings import BulkEditEnd, Happening, Happenings, Lifecycle, SmsProgress
from .sim import SimData

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class IotPortalSimEventEntityDescription(
    IotPortalSimEntityDescription[SimData], EventEntityDescription
):
    """Describes an event entity of a SIM."""

    part_fn: Callable[[SimData], SimData] = lambda data: data
    happenings_fn: Callable[[IotPortalSimCoordinator], Happenings]

    @override
    def is_ready(self, known: SimData | None) -> bool:
        """Be there before the SIM is first read: a write may end before."""
        return True


SIM_EVENTS = (
    IotPortalSimEventEntityDescription(
        key="lifecycle",
        event_types=list(Lifecycle),
        happenings_fn=lambda sim: sim.lifecycle,
    ),
    IotPortalSimEventEntityDescription(
        key="sms",
        event_types=list(SmsProgress),
        happenings_fn=lambda sim: sim.sms,
    ),
)
ACCOUNT_EVENTS = (EventEntityDescription(key="bulk_edit", event_types=list(BulkEditEnd)),)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the event entities."""
    async_add_sim_entities(entry, Platform.EVENT, async_add_entities, _sim_event, SIM_EVENTS)
    account = entry.runtime_data.account
    async_add_entities(
        IotPortalEvent(description, account.bulk_edits, entry.entry_id, account_device(account))
        for description in ACCOUNT_EVENTS
    )


def _sim_event(
    sim: IotPortalSimCoordinator, description: IotPortalSimEventEntityDescription
) -> IotPortalEvent:
    """Return an event entity of a SIM."""
    return IotPortalEvent(description, description.happenings_fn(sim), sim.iccid, sim_device(sim))


class IotPortalEvent(EventEntity):
    """What happened last to a SIM or an account; it stays true while the portal is away."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self,
        description: EventEntityDescription,
        happenings: Happenings,
        owner: str,
        device: DeviceInfo,
    ) -> None:
        """Place the entity on the device of its owner, an ICCID or the id of an entry."""
        self.entity_description = description
        self._happenings = happenings
        self._attr_translation_key = description.key
        self._attr_unique_id = f"{owner}_{description.key}"
        self._attr_device_info = device

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(self._happenings.async_listen(self._async_happened))

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Go on listening under another entity id."""

    @callback
    def _async_happened(self, happening: Happening) -> None:
        """Show what happened."""
        self._trigger_event(happening.event.value, dict(happening.attributes))
        self.async_write_ha_state()
