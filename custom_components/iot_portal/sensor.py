"""Sensors of the IoT Portal integration."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from typing import Any, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    MAX_LENGTH_STATE_STATE,
    EntityCategory,
    Platform,
    UnitOfInformation,
    UnitOfRatio,
    UnitOfTime,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from .account import AccountData
from .api import Device, Session, SimStatus, SmsStatus, Usage, one_line, sms_status
from .clock import async_track_midnight
from .const import LOGGER
from .entity import (
    IotPortalAccountEntity,
    IotPortalSimEntity,
    IotPortalSimEntityDescription,
    async_add_sim_entities,
)
from .models import Budget, ReceivedSms, SentSms, SimData, normalize_status
from .runtime_data import IotPortalConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class IotPortalSensorEntityDescription[PartT](
    IotPortalSimEntityDescription[PartT], SensorEntityDescription
):
    """Describes a sensor of a SIM."""

    value_fn: Callable[[PartT], StateType | date | datetime]
    changes_at_midnight: bool = False


@dataclass(frozen=True, kw_only=True)
class IotPortalAccountSensorEntityDescription(SensorEntityDescription):
    """Describes a sensor of an account."""

    value_fn: Callable[[AccountData], StateType]


@dataclass(frozen=True, kw_only=True)
class DataSizeDescription[PartT](IotPortalSensorEntityDescription[PartT]):
    """Describes an amount of data: bytes, shown as megabytes."""

    device_class: SensorDeviceClass = SensorDeviceClass.DATA_SIZE
    state_class: SensorStateClass = SensorStateClass.MEASUREMENT
    native_unit_of_measurement: str = UnitOfInformation.BYTES
    suggested_unit_of_measurement: str = UnitOfInformation.MEGABYTES
    suggested_display_precision: int = 1


@dataclass(frozen=True, kw_only=True)
class DetailDescription[PartT](IotPortalSensorEntityDescription[PartT]):
    """Describes a diagnostic detail."""

    entity_category: EntityCategory = EntityCategory.DIAGNOSTIC


def _sms_option(sms: SentSms) -> str | None:
    """Return a known delivery status in our spelling, any other as the portal reports it."""
    return None if sms.status is None else sms_status(sms.status) or sms.status


def _received_text(sms: ReceivedSms) -> str | None:
    """Return as much of a received SMS as a state can hold."""
    return None if sms.text is None else one_line(sms.text, MAX_LENGTH_STATE_STATE)


def _received_attributes(sms: ReceivedSms) -> dict[str, Any]:
    """Return the whole text of a received SMS, and which one it is."""
    return {"message": sms.text, "sms_id": sms.sms_id, "received_at": sms.received_at}


def _with_usage(data: SimData) -> SimData | None:
    """Return the data if it has the usage."""
    return data if data.usage is not None else None


def _cycle_attributes(budget: Budget) -> dict[str, Any]:
    """Return what tells the crossing of a limit from a correction, and one cycle from the next."""
    return {"peak": budget.peak_percent, "cycle_seen_at": budget.cycle_seen_at}


USAGE_SENSORS: tuple[IotPortalSensorEntityDescription[Any], ...] = (
    DataSizeDescription[SimData](
        key="data_usage",
        state_class=SensorStateClass.TOTAL_INCREASING,
        part_fn=_with_usage,
        value_fn=lambda data: data.data_used,
    ),
    DataSizeDescription[SimData](
        key="data_used_today",
        left_out_in_large_fleets=True,
        changes_at_midnight=True,
        state_class=SensorStateClass.TOTAL_INCREASING,
        part_fn=_with_usage,
        value_fn=lambda data: data.data_used_since(dt_util.start_of_local_day()),
    ),
    IotPortalSensorEntityDescription[SimData](
        key="sms_usage",
        left_out_in_large_fleets=True,
        state_class=SensorStateClass.TOTAL_INCREASING,
        part_fn=_with_usage,
        value_fn=lambda data: data.counters.sms,
    ),
    IotPortalSensorEntityDescription[SimData](
        key="voice_usage",
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_unit_of_measurement=UnitOfTime.MINUTES,
        suggested_display_precision=1,
        entity_registry_enabled_default=False,
        part_fn=_with_usage,
        value_fn=lambda data: data.counters.voice,
    ),
    IotPortalSensorEntityDescription[SimData](
        key="session_count",
        state_class=SensorStateClass.TOTAL_INCREASING,
        entity_registry_enabled_default=False,
        part_fn=_with_usage,
        value_fn=lambda data: data.counters.sessions,
    ),
    *(
        DetailDescription[Usage](
            key=key,
            entity_registry_enabled_default=False,
            part_fn=lambda data: data.usage,
            value_fn=attrgetter(key),
        )
        for key in ("imei", "imsi", "msisdn")
    ),
)
BUDGET_SENSORS = (
    IotPortalSensorEntityDescription[SimData](
        key="next_billing_date",
        left_out_in_large_fleets=True,
        changes_at_midnight=True,
        device_class=SensorDeviceClass.DATE,
        part_fn=lambda data: data if data.is_known else None,
        value_fn=lambda data: data.settings.cycle_around(dt_util.now()).end.date(),
    ),
    DataSizeDescription[int](
        key="projected_usage",
        entity_registry_enabled_default=False,
        part_fn=lambda data: data.projected_usage,
        value_fn=lambda usage: usage,
    ),
    DataSizeDescription[Budget](
        key="data_remaining",
        left_out_in_large_fleets=True,
        part_fn=lambda data: data.budget,
        value_fn=lambda budget: budget.remaining,
    ),
    IotPortalSensorEntityDescription[Budget](
        key="allowance_used",
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        suggested_display_precision=0,
        part_fn=lambda data: data.budget,
        value_fn=lambda budget: budget.used_percent,
        attributes_fn=_cycle_attributes,
    ),
)
SESSION_SENSORS = (
    DetailDescription[Session](
        key="last_ip",
        part_fn=lambda data: data.session,
        value_fn=lambda session: session.ip_address,
    ),
    DetailDescription[Session](
        key="session_started",
        left_out_in_large_fleets=True,
        device_class=SensorDeviceClass.TIMESTAMP,
        part_fn=lambda data: data.session,
        value_fn=lambda session: session.started,
    ),
    DetailDescription[Session](
        key="session_ended",
        left_out_in_large_fleets=True,
        device_class=SensorDeviceClass.TIMESTAMP,
        part_fn=lambda data: data.session,
        value_fn=lambda session: session.ended,
    ),
)
DEVICE_SENSORS = (
    DetailDescription[Device](
        key="rate_plan",
        left_out_in_large_fleets=True,
        part_fn=lambda data: data.device,
        value_fn=lambda device: device.rate_plan,
    ),
    DetailDescription[Device](
        key="date_activated",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_registry_enabled_default=False,
        part_fn=lambda data: data.device,
        value_fn=lambda device: device.date_activated,
    ),
    *(
        DetailDescription[Device](
            key=key,
            entity_registry_enabled_default=False,
            part_fn=lambda data: data.device,
            value_fn=attrgetter(key),
        )
        for key in ("communication_plan", "customer", "fixed_ip")
    ),
)
SENSORS: tuple[IotPortalSensorEntityDescription[Any], ...] = (
    IotPortalSensorEntityDescription[str](
        key="status",
        shows_writes=True,
        device_class=SensorDeviceClass.ENUM,
        options=[status.lower() for status in SimStatus],
        part_fn=lambda data: data.status,
        value_fn=normalize_status,
    ),
    *USAGE_SENSORS,
    *BUDGET_SENSORS,
    *SESSION_SENSORS,
    *DEVICE_SENSORS,
    DetailDescription[SentSms](
        key="last_sent_sms",
        shows_writes=True,
        device_class=SensorDeviceClass.ENUM,
        options=list(SmsStatus),
        entity_registry_enabled_default=False,
        part_fn=lambda data: data.writes.last_sent_sms,
        value_fn=_sms_option,
    ),
    IotPortalSensorEntityDescription[ReceivedSms](
        key="last_received_sms",
        entity_registry_enabled_default=False,
        part_fn=lambda data: data.writes.last_received_sms,
        value_fn=_received_text,
        attributes_fn=_received_attributes,
    ),
)
ACCOUNT_SENSORS = (
    IotPortalAccountSensorEntityDescription(
        key="sims",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda data: data.sims,
    ),
    IotPortalAccountSensorEntityDescription(
        key="sims_active",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda data: data.sims_active,
    ),
    # Each SIM has its own billing cycle, so the sum falls several times a month: it is no total.
    IotPortalAccountSensorEntityDescription(
        key="data_usage_total",
        device_class=SensorDeviceClass.DATA_SIZE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.GIGABYTES,
        suggested_display_precision=2,
        value_fn=lambda data: data.data_used,
    ),
    IotPortalAccountSensorEntityDescription(
        key="requests_per_hour",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda data: data.requests_per_hour,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: IotPortalConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the sensors."""
    await async_add_sim_entities(
        entry, Platform.SENSOR, async_add_entities, IotPortalSensor, SENSORS
    )
    account = entry.runtime_data.account
    async_add_entities(
        IotPortalAccountSensor(account, description) for description in ACCOUNT_SENSORS
    )


