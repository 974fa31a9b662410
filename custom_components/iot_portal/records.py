"""How records that are kept on the disk are read: what does not fit is refused, what is too much is left out."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
import voluptuous as vol

# What Home Assistant's store raises for a file of a newer version, for one that cannot be opened, and for
# JSON that is no file of a store; and what readers of its content do.
UNREADABLE: Final = (
    HomeAssistantError,
    vol.Invalid,
    ArithmeticError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)

INSTANT: Final = vol.All(cv.datetime, dt_util.as_utc)


def record(kind: type[Any], fields: Mapping[Any, Any]) -> vol.Schema:
    """Return what reads a record; a newer version may have added to it, an older one lacks what is optional."""
    kept = vol.Schema(
        {
            name if isinstance(name, vol.Optional) else vol.Required(name): value
            for name, value in fields.items()
        },
        extra=vol.REMOVE_EXTRA,
    )
    return vol.Schema(vol.All(kept, lambda values: kind(**values)))
