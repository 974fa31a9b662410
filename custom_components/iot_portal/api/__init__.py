"""Client of the IoT Portal Core API, free of Home Assistant."""

from .client import IotPortalClient
from .connection import AddressFault, address_fault, is_private
from .const import (
    DELIVERED_STATUSES,
    FAILED_STATUSES,
    PRODUCTION_URL,
    TERMINAL_STATUSES,
    UAT_URL,
    SimStatus,
    SmsStatus,
)
from .exceptions import (
    Evidence,
    IotPortalAuthenticationError,
    IotPortalCancelledError,
    IotPortalConnectionError,
    IotPortalError,
    IotPortalInputError,
    IotPortalLoginError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalOutcomeUnknownError,
    IotPortalRateLimitError,
    IotPortalResponseError,
    IotPortalTimeoutError,
)
from .iccid import is_same_card, normalize_iccid, spellings
from .models import (
    ACTIVATED_WORDS,
    Credentials,
    Device,
    Session,
    Sms,
    SmsList,
    Usage,
    is_activated,
    sms_status,
)
from .text import one_line
from .values import DataSize

__all__ = [
    "ACTIVATED_WORDS",
    "DELIVERED_STATUSES",
    "FAILED_STATUSES",
    "PRODUCTION_URL",
    "TERMINAL_STATUSES",
    "UAT_URL",
    "AddressFault",
    "Credentials",
    "DataSize",
    "Device",
    "Evidence",
    "IotPortalAuthenticationError",
    "IotPortalCancelledError",
    "IotPortalClient",
    "IotPortalConnectionError",
    "IotPortalError",
    "IotPortalInputError",
    "IotPortalLoginError",
    "IotPortalNotAvailableError",
    "IotPortalNotFoundError",
    "IotPortalOutcomeUnknownError",
    "IotPortalRateLimitError",
    "IotPortalResponseError",
    "IotPortalTimeoutError",
    "Session",
    "SimStatus",
    "Sms",
    "SmsList",
    "SmsStatus",
    "Usage",
    "address_fault",
    "is_activated",
    "is_private",
    "is_same_card",
    "normalize_iccid",
    "one_line",
    "sms_status",
    "spellings",
]
