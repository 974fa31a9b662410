"""Constants and the logger of the IoT Portal integration."""

from datetime import timedelta
import logging
from typing import Final

from .api import mask_numbers

DOMAIN: Final = "iot_portal"
LOGGER: Final = logging.getLogger(__package__)

CONF_ALL_DETAILS: Final = "all_details"
CONF_ALLOWANCE: Final = "allowance"
CONF_API_TOKEN: Final = "api_token"
CONF_BASE_URL: Final = "base_url"
CONF_BILLING_DAY: Final = "billing_day"
CONF_CLIENT_ID: Final = "client_id"
CONF_CYCLE_DAYS: Final = "cycle_days"
CONF_CYCLE_START: Final = "cycle_start"
CONF_DATA_UNIT: Final = "data_unit"
CONF_DEFAULT_ALLOWANCE: Final = "default_allowance"
# The title that an account has until the user or the portal names it.
CONF_DEFAULT_TITLE: Final = "default_title"
CONF_ENVIRONMENT: Final = "environment"
CONF_FILE: Final = "file"
CONF_ICCID: Final = "iccid"
CONF_ICCIDS: Final = "iccids"
CONF_INSTALLED_IN: Final = "installed_in"
CONF_MAX_CONCURRENT_REQUESTS: Final = "max_concurrent_requests"
CONF_ONLY_TRIGGERING_SIM: Final = "only_triggering_sim"
CONF_PLAN_UNIT: Final = "plan_unit"
CONF_POLL_INTERVAL: Final = "poll_interval"
CONF_REQUEST_RATE: Final = "request_rate"
CONF_SECRET_KEY: Final = "secret_key"
CONF_WATCH_SMS: Final = "watch_sms"

SUBENTRY_TYPE_SIM: Final = "sim"

# Usage reaches the portal when a session's records close, so polling more often gains little.
DEFAULT_POLL_INTERVAL: Final = 15
POLL_INTERVALS: Final = (5, 1440)

DEFAULT_BILLING_DAY: Final = 1
# What a network may count data in; the platform behind most of them counts bytes.
DATA_UNITS: Final = {"bytes": 1, "kilobytes": 10**3, "megabytes": 10**6}
DEFAULT_DATA_UNIT: Final = "bytes"
# Bytes of a plan's kilobyte; its megabyte has the square of it. Clients of the platform divide by 1024 x 1024.
PLAN_UNITS: Final = {"binary": 1024, "decimal": 1000}
DEFAULT_PLAN_UNIT: Final = "binary"
MEGABYTE: Final = 10**6

# Plan, owner and dates of a SIM seldom change.
DEVICE_INTERVAL: Final = timedelta(hours=6)


def _mask_numbers(record: logging.LogRecord) -> bool:
    """Mask long numbers: logs are pasted into forums, and people may name a SIM by its number."""
    if record.levelno > logging.DEBUG:
        record.msg, record.args = mask_numbers(record.getMessage()), ()
    return True


LOGGER.addFilter(_mask_numbers)
