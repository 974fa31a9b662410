"""Client of the IoT Portal Core API, free of Home Assistant."""

from .client import IotPortalClient
from .connection import is_private
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
from .models import Credentials, Device, Session, Sms, Usage, sms_status

__all__ = [
    "DELIVERED_STATUSES",
    "FAILED_STATUSES",
    "PRODUCTION_URL",
    "TERMINAL_STATUSES",
    "UAT_URL",
    "Credentials",
    "Device",
    "Evidence",
    "IotPortalAuthenticationError",
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
    "SmsStatus",
    "Usage",
    "is_private",
    "sms_status",
]
