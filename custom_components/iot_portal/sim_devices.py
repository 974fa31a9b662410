"""Home Assistant's devices of the SIMs of an account: their names, and what they are connected via."""

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.event import async_track_device_registry_updated_event

from .const import CONF_ICCID, CONF_INSTALLED_IN, DOMAIN, SUBENTRY_TYPE_SIM


@callback
def async_get_suitable_device(hass: HomeAssistant, device_id: str) -> dr.DeviceEntry | None:
    """Return the device that a SIM inside a device can be connected via, None if there is none.

    Home Assistant connects nothing via a part of a device, so that is the whole; and a device that is itself connected
    via a SIM could close a circle, which Home Assistant does not prevent.
    """
    devices = dr.async_get(hass)
    device = devices.async_get(device_id, include_composite_devices=False)
    if isinstance(device, dr.ChildDeviceEntry):
        device = devices.async_get(device.parent_device_id, include_child_devices=False)
    if not isinstance(device, dr.DeviceEntry) or _leads_to_portal(hass, device):
        return None
    return device


def _leads_to_portal(hass: HomeAssistant, device: dr.DeviceEntry) -> bool:
    """Return whether a device, or one that it is connected via, is a SIM or an account."""
    accounts = {entry.entry_id for entry in hass.config_entries.async_entries(DOMAIN)}
    devices = dr.async_get(hass)
    passed: set[str] = set()
    each: dr.DeviceEntry | None = device
    while each is not None and each.id not in passed:
        if each.config_entry_id in accounts:
            return True
        passed.add(each.id)
        each = devices.async_get(each.via_device_id or "", include_child_devices=False)
    return False


@callback
def async_get_via_device_id(hass: HomeAssistant, entry_id: str, subentry: ConfigSubentry) -> str:
    """Return the device that a SIM is connected via: what it is installed in, or else its account."""
    installed_in = subentry.data.get(CONF_INSTALLED_IN)
    if installed_in and (device := async_get_suitable_device(hass, installed_in)) is not None:
        return device.id
    return dr.async_get_device_id_by_identifier(hass, (DOMAIN, entry_id), config_entry_id=entry_id)


class SimDevices:
    """Keeps the devices of an account's SIMs as the subentries say, also when other devices come and go."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Start without looking."""
        self._hass = hass
        self._entry = entry
        self._stop_tracking: CALLBACK_TYPE | None = None

    @callback
    def async_follow(self) -> None:
        """Follow the devices that SIMs are installed in now."""
        self.async_stop()
        sims = self._entry.get_subentries_of_type(SUBENTRY_TYPE_SIM)
        named = {sim.data[CONF_INSTALLED_IN] for sim in sims if CONF_INSTALLED_IN in sim.data}
        self._stop_tracking = async_track_device_registry_updated_event(
            self._hass, named, self._async_device_changed
        )

    @callback
    def async_stop(self) -> None:
        """Follow devices no longer."""
        if self._stop_tracking is not None:
            self._stop_tracking()
            self._stop_tracking = None

    @callback
    def _async_device_changed(self, event: Event[dr.EventDeviceRegistryUpdatedData]) -> None:
        """Connect the SIMs that are installed in a device anew; it may have been removed, or be back."""
        for sim in self._entry.get_subentries_of_type(SUBENTRY_TYPE_SIM):
            if sim.data.get(CONF_INSTALLED_IN) == event.data["device_id"]:
                self.async_update(sim)

    @callback
    def async_update(self, sim: ConfigSubentry) -> None:
        """Apply the name and the settings of a SIM to its device; the entities of a new SIM create it."""
        devices = dr.async_get(self._hass)
        entry_id = self._entry.entry_id
        device = devices.async_get_device_by_identifier((DOMAIN, sim.data[CONF_ICCID]), entry_id)
        if device is not None:
            devices.async_update_device(
                device.id,
                name=sim.title,
                via_device_id=async_get_via_device_id(self._hass, entry_id, sim),
            )
