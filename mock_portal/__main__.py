"""Run `python -m mock_portal`."""

import sys

from .cli import main

sys.exit(main())
