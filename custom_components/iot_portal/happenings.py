"""What can happen to SIMs and accounts, and the way from where it is noticed to the event entities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from homeassistant.core import CALLBACK_TYPE, callback

type HappeningCallback = Callable[[Happening], None]


class Lifecycle(StrEnum):
    """Events of a SIM's life."""

    STATUS_CHANGED = "status_changed"
    STATUS_CHANGE_CONFIRMED = "status_change_confirmed"
    STATUS_CHANGE_SUPERSEDED = "status_change_superseded"
    STATUS_CHANGE_TIMED_OUT = "status_change_timed_out"
    SESSION_STARTED = "session_started"
    SESSION_ENDED = "session_ended"
    IMEI_CHANGED = "imei_changed"
    CYCLE_RESET = "cycle_reset"


class SmsProgress(StrEnum):
    """Events of the SMS to and from a SIM."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    RECEIVED = "received"


class BulkEditEnd(StrEnum):
    """How a bulk edit can end."""

    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """Something that happened: one of the events above, and what is known of it."""

    event: Lifecycle | SmsProgress | BulkEditEnd
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Happenings:
    """Tells those who listen what happens to one SIM, or to one account.

    Whoever hears of something may look at the entities at once, so it is held back until they show it.
    """

    def __init__(self) -> None:
        """Start without listeners."""
        self._listeners: list[HappeningCallback] = []
        self._held: list[Happening] | None = None

    @callback
    def async_listen(self, listener: HappeningCallback) -> CALLBACK_TYPE:
        """Tell the listener of everything that happens from now on; return how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def async_tell(self, happening: Happening) -> None:
        """Tell everybody what happened, or keep it until it may be told."""
        if self._held is not None:
            self._held.append(happening)
            return
        for listener in self._listeners:
            listener(happening)

    @callback
    def async_hold(self) -> None:
        """Keep what happens from now on."""
        self.async_release()
        self._held = []

    @callback
    def async_release(self) -> None:
        """Tell what was kept."""
        held, self._held = self._held, None
        for happening in held or ():
            self.async_tell(happening)
