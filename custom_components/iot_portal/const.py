"""Constants of the IoT Portal integration."""

from datetime import timedelta
import logging
from typing import Final

DOMAIN: Final = "iot_portal"
LOGGER: Final = logging.getLogger(__package__)

CONF_API_TOKEN: Final = "api_token"
CONF_BASE_URL: Final = "base_url"
CONF_CLIENT_ID: Final = "client_id"
CONF_ENVIRONMENT: Final = "environment"
CONF_ICCID: Final = "iccid"
CONF_ICCIDS: Final = "iccids"
CONF_SECRET_KEY: Final = "secret_key"

SUBENTRY_TYPE_SIM: Final = "sim"

# Usage reaches the portal when a session's records close, so asking more often buys little.
UPDATE_INTERVAL: Final = timedelta(minutes=15)
