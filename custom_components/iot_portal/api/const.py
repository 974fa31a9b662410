"""Words and numbers of the IoT Portal Core API."""

from enum import StrEnum

PRODUCTION_URL = "https://api.iotportal.io/api"
UAT_URL = "https://uat.api.iotportal.io/apiv2"

# Cisco's current version for all functions; the portal publishes no value.
SMS_API_VERSION = "1"


class SimStatus(StrEnum):
    """Statuses of a SIM that are known; other networks have words of their own."""

    TEST_READY = "TEST_READY"
    INVENTORY = "INVENTORY"
    TRIAL = "TRIAL"
    ACTIVATION_READY = "ACTIVATION_READY"
    ACTIVATED = "ACTIVATED"
    DEACTIVATED = "DEACTIVATED"
    RETIRED = "RETIRED"
    PURGED = "PURGED"
    REPLACED = "REPLACED"


# An account user cannot lead a SIM out of these again.
TERMINAL_STATUSES = frozenset({SimStatus.RETIRED, SimStatus.PURGED, SimStatus.REPLACED})


class SmsStatus(StrEnum):
    """How far an SMS can have got, in one spelling of the portal's words."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DELIVERED_IN_LOG = "delivered_in_log"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CANCEL_PENDING = "cancel_pending"
    CANCEL_FAILED = "cancel_failed"
    UNDETERMINED = "undetermined"
    RECEIVED = "received"


DELIVERED_STATUSES = frozenset({SmsStatus.DELIVERED, SmsStatus.DELIVERED_IN_LOG})
FAILED_STATUSES = frozenset({SmsStatus.FAILED, SmsStatus.CANCELLED})


class ErrorCode(StrEnum):
    """Codes that decide what an error means, whatever its HTTP status is."""

    INVALID_CREDENTIALS = "10000001"
    NO_ACCESS = "10000030"
    NOT_FOUND = "20000001"
    NO_ACTIVE_SESSION = "900100"
    RATE_LIMIT = "40000029"
