"""Repair issues: created when their cause appears, cleared when it is gone."""

from collections.abc import Mapping
from enum import StrEnum

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .api import mask_numbers
from .const import DOMAIN
from .text import as_markdown


class Issue(StrEnum):
    """Kinds of repair issues; for refused credentials Home Assistant creates its own."""

    CANNOT_SAVE = "cannot_save"
    ENTRY_TOO_NEW = "entry_too_new"
    INTERVAL_STRETCHED = "interval_stretched"
    PENDING_WRITES_LOST = "pending_writes_lost"
    ROUTE_REFUSED = "route_refused"
    SIM_GONE = "sim_gone"
    STATUS_CHANGE_TIMED_OUT = "status_change_timed_out"


# A SIM can be removed by its repair, and a loss can be acknowledged.
_FIXABLE = {Issue.PENDING_WRITES_LOST, Issue.SIM_GONE}
# It is raised once, so a restart before somebody sees it must not clear it.
_PERSISTENT = {Issue.PENDING_WRITES_LOST}


@callback
def async_raise_issue(
    hass: HomeAssistant, issue: Issue, entry_id: str, subject: str, placeholders: Mapping[str, str]
) -> None:
    """Create an issue; the subject is the id of a SIM's subentry, an endpoint, an option or a file."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(issue, entry_id, subject),
        data={"entry_id": entry_id, "subentry_id": subject},
        is_fixable=issue in _FIXABLE,
        is_persistent=issue in _PERSISTENT,
        severity=ir.IssueSeverity.WARNING,
        translation_key=issue,
        # The page of repairs renders markdown, and a SIM is named by the portal's label.
        translation_placeholders={
            name: text if name == "file" else as_markdown(mask_numbers(text))
            for name, text in placeholders.items()
        },
    )


@callback
def async_clear_issue(hass: HomeAssistant, issue: Issue, entry_id: str, subject: str) -> None:
    """Clear an issue, if there is one."""
    ir.async_delete_issue(hass, DOMAIN, _issue_id(issue, entry_id, subject))


@callback
def async_clear_sim_issues(hass: HomeAssistant, entry_id: str, subentry_id: str) -> None:
    """Clear the issues of a SIM."""
    for issue in Issue:
        async_clear_issue(hass, issue, entry_id, subentry_id)


@callback
def async_clear_account_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Clear all issues of an account."""
    registry = ir.async_get(hass)
    for domain, issue_id in list(registry.issues):
        if domain == DOMAIN and f".{entry_id}." in issue_id:
            registry.async_delete(domain, issue_id)


def _issue_id(issue: Issue, entry_id: str, subject: str) -> str:
    """Return the id of an issue."""
    return f"{issue}.{entry_id}.{subject}"
