"""The way of an event from where it is noticed to the event entities and the triggers."""

from collections.abc import Callable
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, CoreState, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.start import async_at_started
from homeassistant.util.signal_type import SignalType

from .const import DOMAIN
from .models import SimEvent

type EventListener = Callable[[SimEvent], None]

# An event of any account, by its entry: it may not be set up, because the portal is unreachable.
ACCOUNT_EVENT: Final = SignalType[ConfigEntry, SimEvent](f"{DOMAIN}_account_event")


@callback
def async_call_when_heard[*Ts](
    hass: HomeAssistant, publish: Callable[[*Ts], object], *args: *Ts
) -> None:
    """Publish something once automations can hear it, and see at the entities what it is about.

    The entities show the data when the current callback returns. Automations listen once Home Assistant has started,
    and the first poll may be sooner.
    """

    @callback
    def publish_soon(_: HomeAssistant) -> None:
        """Publish when the current callback returns."""
        hass.loop.call_soon(publish, *args)

    if hass.state is CoreState.running:
        publish_soon(hass)
    else:
        async_at_started(hass, publish_soon)


class EventFeed[OwnerT]:
    """Passes the events of one SIM, or of one account, to its listeners, and to those of a signal for all of them."""

    def __init__(
        self, hass: HomeAssistant, owner: OwnerT, signal: SignalType[OwnerT, SimEvent]
    ) -> None:
        """Start without listeners."""
        self._hass = hass
        self._owner = owner
        self._signal = signal
        self._listeners: list[EventListener] = []

    @callback
    def async_listen(self, listener: EventListener) -> CALLBACK_TYPE:
        """Call the listener for every event from now on; return how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def async_publish(self, event: SimEvent) -> None:
        """Publish an event."""
        async_call_when_heard(self._hass, self._async_dispatch, event)

    @callback
    def _async_dispatch(self, event: SimEvent) -> None:
        """Call every listener."""
        for listener in self._listeners:
            listener(event)
        async_dispatcher_send(self._hass, self._signal, self._owner, event)