class IotPortalSensor(IotPortalSimEntity, SensorEntity):
    """A sensor of a SIM."""

    # It would be a set of attributes of its own for almost every state.
    _unrecorded_attributes = frozenset({"peak"})
    entity_description: IotPortalSensorEntityDescription[Any]

    @override
    async def async_added_to_hass(self) -> None:
        """Start listening, and count the days if the state depends on them."""
        await super().async_added_to_hass()
        if self.entity_description.changes_at_midnight:
            self.async_on_remove(async_track_midnight(self.hass, self._handle_coordinator_update))

    @property
    @override
    def native_value(self) -> StateType | date | datetime:
        """Return the value."""
        value: StateType | date | datetime = self.shown.value if self.shown else None
        return value

    @override
    def _update_shown(self) -> bool:
        """Read what is to be shown; other networks have statuses of their own, which become options."""
        if not super()._update_shown():
            return False
        value, options = self.native_value, self.options
        if value is not None and options is not None and value not in options:
            LOGGER.info("%s reports a status that is not known: %s", self.coordinator.title, value)
            self._attr_options = [*options, str(value)]
        return True


class IotPortalAccountSensor(IotPortalAccountEntity, SensorEntity):
    """A sensor of an account."""

    entity_description: IotPortalAccountSensorEntityDescription

    @property
    @override
    def native_value(self) -> StateType:
        """Return the value."""
        return self.entity_description.value_fn(self.coordinator.data)
