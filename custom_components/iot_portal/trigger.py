"""Triggers for SIMs and accounts: each fires for everything that its target names, now and later."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_FOR, CONF_OPTIONS, CONF_TARGET
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.selector import NumericThresholdMode
from homeassistant.helpers.trigger import (
    Trigger,
    TriggerActionRunner,
    TriggerConfig,
    TriggerNotTriggeredReporter,
)
from homeassistant.helpers.typing import ConfigType
import voluptuous as vol

from .api import SHOWN_DIGITS
from .const import DOMAIN, MEGABYTE
from .data_threshold import CONF_THRESHOLD, DataThreshold, threshold_selector
from .event_feed import ACCOUNT_EVENT
from .follow_up import SIM_EVENT, SIM_READ, TrackedSim
from .models import (
    AccountEventType,
    BulkEditEventType,
    History,
    SimData,
    SimEvent,
    SimEventType,
    SmsEventType,
    is_one_of,
    normalize_status,
)
from .targets import STATUSES, TARGET, TrackedTarget, device_of
from .triggering_sim import triggered_by

CONF_FROM: Final = "from"
CONF_OUTCOME: Final = "outcome"
CONF_TEXT: Final = "text"
CONF_TO: Final = "to"

type Options = Mapping[str, Any]
type Variables = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EventDescription:
    """Describes a trigger that fires for events.

    `events` has the types, each with its outcome if there are several; `variables_fn` makes an automation's variables of
    the attributes, and `matches_fn` checks them against the options.
    """

    says: str
    events: Mapping[Any, str | None]
    options: Mapping[Any, Any] = field(default_factory=dict)
    variables_fn: Callable[[Variables], Variables] = lambda attributes: attributes
    matches_fn: Callable[[Options, Variables], bool] = lambda _options, _variables: True

    @property
    def outcomes(self) -> list[str]:
        """Return the outcomes that can be chosen."""
        return [outcome for outcome in self.events.values() if outcome is not None]

    @property
    def schema(self) -> dict[Any, Any]:
        """Return the options."""
        outcomes = self.outcomes
        if not outcomes:
            return dict(self.options)
        chosen = vol.All(cv.ensure_list, [vol.In(outcomes)])
        return {**self.options, vol.Optional(CONF_OUTCOME, default=outcomes): chosen}

    def variables(self, event: SimEvent, options: Options) -> Variables | None:
        """Return the variables for an event, None for one that the trigger does not fire for."""
        if event.event_type not in self.events:
            return None
        variables = self.variables_fn(dict(event.attributes))
        if (outcome := self.events[event.event_type]) is not None:
            if outcome not in (options[CONF_OUTCOME] or self.outcomes):
                return None
            variables = {"outcome": outcome, **variables}
        return variables if self.matches_fn(options, variables) else None


class TargetTrigger(Trigger):
    """A trigger with a target, and options of its own."""

    options: ClassVar[dict[Any, Any]] = {}

    @classmethod
    @override
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        """Check the target and the options."""
        schema = vol.Schema(
            {
                vol.Required(CONF_TARGET): TARGET,
                vol.Optional(CONF_OPTIONS, default={}): cls.options,
            }
        )
        valid: ConfigType = schema(config)
        return valid

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Start without listening."""
        super().__init__(hass, config)
        self._options: Options = config.options or {}
        self._target = TrackedTarget(hass, config.target or {})

    @override
    async def async_attach_runner(
        self,
        run_action: TriggerActionRunner,
        did_not_trigger: TriggerNotTriggeredReporter | None = None,
    ) -> CALLBACK_TYPE:
        """Listen until the automation is turned off."""
        self._run_action = run_action
        unsubscribe = [self._target.async_track(), self._async_listen()]

        @callback
        def detach() -> None:
            for each in unsubscribe:
                each()

        return detach

    @abstractmethod
    def _async_listen(self) -> CALLBACK_TYPE:
        """Listen to what may fire the trigger; return how to stop that."""

    @callback
    def _async_fire_for_sim(
        self, sim: TrackedSim, says: str, variables: Variables, context: Context | None = None
    ) -> None:
        """Run the automation for a SIM."""
        context = context or Context()
        pending = sim.data.writes.awaited_status
        known = {
            "device_id": device_of(self._hass, sim.config_entry, sim.iccid),
            "sim_name": sim.title,
            "iccid_last_digits": sim.iccid[-SHOWN_DIGITS:],
            "pending_status": normalize_status(pending.status) if pending else None,
        }
        with triggered_by(sim, context):
            self._run_action({**variables, **known}, says.format(sim.title), context)


