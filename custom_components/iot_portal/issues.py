"""Repairs that a person has to make, raised when their cause appears and cleared when it is gone."""

from collections.abc import Mapping
from enum import StrEnum

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN


class Issue(StrEnum):
    """What can need a person; refused credentials are Home Assistant's own repair."""

    ENTRY_TOO_NEW = "entry_too_new"
    INTERVAL_STRETCHED = "interval_stretched"
    MEMORY_LOST = "memory_lost"
    ROUTE_REFUSED = "route_refused"
    SIM_GONE = "sim_gone"
    STATUS_CHANGE_TIMED_OUT = "status_change_timed_out"


# A SIM can be removed from here, and that something was lost can be taken note of.
_FIXABLE = {Issue.MEMORY_LOST, Issue.SIM_GONE}
# What happens once would otherwise be forgotten with the next restart, seen or not.
_PERSISTENT = {Issue.MEMORY_LOST}


@callback
def async_raise_issue(
    hass: HomeAssistant, issue: Issue, entry_id: str, subject: str, placeholders: Mapping[str, str]
) -> None:
    """Ask for a repair; the subject is the id of a SIM's subentry, a route, an option or a file."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(issue, entry_id, subject),
        data={"entry_id": entry_id, "subentry_id": subject},
        is_fixable=issue in _FIXABLE,
        is_persistent=issue in _PERSISTENT,
        severity=ir.IssueSeverity.WARNING,
        translation_key=issue,
        translation_placeholders=dict(placeholders),
    )


@callback
def async_clear_issue(hass: HomeAssistant, issue: Issue, entry_id: str, subject: str) -> None:
    """Take a repair back, if there is one."""
    ir.async_delete_issue(hass, DOMAIN, _issue_id(issue, entry_id, subject))


@callback
def async_clear_sim(hass: HomeAssistant, entry_id: str, subentry_id: str) -> None:
    """Take the repairs of a SIM back."""
    for issue in Issue:
        async_clear_issue(hass, issue, entry_id, subentry_id)


@callback
def async_clear_account(hass: HomeAssistant, entry_id: str) -> None:
    """Take all repairs of an account back."""
    registry = ir.async_get(hass)
    for domain, issue_id in list(registry.issues):
        if domain == DOMAIN and f".{entry_id}." in issue_id:
            registry.async_delete(domain, issue_id)


def _issue_id(issue: Issue, entry_id: str, subject: str) -> str:
    """Return what a repair is registered under."""
    return f"{issue}.{entry_id}.{subject}"
