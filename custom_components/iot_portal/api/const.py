"""Constants of the IoT Portal Core API."""

from enum import StrEnum

PRODUCTION_URL = "https://api.iotportal.io/api"
UAT_URL = "https://uat.api.iotportal.io/apiv2"

# The current version of Cisco's functions; the portal does not document a value.
SMS_API_VERSION = "1"


class SimStatus(StrEnum):
    """Known statuses of a SIM; other networks have further ones."""

    TEST_READY = "TEST_READY"
    INVENTORY = "INVENTORY"
    TRIAL = "TRIAL"
    ACTIVATION_READY = "ACTIVATION_READY"
    ACTIVATED = "ACTIVATED"
    DEACTIVATED = "DEACTIVATED"
    RETIRED = "RETIRED"
    PURGED = "PURGED"
    REPLACED = "REPLACED"


# A SIM with one of these can no longer get another status.
TERMINAL_STATUSES = frozenset({SimStatus.RETIRED, SimStatus.PURGED, SimStatus.REPLACED})


class SmsStatus(StrEnum):
    """Known statuses of an SMS, in one spelling; the portal has several of each."""

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
    """Error codes that take precedence over the HTTP status."""

    INVALID_CREDENTIALS = "10000001"
    NO_ACCESS = "10000030"
    NOT_FOUND = "20000001"
    NO_ACTIVE_SESSION = "900100"
    RATE_LIMIT = "40000029"