class SimEventTrigger(TargetTrigger):
    """Fires for events of SIMs."""

    description: ClassVar[EventDescription]

    @override
    def _async_listen(self) -> CALLBACK_TYPE:
        """Listen to the events of all SIMs."""
        return async_dispatcher_connect(self._hass, SIM_EVENT, self._async_handle)

    @callback
    def _async_handle(self, sim: TrackedSim, event: SimEvent) -> None:
        """Fire for an event of a SIM in the target."""
        variables = self.description.variables(event, self._options)
        if variables is not None and self._target.now.has_sim(sim):
            self._async_fire_for_sim(sim, self.description.says, variables, event.context)


class AccountEventTrigger(TargetTrigger):
    """Fires for events of accounts; a SIM in the target stands for its account."""

    description: ClassVar[EventDescription]

    @override
    def _async_listen(self) -> CALLBACK_TYPE:
        """Listen to the events of all accounts."""
        return async_dispatcher_connect(self._hass, ACCOUNT_EVENT, self._async_handle)

    @callback
    def _async_handle(self, entry: ConfigEntry, event: SimEvent) -> None:
        """Fire for an event of an account in the target."""
        variables = self.description.variables(event, self._options)
        if variables is None or entry.entry_id not in self._target.now.accounts:
            return
        known = {
            "device_id": device_of(self._hass, entry, entry.entry_id),
            "account": entry.title,
        }
        says = self.description.says.format(entry.title)
        self._run_action({**variables, **known}, says, event.context)


class ReadingTrigger(TargetTrigger):
    """Fires for what a poll has read of a SIM, compared with what was known before."""

    says: ClassVar[str]
    _is_attached = False

    @override
    def _async_listen(self) -> CALLBACK_TYPE:
        """Listen to the polls of all SIMs."""
        self._is_attached = True
        stop = async_dispatcher_connect(self._hass, SIM_READ, self._async_handle)

        @callback
        def detach() -> None:
            self._is_attached = False
            stop()

        return detach

    @abstractmethod
    def _variables(self, before: History, data: SimData) -> Variables | None:
        """Return the variables for a reading, None for one that the trigger does not fire for."""

    @callback
    def _async_handle(self, sim: TrackedSim, before: History, data: SimData) -> None:
        """Fire for a reading of a SIM in the target."""
        variables = self._variables(before, data)
        if variables is not None and self._target.now.has_sim(sim):
            sim.config_entry.async_create_task(
                self._hass, self._async_tell(sim, variables), f"{DOMAIN} trigger for {sim.title}"
            )

    async def _async_tell(self, sim: TrackedSim, variables: Variables) -> None:
        """Fire once it is on the disk that it was told: a crash in between loses it, but nothing is told twice."""
        await sim.async_record_told()
        if self._is_attached:
            self._async_fire_for_sim(sim, self.says, variables)


