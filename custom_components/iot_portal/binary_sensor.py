"""Binary sensors of the IoT Portal integration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .account import AccountData
from .api import Session
from .entity import (
    IotPortalAccountEntity,
    IotPortalSimEntity,
    IotPortalSimEntityDescription,
    async_add_sim_entities,
)
from .models import Budget, PendingWrites, normalize_status
from .runtime_data import IotPortalConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class IotPortalBinarySensorEntityDescription[PartT](
    IotPortalSimEntityDescription[PartT], BinarySensorEntityDescription
):
    """Describes a binary sensor of a SIM."""

    value_fn: Callable[[PartT], bool | None]


@dataclass(frozen=True, kw_only=True)
class IotPortalAccountBinarySensorEntityDescription(BinarySensorEntityDescription):
    """Describes a binary sensor of an account."""

    is_on_fn: Callable[[AccountData], bool]
    attributes_fn: Callable[[AccountData], dict[str, Any]]


def _requested_status(writes: PendingWrites) -> dict[str, Any] | None:
    """Return the status that was requested, while it is awaited."""
    if (request := writes.awaited_status) is None:
        return None
    return {
        "requested_status": normalize_status(request.status),
        "requested_at": request.requested_at,
    }


def _pause(data: AccountData) -> dict[str, Any]:
    """Return until when and why nothing is sent, without values while there is no pause."""
    return {
        "paused_until": data.pause.until if data.pause else None,
        "pause_reason": data.pause.reason if data.pause else None,
    }


BINARY_SENSORS = (
    IotPortalBinarySensorEntityDescription[Session](
        key="data_session",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        part_fn=lambda data: data.session,
        value_fn=lambda session: session.is_open,
    ),
    IotPortalBinarySensorEntityDescription[Budget](
        key="projected_overage",
        device_class=BinarySensorDeviceClass.PROBLEM,
        part_fn=lambda data: data.budget,
        value_fn=lambda budget: budget.projects_overage,
    ),
    IotPortalBinarySensorEntityDescription[PendingWrites](
        key="change_pending",
        entity_category=EntityCategory.DIAGNOSTIC,
        shows_writes=True,
        left_out_in_large_fleets=True,
        part_fn=lambda data: data.writes if data.is_known else None,
        value_fn=lambda writes: writes.awaited_status is not None,
        attributes_fn=_requested_status,
    ),
)
ACCOUNT_BINARY_SENSORS = (
    IotPortalAccountBinarySensorEntityDescription(
        key="portal",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda data: data.is_connected,
        attributes_fn=_pause,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the binary sensors."""
    await async_add_sim_entities(
        entry, Platform.BINARY_SENSOR, async_add_entities, IotPortalBinarySensor, BINARY_SENSORS
    )
    account = entry.runtime_data.account
    async_add_entities(
        IotPortalAccountBinarySensor(account, description) for description in ACCOUNT_BINARY_SENSORS
    )


class IotPortalBinarySensor(IotPortalSimEntity, BinarySensorEntity):
    """A binary sensor of a SIM."""

    entity_description: IotPortalBinarySensorEntityDescription[Any]

    @property
    @override
    def is_on(self) -> bool | None:
        """Return the state."""
        is_on: bool | None = self.shown.value if self.shown else None
        return is_on


class IotPortalAccountBinarySensor(IotPortalAccountEntity, BinarySensorEntity):
    """A binary sensor of an account."""

    entity_description: IotPortalAccountBinarySensorEntityDescription

    @property
    @override
    def is_on(self) -> bool:
        """Return the state."""
        return self.entity_description.is_on_fn(self.coordinator.data)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """Return the attributes."""
        return self.entity_description.attributes_fn(self.coordinator.data)
