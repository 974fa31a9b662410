"""What people are told when the portal refuses, or when their input cannot be sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .api import (
    IotPortalAuthenticationError,
    IotPortalConnectionError,
    IotPortalError,
    IotPortalInputError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalOutcomeUnknownError,
    IotPortalRateLimitError,
)
from .api.gsm import sms_length
from .const import DOMAIN

# The first class that fits gives the words.
_TRANSLATION_KEYS: tuple[tuple[type[IotPortalError], str], ...] = (
    (IotPortalAuthenticationError, "authentication_failed"),
    (IotPortalConnectionError, "cannot_connect"),
    (IotPortalInputError, "cannot_be_sent"),
    (IotPortalNotFoundError, "not_found"),
    (IotPortalNotAvailableError, "not_available"),
    (IotPortalRateLimitError, "rate_limited"),
    (IotPortalOutcomeUnknownError, "outcome_unknown"),
)


class Translation(TypedDict):
    """What every exception of Home Assistant takes to be shown in the user's language."""

    translation_domain: str
    translation_key: str
    translation_placeholders: dict[str, str]


def translate(
    err: IotPortalError, subject: str, *, otherwise: str = "portal_error", **placeholders: str
) -> Translation:
    """Return the translation of an error that hit the subject, a SIM or an account.

    `otherwise` is the key for what the portal refused for a reason of its own.
    """
    keys = (key for kind, key in _TRANSLATION_KEYS if isinstance(err, kind))
    return {
        "translation_domain": DOMAIN,
        "translation_key": next(keys, otherwise),
        # Our sentences end by themselves; the portal's may bring a full stop too.
        "translation_placeholders": {
            "subject": subject,
            "error": str(err).rstrip(". "),
            **placeholders,
        },
    }


@contextmanager
def translated_errors(
    hass: HomeAssistant,
    entry: ConfigEntry,
    subject: str,
    *,
    otherwise: str = "portal_error",
    **placeholders: str,
) -> Iterator[None]:
    """Tell the user what went wrong with a request; refused credentials are asked for again."""
    try:
        yield
    except IotPortalAuthenticationError as err:
        entry.async_start_reauth(hass)
        raise HomeAssistantError(**translate(err, entry.title)) from err
    except IotPortalError as err:
        raise HomeAssistantError(
            **translate(err, subject, otherwise=otherwise, **placeholders)
        ) from err


def check_message(message: str) -> None:
    """Refuse a text that does not fit into an SMS."""
    if not message.strip():
        raise invalid_input(key="message_empty")
    length, limit = sms_length(message)
    if length > limit:
        raise invalid_input(key="message_too_long", length=str(length), limit=str(limit))


def invalid_input(*, key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error for input that cannot be sent."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )
