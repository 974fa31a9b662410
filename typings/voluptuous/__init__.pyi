# Home Assistant puts probatio in place of voluptuous when it is imported; this lets mypy see the same.
from probatio import *
