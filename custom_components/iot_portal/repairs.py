"""Repair flows of the IoT Portal integration."""

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow, RepairsFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import voluptuous as vol

from .issues import Issue


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow that removes a SIM that is gone, or the one that acknowledges a loss."""
    if issue_id.startswith(Issue.PENDING_WRITES_LOST):
        return ConfirmRepairFlow()
    data = data or {}
    return SimGoneFlow(str(data["entry_id"]), str(data["subentry_id"]))


class SimGoneFlow(RepairsFlow):
    """Removes a SIM that the portal no longer knows."""

    def __init__(self, entry_id: str, subentry_id: str) -> None:
        """Initialize the flow for one SIM."""
        self._entry_id = entry_id
        self._subentry_id = subentry_id

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Start with the confirmation."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Ask for confirmation, and remove the SIM with its device and entities."""
        if user_input is not None:
            entry = self.hass.config_entries.async_get_entry(self._entry_id)
            if entry is not None and self._subentry_id in entry.subentries:
                self.hass.config_entries.async_remove_subentry(entry, self._subentry_id)
            return self.async_create_entry(data={})
        issue = ir.async_get(self.hass).async_get_issue(self.handler, self.issue_id)
        return self.async_show_form(
            step_id="confirm",
            data_schema=vol.Schema({}),
            description_placeholders=issue.translation_placeholders if issue else None,
        )
