"""Options of a command that the environment may set as well, as for containers."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import shlex
from typing import Any

from .errors import SetupError

_YES = {"1", "true", "yes", "on"}
_NO = {"0", "false", "no", "off"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One option; its kind is that of its default: a flag, a number, a list or a text."""

    name: str
    help: str
    default: bool | int | str | tuple[str, ...] | None = None
    metavar: str | None = None

    @property
    def variable(self) -> str:
        """Return the variable of the environment that sets it."""
        return f"MOCK_PORTAL_{self._word.upper()}"

    @property
    def _word(self) -> str:
        """Return the name under which argparse stores it."""
        return self.name.removeprefix("--").replace("-", "_")

    def add_to(self, parser: ArgumentParser) -> None:
        """Declare it; without a value on the command line it is None."""
        kinds: dict[type, dict[str, Any]] = {
            bool: {"action": "store_true"},
            int: {"type": int, "metavar": self.metavar},
            tuple: {"action": "append", "metavar": self.metavar},
        }
        settings = kinds.get(type(self.default), {"metavar": self.metavar})
        parser.add_argument(self.name, default=None, help=self.help, **settings)

    def complete(self, options: Namespace, environment: Mapping[str, str]) -> None:
        """Take what the command line did not say from the environment, or from the default."""
        if getattr(options, self._word) is None:
            text = environment.get(self.variable, "")
            setattr(options, self._word, self._read(text) if text else self.default)

    def _read(self, text: str) -> Any:
        """Return the value of a variable."""
        try:
            if isinstance(self.default, bool):
                return self._flag(text)
            if isinstance(self.default, int):
                return self._number(text)
            return shlex.split(text) if isinstance(self.default, tuple) else text
        except ValueError as err:
            msg = f"The variable {self.variable} cannot be {text!r}: {err}"
            raise SetupError(msg) from err

    @staticmethod
    def _number(text: str) -> int:
        """Return a whole number."""
        try:
            return int(text)
        except ValueError as err:
            msg = "write a whole number"
            raise ValueError(msg) from err

    @staticmethod
    def _flag(text: str) -> bool:
        """Return whether a word means yes."""
        word = text.strip().lower()
        if word not in _YES | _NO:
            msg = "write 1 or 0"
            raise ValueError(msg)
        return word in _YES


def complete(
    options: Namespace, declared: Sequence[Option], environment: Mapping[str, str]
) -> None:
    """Complete all options that the command line did not set."""
    for option in declared:
        option.complete(options, environment)