class DataUsedTrigger(ReadingTrigger):
    """Fires when the data use of the billing cycle crosses a threshold."""

    says = "data use of {}"
    options: ClassVar = {
        vol.Required(CONF_THRESHOLD): threshold_selector(NumericThresholdMode.CROSSED)
    }

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Read the threshold."""
        super().__init__(hass, config)
        self._threshold = DataThreshold(hass, self._options[CONF_THRESHOLD])

    @override
    def _variables(self, before: History, data: SimData) -> Variables | None:
        """Return the use, if it has crossed the threshold."""
        old, new = before.use, data.history.use
        if old is None or new is None or not self._threshold.is_crossed(old, new):
            return None
        return use_variables(data)


class ProjectedOverageTrigger(ReadingTrigger):
    """Fires when more than the allowance is projected, once in a billing cycle."""

    says = "projected overage of {}"

    @override
    def _variables(self, before: History, data: SimData) -> Variables | None:
        """Return the use, if it has begun to exceed the pace."""
        old, new = before.use, data.history.use
        if old is None or new is None or not new.was_overage_projected:
            return None
        return None if old.was_overage_projected and new.continues(old) else use_variables(data)


class NoDataSessionTrigger(ReadingTrigger):
    """Fires when the last data session has ended a while ago and none has started since."""

    says = "no data session of {}"
    options: ClassVar = {vol.Required(CONF_FOR): cv.positive_time_period}

    @override
    def _variables(self, before: History, data: SimData) -> Variables | None:
        """Return when the last session ended, if the time is up since the last reading."""
        session, now = data.session, data.history.session_checked_at
        checked_at = before.session_checked_at
        if session is None or session.is_open or session.ended is None:
            return None
        if now is None or checked_at is None:
            return None
        duration: timedelta = self._options[CONF_FOR]
        # Not the time at which it is up: that of a very long duration cannot be computed.
        if not checked_at - session.ended < duration <= now - session.ended:
            return None
        return {
            "session_ended": session.ended,
            "hours": round((now - session.ended) / timedelta(hours=1), 1),
        }


def use_variables(data: SimData) -> Variables:
    """Return the numbers of the data use that an automation may want to show."""
    budget = data.budget
    return {
        "used_percent": round(budget.used_percent, 1) if budget else None,
        "used_mb": _megabytes(data.data_used),
        "allowance_mb": _megabytes(budget.allowance) if budget else None,
        "projected_mb": _megabytes(data.projected_usage),
    }


def _megabytes(count: int | None) -> float | None:
    """Return bytes in megabytes, with one decimal."""
    return None if count is None else round(count / MEGABYTE, 1)


def _renamed(**names: str) -> Callable[[Variables], Variables]:
    """Return what gives attributes of an event other names."""
    return lambda attributes: {names.get(name, name): value for name, value in attributes.items()}


def _is_chosen_change(options: Options, variables: Variables) -> bool:
    """Return whether a change is between statuses that were chosen, and is one at all."""
    old, new = str(variables[CONF_FROM]), str(variables[CONF_TO])
    return (
        not is_one_of(old, [new])
        and (not options[CONF_FROM] or is_one_of(old, options[CONF_FROM]))
        and (not options[CONF_TO] or is_one_of(new, options[CONF_TO]))
    )


def _has_text(options: Options, variables: Variables) -> bool:
    """Return whether an SMS has the text that was given, in capitals or not."""
    return options[CONF_TEXT].casefold() in str(variables["text"] or "").casefold()


def _with_megabytes(attributes: Variables) -> Variables:
    """Return the counters of a cycle with its data in megabytes."""
    return {**attributes, "used_mb": _megabytes(attributes["data_usage"])}


SIM_EVENT_TRIGGERS: Final = {
    "status_changed": EventDescription(
        says="status of {}",
        events={SimEventType.STATUS_CHANGED: None, SimEventType.STATUS_CHANGE_CONFIRMED: None},
        options={
            vol.Optional(CONF_FROM, default=[]): STATUSES,
            vol.Optional(CONF_TO, default=[]): STATUSES,
        },
        matches_fn=_is_chosen_change,
    ),
    "status_change_ended": EventDescription(
        says="status change of {}",
        events={
            SimEventType.STATUS_CHANGE_CONFIRMED: "confirmed",
            SimEventType.STATUS_CHANGE_TIMED_OUT: "timed_out",
            SimEventType.STATUS_CHANGE_REPLACED: "replaced",
        },
    ),
    "sms_received": EventDescription(
        says="SMS from {}",
        events={SmsEventType.SMS_RECEIVED: None},
        options={vol.Optional(CONF_TEXT, default=""): cv.string},
        variables_fn=_renamed(message="text"),
        matches_fn=_has_text,
    ),
    "sms_ended": EventDescription(
        says="SMS to {}",
        events={
            SmsEventType.SMS_DELIVERED: "delivered",
            SmsEventType.SMS_FAILED: "failed",
            SmsEventType.SMS_UNCONFIRMED: "unconfirmed",
        },
    ),
    "data_session_started": EventDescription(
        says="data session of {}", events={SimEventType.DATA_SESSION_STARTED: None}
    ),
    "data_session_ended": EventDescription(
        says="data session of {}", events={SimEventType.DATA_SESSION_ENDED: None}
    ),
    "moved_to_another_device": EventDescription(
        says="device of {}", events={SimEventType.MOVED_TO_ANOTHER_DEVICE: None}
    ),
    "billing_cycle_ended": EventDescription(
        says="billing cycle of {}",
        events={SimEventType.BILLING_CYCLE_ENDED: None},
        variables_fn=_with_megabytes,
    ),
    "gone": EventDescription(says="{}, which is gone", events={SimEventType.GONE: None}),
}
ACCOUNT_EVENT_TRIGGERS: Final = {
    "portal_unreachable": EventDescription(
        says="portal of {}", events={AccountEventType.PORTAL_UNREACHABLE: None}
    ),
    "portal_back": EventDescription(
        says="portal of {}", events={AccountEventType.PORTAL_BACK: None}
    ),
    "bulk_edit_ended": EventDescription(
        says="bulk edit of {}",
        events={
            BulkEditEventType.FINISHED: "finished",
            BulkEditEventType.FAILED: "failed",
            BulkEditEventType.TIMED_OUT: "timed_out",
        },
    ),
}


def _for_events(base: type[Trigger], description: EventDescription) -> type[Trigger]:
    """Return the trigger for the events of a description."""
    return type(base.__name__, (base,), {"description": description, "options": description.schema})


TRIGGERS: Final[dict[str, type[Trigger]]] = {
    **{name: _for_events(SimEventTrigger, each) for name, each in SIM_EVENT_TRIGGERS.items()},
    "data_used_crossed_threshold": DataUsedTrigger,
    "projected_overage": ProjectedOverageTrigger,
    "no_data_session": NoDataSessionTrigger,
    **{
        name: _for_events(AccountEventTrigger, each)
        for name, each in ACCOUNT_EVENT_TRIGGERS.items()
    },
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers."""
    return TRIGGERS
