"""Errors of requests and input as translated errors of Home Assistant."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from math import ceil
from typing import Final, TypedDict

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_cached_translations, async_translate_state
from homeassistant.util import dt as dt_util

from .api import (
    IotPortalAuthenticationError,
    IotPortalBusyError,
    IotPortalConnectionError,
    IotPortalError,
    IotPortalInputError,
    IotPortalLoginError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalOutcomeUnknownError,
    IotPortalPausedError,
    IotPortalRateLimitError,
    IotPortalResponseError,
    IotPortalTimeoutError,
    mask_numbers,
    one_line,
)
from .api.gsm import sms_length
from .const import DOMAIN
from .models import normalize_status
from .reauthentication import async_record_refused_login

# Of a text that a user has entered, or a list of the parts of a target.
MAX_PLACEHOLDER_LENGTH: Final = 500
# The first class that matches decides.
_TRANSLATION_KEYS: tuple[tuple[type[IotPortalError], str], ...] = (
    (IotPortalAuthenticationError, "authentication_failed"),
    (IotPortalPausedError, "portal_paused"),
    (IotPortalBusyError, "too_many_waiting"),
    (IotPortalConnectionError, "cannot_connect"),
    (IotPortalInputError, "cannot_be_sent"),
    (IotPortalNotFoundError, "not_found"),
    (IotPortalNotAvailableError, "not_available"),
    (IotPortalRateLimitError, "rate_limited"),
    (IotPortalOutcomeUnknownError, "outcome_unknown"),
)
# For pages that people copy into public reports, so without the portal's own text, which may name a SIM.
_KINDS: tuple[tuple[type[IotPortalError], str], ...] = (
    (IotPortalLoginError, "log-in failed"),
    (IotPortalAuthenticationError, "credentials rejected"),
    (IotPortalPausedError, "pause requested by the portal"),
    (IotPortalBusyError, "too many requests waiting"),
    (IotPortalTimeoutError, "no answer in time"),
    (IotPortalConnectionError, "no connection"),
    (IotPortalNotFoundError, "SIM not found"),
    (IotPortalNotAvailableError, "request not allowed"),
    (IotPortalRateLimitError, "too many requests"),
    (IotPortalResponseError, "error of the portal"),
    (IotPortalError, "request not sent"),
)

# What the messages of a form say without an error.
NO_ERROR: Final = {"reason": "", "until": ""}


class Translation(TypedDict):
    """The arguments by which an exception of Home Assistant is translated."""

    translation_domain: str
    translation_key: str
    translation_placeholders: dict[str, str]


def translate(
    hass: HomeAssistant,
    err: IotPortalError,
    subject: str,
    *,
    otherwise: str = "portal_error",
    **placeholders: str,
) -> Translation:
    """Return the translation of an error of a request about the subject, a SIM or an account.

    `otherwise` is the key for a request that the portal refused for a reason of its own.
    """
    keys = (key for kind, key in _TRANSLATION_KEYS if isinstance(err, kind))
    return {
        "translation_domain": DOMAIN,
        "translation_key": next(keys, otherwise),
        "translation_placeholders": _masked(
            {
                "subject": subject,
                "error": explain(hass, err),
                "until": _paused_until(err),
                **placeholders,
            }
        ),
    }


def explain(hass: HomeAssistant, err: IotPortalError) -> str:
    """Return why a request failed, as a part of a sentence; the portal's own words are quoted."""
    if err.cause is None:
        # The sentence ends with a full stop; the portal's message may have one too.
        said = {"text": str(err).rstrip(". ")}
        text = _message(hass, DOMAIN, "reason_quoted", said)
    else:
        key = f"reason_{err.cause.reason.name.lower()}"
        text = _message(hass, DOMAIN, key, err.cause.details)
    return mask_numbers(text or str(err))


def localize(hass: HomeAssistant, err: HomeAssistantError) -> str:
    """Return the message of an error that becomes a part of another text."""
    domain, key = err.translation_domain, err.translation_key
    if domain is None or key is None:
        return str(err)
    return _message(hass, domain, key, err.translation_placeholders or {}) or str(err)


def _message(
    hass: HomeAssistant, domain: str, key: str, placeholders: Mapping[str, str]
) -> str | None:
    """Return a message in the language of Home Assistant, None while that is not loaded.

    The frontend translates whole messages only, and the language of the user is not known here.
    """
    texts = async_get_cached_translations(hass, hass.config.language, "exceptions", domain)
    text = texts.get(f"component.{domain}.exceptions.{key}.message")
    return None if text is None else text.format(**placeholders)


def status_name(hass: HomeAssistant, status: str) -> str:
    """Return a status as the entity shows it in the language of Home Assistant."""
    shown = normalize_status(status) or status
    return async_translate_state(hass, shown, "sensor", DOMAIN, "status", None)


def _masked(placeholders: Mapping[str, str]) -> dict[str, str]:
    """Return placeholders in one line each, without whole numbers: Home Assistant logs the errors of automations."""
    return {
        name: one_line(mask_numbers(text), MAX_PLACEHOLDER_LENGTH)
        for name, text in placeholders.items()
    }


def _paused_until(err: IotPortalError) -> str:
    """Return the local time at which a pause of the portal ends, nothing for other errors."""
    if not isinstance(err, IotPortalPausedError):
        return ""
    until = dt_util.utcnow() + timedelta(seconds=ceil(err.seconds))
    return dt_util.as_local(until).strftime("%H:%M:%S")


@contextmanager
def translated_errors(
    hass: HomeAssistant,
    entry: ConfigEntry,
    subject: str,
    *,
    otherwise: str = "portal_error",
    **placeholders: str,
) -> Iterator[None]:
    """Raise the errors of a request as translated errors; refused credentials start reauthentication."""
    try:
        yield
    except IotPortalAuthenticationError as err:
        async_record_refused_login(hass, entry, err)
        raise HomeAssistantError(**translate(hass, err, entry.title)) from err
    except IotPortalError as err:
        raise HomeAssistantError(
            **translate(hass, err, subject, otherwise=otherwise, **placeholders)
        ) from err


def check_message(message: str) -> None:
    """Raise if a text does not fit into an SMS."""
    if not message.strip():
        raise invalid_input(key="message_empty")
    length, limit = sms_length(message)
    if length > limit:
        raise invalid_input(key="message_too_long", length=str(length), limit=str(limit))


def invalid_input(*, key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error for input that cannot be sent."""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=_masked(placeholders),
    )


def form_error_key(err: IotPortalError) -> str:
    """Return the key of a form's message for an error."""
    match err:
        case IotPortalAuthenticationError():
            return "invalid_auth"
        case IotPortalPausedError():
            return "portal_paused"
        case IotPortalBusyError():
            return "too_many_waiting"
        case IotPortalConnectionError():
            return "cannot_connect"
        case IotPortalRateLimitError():
            return "rate_limited"
    return "portal_error"


def form_error_placeholders(hass: HomeAssistant, err: IotPortalError | None) -> dict[str, str]:
    """Return what the messages of a form say about an error, nothing without one."""
    if err is None:
        return NO_ERROR
    return {"reason": explain(hass, err), "until": _paused_until(err)}


def error_kind(err: IotPortalError) -> str:
    """Return the kind of an error in words, with the HTTP status of an answer."""
    words = next(words for kind, words in _KINDS if isinstance(err, kind))
    status = f" (HTTP status {err.status})" if isinstance(err, IotPortalResponseError) else ""
    return f"{words}{status}"
