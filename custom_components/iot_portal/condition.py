"""Conditions on the SIMs that a target names."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Unpack, override

from homeassistant.const import ATTR_DEVICE_ID, CONF_OPTIONS, CONF_PLATFORM, CONF_TARGET
from homeassistant.core import CALLBACK_TYPE, HomeAssistant
from homeassistant.exceptions import ConditionErrorMessage
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.condition import (
    ATTR_BEHAVIOR,
    BEHAVIOR_ALL,
    BEHAVIOR_ANY,
    Condition,
    ConditionCheckParams,
    ConditionConfig,
)
from homeassistant.helpers.selector import NumericThresholdMode
from homeassistant.helpers.typing import ConfigType
import voluptuous as vol

from .const import CONF_ONLY_TRIGGERING_SIM, DOMAIN
from .coordinator import IotPortalSimCoordinator
from .data_threshold import CONF_THRESHOLD, DataThreshold, threshold_selector
from .models import SimData, is_one_of
from .targets import STATUSES, TARGET, TrackedTarget

CONF_STATUS: Final = "status"


class SimCondition(Condition):
    """A condition that any of its SIMs, or all of them, have to meet.

    SIMs of which the portal has not said enough are left out; without any SIM the condition is not met.
    """

    options: ClassVar[dict[Any, Any]] = {}

    @classmethod
    @override
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        """Check the target and the options."""
        options = {
            vol.Required(ATTR_BEHAVIOR, default=BEHAVIOR_ANY): vol.In([BEHAVIOR_ANY, BEHAVIOR_ALL]),
            vol.Optional(CONF_ONLY_TRIGGERING_SIM, default=False): cv.boolean,
            **cls.options,
        }
        schema = vol.Schema(
            {vol.Required(CONF_TARGET): TARGET, vol.Required(CONF_OPTIONS, default={}): options}
        )
        valid: ConfigType = schema(config)
        return valid

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Start with what was checked."""
        super().__init__(hass, config)
        self._options: Mapping[str, Any] = config.options or {}
        self._target = TrackedTarget(hass, config.target or {})

        self._stop_tracking: CALLBACK_TYPE | None = None

    @override
    async def _async_setup(self) -> None:
        """Follow what the target names."""
        self._stop_tracking = self._target.async_track()

    @override
    def _async_unload(self) -> None:
        """Stop that."""
        if self._stop_tracking is not None:
            self._stop_tracking()

    @abstractmethod
    def is_met_by(self, data: SimData) -> bool | None:
        """Return whether a SIM meets the condition, None if that is not known."""

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        """Return whether the SIMs meet the condition."""
        sims = self._target.sims
        if self._options[CONF_ONLY_TRIGGERING_SIM]:
            device_id = _triggering_device(kwargs.get("variables") or {})
            device = dr.async_get(self._hass).async_get(device_id or "")
            sims = [sim for sim in sims if device and _is_device_of(sim, device)]
        answers = [
            answer
            for sim in sims
            if sim.is_current and (answer := self.is_met_by(sim.data)) is not None
        ]
        if self._options[ATTR_BEHAVIOR] == BEHAVIOR_ALL:
            return bool(answers) and all(answers)
        return any(answers)


def _triggering_device(variables: Mapping[str, Any]) -> str | None:
    """Return the device of the SIM that has triggered the automation; raise an error where nothing can have."""
    if "trigger" not in variables:
        # The editor, which tests conditions all the time, would show that this one did not pass.
        name = f"{DOMAIN} {CONF_ONLY_TRIGGERING_SIM}"
        raise ConditionErrorMessage(name, "only an automation has a SIM that triggered it")
    trigger = variables["trigger"]
    if not isinstance(trigger, Mapping):
        return None
    is_ours = str(trigger.get(CONF_PLATFORM)).startswith(f"{DOMAIN}.")
    return trigger.get(ATTR_DEVICE_ID) if is_ours else None


def _is_device_of(sim: IotPortalSimCoordinator, device: dr.AnyDeviceEntry) -> bool:
    """Return whether a device is that of a SIM."""
    return sim.subentry.subentry_id == device.config_subentry_id


class StatusCondition(SimCondition):
    """The SIM has one of the statuses."""

    options: ClassVar = {
        vol.Required(CONF_STATUS): vol.All(STATUSES, vol.Length(min=1, msg="choose a status"))
    }

    @override
    def is_met_by(self, data: SimData) -> bool | None:
        """Return whether the status is one of those chosen."""
        return None if data.status is None else is_one_of(data.status, self._options[CONF_STATUS])


class DataSessionCondition(SimCondition):
    """A data session of the SIM is open."""

    @override
    def is_met_by(self, data: SimData) -> bool | None:
        """Return whether the session is open."""
        return None if data.session is None else data.session.is_open


class ProjectedOverageCondition(SimCondition):
    """More than the allowance is projected for the billing cycle."""

    @override
    def is_met_by(self, data: SimData) -> bool | None:
        """Return whether that is so."""
        return None if data.budget is None else data.budget.projects_overage


class DataUsedCondition(SimCondition):
    """The data use of the billing cycle meets a threshold."""

    options: ClassVar = {vol.Required(CONF_THRESHOLD): threshold_selector(NumericThresholdMode.IS)}

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Read the threshold."""
        super().__init__(hass, config)
        self._threshold = DataThreshold(hass, self._options[CONF_THRESHOLD])

    @override
    def is_met_by(self, data: SimData) -> bool | None:
        """Return whether the use meets the threshold."""
        if (used := data.data_used) is None:
            return None
        return self._threshold.is_met(used, data.budget.allowance if data.budget else None)


class StatusChangePendingCondition(SimCondition):
    """A change of the status was requested and is not there yet."""

    @override
    def is_met_by(self, data: SimData) -> bool | None:
        """Return whether a status is awaited."""
        return data.writes.awaited_status is not None


CONDITIONS: Final[dict[str, type[Condition]]] = {
    "status_is": StatusCondition,
    "data_session_is_open": DataSessionCondition,
    "overage_is_projected": ProjectedOverageCondition,
    "data_used_is": DataUsedCondition,
    "status_change_is_pending": StatusChangePendingCondition,
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions."""
    return CONDITIONS
