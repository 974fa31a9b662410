"""Base classes of the entities of a SIM and of an account, and how they are added."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, override
from weakref import WeakKeyDictionary

from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .account import IotPortalAccount
from .const import DOMAIN
from .coordinator import IotPortalSimCoordinator
from .models import SimData
from .runtime_data import IotPortalConfigEntry, IotPortalData
from .sim_devices import async_get_via_device_id


class Shown(NamedTuple):
    """All that the state of an entity is made of."""

    value: Any
    attributes: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class IotPortalSimEntityDescription[PartT](EntityDescription):
    """Describes an entity of a SIM; `part_fn` returns the part that it shows, None while it is missing."""

    part_fn: Callable[[SimData], PartT | None]
    value_fn: Callable[[PartT], Any] = lambda _: None
    attributes_fn: Callable[[PartT], dict[str, Any] | None] = lambda _: None
    left_out_in_large_fleets: bool = False
    shows_writes: bool = False

    @property
    def is_detail(self) -> bool:
        """Return whether the SIMs of a large account have the entity only if a person asks for all details."""
        return self.left_out_in_large_fleets or not self.entity_registry_enabled_default

    def is_ready(self, data: SimData) -> bool:
        """Return whether the entity of a SIM can be added: its part is there."""
        return self.part_fn(data) is not None

    def shown(self, data: SimData) -> Shown | None:
        """Return what the entity shows of a SIM, None while its part is missing."""
        part = self.part_fn(data)
        return None if part is None else Shown(self.value_fn(part), self.attributes_fn(part))


async def async_add_sim_entities[DescriptionT: IotPortalSimEntityDescription[Any]](
    entry: IotPortalConfigEntry,
    platform: Platform,
    async_add_entities: AddConfigEntryEntitiesCallback,
    create: Callable[[IotPortalSimCoordinator, DescriptionT], Entity],
    descriptions: tuple[DescriptionT, ...],
) -> None:
    """Add the entities of every SIM, each once its part has been read, in this run or an earlier one."""
    entry.runtime_data.details.update(
        (platform, description.key) for description in descriptions if description.is_detail
    )

    waiting: WeakKeyDictionary[IotPortalSimCoordinator, list[DescriptionT]] = WeakKeyDictionary()

    @callback
    def sim_added(coordinator: IotPortalSimCoordinator) -> None:
        if wanted := [each for each in descriptions if _is_wanted(coordinator, platform, each)]:
            waiting[coordinator] = wanted

    @callback
    def sim_updated(coordinator: IotPortalSimCoordinator) -> None:
        wanted = waiting.get(coordinator, ())
        if not (ready := [each for each in wanted if each.is_ready(coordinator.data)]):
            return
        if len(ready) == len(wanted):
            del waiting[coordinator]
        else:
            waiting[coordinator] = [each for each in wanted if each not in ready]
        async_add_entities(
            [create(coordinator, description) for description in ready],
            config_subentry_id=coordinator.subentry.subentry_id,
        )

    await entry.runtime_data.async_listen_to_sims(sim_added, sim_updated)


def _is_wanted(
    coordinator: IotPortalSimCoordinator,
    platform: Platform,
    description: IotPortalSimEntityDescription[Any],
) -> bool:
    """Return whether an entity is to be added: one that is registered if it is enabled, or else one that its SIM shows.

    Adding a disabled one would cost as much as adding an enabled one. Enabling it reloads its account.
    """
    registry = er.async_get(coordinator.hass)
    unique_id = _unique_id(coordinator, description.key)
    entity_id = registry.async_get_entity_id(platform, DOMAIN, unique_id)
    if entity_id is not None:
        return not registry.entities[entity_id].disabled
    return (
        coordinator.shows_details or not description.is_detail or not coordinator.account.is_large
    )


@callback
def async_remove_details(data: IotPortalData, coordinator: IotPortalSimCoordinator) -> None:
    """Remove the entities that a SIM of a large account has only if a person asks for all details."""
    registry = er.async_get(coordinator.hass)
    for platform, key in data.details:
        unique_id = _unique_id(coordinator, key)
        entity_id = registry.async_get_entity_id(platform, DOMAIN, unique_id)
        if entity_id is not None:
            registry.async_remove(entity_id)


def _unique_id(coordinator: IotPortalSimCoordinator, key: str) -> str:
    """Return the unique id of an entity of a SIM."""
    return f"{coordinator.iccid}_{key}"


def sim_device(coordinator: IotPortalSimCoordinator) -> DeviceInfo:
    """Return the device of a SIM, connected via what it is installed in or via that of its account."""
    return DeviceInfo(
        identifiers={(DOMAIN, coordinator.iccid)},
        manufacturer="IoT Portal",
        model="SIM card",
        name=coordinator.title,
        serial_number=coordinator.iccid,
        via_device_id=async_get_via_device_id(
            coordinator.hass, coordinator.config_entry.entry_id, coordinator.subentry
        ),
    )


def account_device(account: IotPortalAccount) -> DeviceInfo:
    """Return the device of an account, which set-up has created."""
    return DeviceInfo(identifiers={(DOMAIN, account.config_entry.entry_id)})


class SlicedEntity(Entity):
    """An entity of which there are thousands; Home Assistant removes those of an account one after the other."""

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Give the rest of Home Assistant a turn from time to time."""
        await super().async_will_remove_from_hass()
        entry: IotPortalConfigEntry | None = self.platform.config_entry
        if entry is not None:
            await entry.runtime_data.removal.async_pause()


