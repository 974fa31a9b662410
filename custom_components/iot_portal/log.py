"""The log of the integration, in which no number of a SIM stands in full."""

import logging
import re
from typing import Final

LOGGER: Final = logging.getLogger(__package__)

_LONG_NUMBER: Final = re.compile(r"\d{7,}(?=\d{4})")


def _shorten_numbers(record: logging.LogRecord) -> bool:
    """Leave of an ICCID, an IMSI or a phone number what tells it apart, whoever's words it stands in.

    Logs are pasted into forums; SIMs without a label are titled by their ICCID.
    """
    if record.levelno > logging.DEBUG:
        record.msg, record.args = _LONG_NUMBER.sub("…", record.getMessage()), ()
    return True


LOGGER.addFilter(_shorten_numbers)
