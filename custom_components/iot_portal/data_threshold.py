"""A threshold of data use: in per cent of the allowance, or in a unit of data."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.const import EntityStateAttribute, UnitOfInformation, UnitOfRatio
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.automation import ThresholdConfig
from homeassistant.helpers.selector import (
    NumberSelectorConfig,
    NumberSelectorMode,
    NumericThresholdMode,
    NumericThresholdSelector,
    NumericThresholdSelectorConfig,
    NumericThresholdType,
)
from homeassistant.util.unit_conversion import InformationConverter

from .models import KnownUse

CONF_THRESHOLD: Final = "threshold"
UNITS: Final[list[str | None]] = [
    UnitOfRatio.PERCENTAGE,
    UnitOfInformation.KILOBYTES,
    UnitOfInformation.MEGABYTES,
    UnitOfInformation.GIGABYTES,
    UnitOfInformation.TERABYTES,
    UnitOfInformation.KIBIBYTES,
    UnitOfInformation.MEBIBYTES,
    UnitOfInformation.GIBIBYTES,
]


def threshold_selector(mode: NumericThresholdMode) -> NumericThresholdSelector:
    """Return what checks the threshold of a trigger or a condition."""
    return NumericThresholdSelector(
        NumericThresholdSelectorConfig(
            mode=mode,
            unit_of_measurement=UNITS,
            number=NumberSelectorConfig(min=0, mode=NumberSelectorMode.BOX),
        )
    )


class DataThreshold:
    """A threshold as the user gave it; a limit can also be the state of an entity."""

    def __init__(self, hass: HomeAssistant, config: Mapping[str, Any]) -> None:
        """Read what the selector has checked."""
        self._hass = hass
        self._type = NumericThresholdType(config["type"])
        limits = (
            ThresholdConfig.from_config(config.get(name))
            for name in ("value", "value_min", "value_max")
        )
        self._limits = [limit for limit in limits if limit is not None]

    def is_met(self, used: int, allowance: int | None) -> bool | None:
        """Return whether a use in bytes meets the threshold, None if a limit is not known."""
        limits = [
            limit for each in self._limits if (limit := self._in_bytes(each, allowance)) is not None
        ]
        if len(limits) < len(self._limits):
            return None
        match self._type:
            case NumericThresholdType.ABOVE:
                # A carrier may stop at exactly the allowance.
                return used >= limits[0]
            case NumericThresholdType.BELOW:
                return used < limits[0]
        is_between = limits[0] <= used <= limits[1]
        return is_between is (self._type is NumericThresholdType.BETWEEN)

    def is_crossed(self, before: KnownUse, after: KnownUse) -> bool:
        """Return whether the use meets the threshold and did not before.

        What the portal corrects and counts again has been reached before; a new cycle begins at nothing.
        """
        used = before.used
        if self._type is NumericThresholdType.ABOVE:
            used = 0 if after.is_of_later_cycle(before) else before.peak
        return (
            self.is_met(after.used, after.allowance) is True
            and self.is_met(used, before.allowance or after.allowance) is False
        )

    def _in_bytes(self, limit: ThresholdConfig, allowance: int | None) -> float | None:
        """Return a limit in bytes, None without an allowance for its per cent or a number of its entity."""
        if limit.entity is None:
            number, unit = limit.number, limit.unit
        elif (state := self._hass.states.get(limit.entity)) is None:
            return None
        else:
            number = _number(state.state)
            unit = state.attributes.get(EntityStateAttribute.UNIT_OF_MEASUREMENT)
        if number is None:
            return None
        # A helper may have no unit.
        if unit in (None, UnitOfRatio.PERCENTAGE):
            return None if not allowance else number * allowance / 100
        try:
            return InformationConverter.convert(number, str(unit), UnitOfInformation.BYTES)
        except HomeAssistantError:
            return None


def _number(text: str) -> float | None:
    """Return the number that a state is, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None