class IotPortalSimEntity(CoordinatorEntity[IotPortalSimCoordinator], SlicedEntity):
    """An entity of a SIM; its state is made of `shown`, None while that could not be read."""

    _attr_has_entity_name = True
    entity_description: IotPortalSimEntityDescription[Any]
    shown: Shown | None = None

    def __init__(
        self, coordinator: IotPortalSimCoordinator, description: IotPortalSimEntityDescription[Any]
    ) -> None:
        """Initialize the entity on the device of its SIM."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_translation_key = description.key
        self._attr_unique_id = _unique_id(coordinator, description.key)
        if description.shows_writes:
            # The first SMS, for one, adds the entity that shows it.
            self._context = coordinator.context
        self._update_shown()

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the device of the SIM, which is needed once only."""
        return sim_device(self.coordinator)

    @override
    async def async_added_to_hass(self) -> None:
        """Start listening, and show what may have been read since the entity was created."""
        await super().async_added_to_hass()
        self._update_shown()

    def _update_shown(self) -> bool:
        """Read what is to be shown, and return whether it has changed."""
        before, data = self.shown, self.coordinator.data
        self.shown = self.entity_description.shown(data) if self.coordinator.is_current else None
        return self.shown != before

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write a state that has changed; what comes of a call is in its context, and nothing else."""
        if self.entity_description.shows_writes:
            self._context = self.coordinator.context
            self._context_set = None
        if self._update_shown():
            super()._handle_coordinator_update()
        if self.entity_description.shows_writes:
            self._context = None

    @override
    async def async_update(self) -> None:
        """Read the SIM for the action `update_entity`."""
        await self.coordinator.account.async_take_turn()
        await super().async_update()

    @property
    @override
    def available(self) -> bool:
        """Return whether the part of the SIM that the entity shows could be read."""
        return self.shown is not None

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """Return the attributes."""
        return self.shown.attributes if self.shown else None


class IotPortalAccountEntity(CoordinatorEntity[IotPortalAccount]):
    """An entity of an account."""

    _attr_has_entity_name = True

    def __init__(self, account: IotPortalAccount, description: EntityDescription) -> None:
        """Initialize the entity on the device of its account."""
        super().__init__(account)
        self.entity_description = description
        self._attr_translation_key = description.key
        self._attr_unique_id = f"{account.config_entry.entry_id}_{description.key}"
        self._attr_device_info = account_device(account)
