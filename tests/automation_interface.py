"""What the integration uses of Home Assistant's interface for triggers, conditions and targets, and offers by it."""

from typing import Any

from custom_components.iot_portal.const import DOMAIN

# What the integration uses, beside what has long been stable.
USES = {
    "homeassistant.helpers.trigger": {
        "Trigger",
        "TriggerActionRunner",
        "TriggerConfig",
        "TriggerNotTriggeredReporter",
    },
    "homeassistant.helpers.condition": {
        "ATTR_BEHAVIOR",
        "BEHAVIOR_ALL",
        "BEHAVIOR_ANY",
        "Condition",
        "ConditionCheckParams",
        "ConditionConfig",
    },
    "homeassistant.helpers.automation": {"ThresholdConfig"},
    "homeassistant.helpers.target": {
        "SelectedEntities",
        "TargetSelection",
        "async_extract_referenced_entity_ids",
    },
}
# An account itself can have its triggers and conditions, but no SMS.
SIM_ACTIONS = {
    *("bulk_edit_devices", "edit_device", "get_sim", "get_sms", "list_sms"),
    *("request_status_change", "send_sms", "set_sim_settings"),
}


def ours(names: Any) -> set[str]:
    """Return the names of this integration, without its domain."""
    return {name.removeprefix(f"{DOMAIN}.") for name in names if str(name).startswith(f"{DOMAIN}.")}
