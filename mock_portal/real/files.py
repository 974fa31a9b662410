"""YAML files that only their owner can read, and that are never overwritten by accident."""

from collections.abc import Mapping
import os
from pathlib import Path
from tempfile import mkstemp
from typing import Any, override

import yaml

from mock_portal.errors import SetupError


class NewFile:
    """A file that did not exist before; each write replaces it in one step."""

    def __init__(self, path: str | Path) -> None:
        """Take a path where there is no file yet, in a folder that can be written."""
        self.path = Path(path)
        if self.path.exists():
            msg = f"{path} exists already; move it away, or name another file"
            raise SetupError(msg)
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            msg = f"{path} cannot be written: {self.path.parent} is no folder you can write to"
            raise SetupError(msg)

    def write(self, text: str) -> None:
        """Write all of it, or leave it as it was."""
        try:
            handle, draft = mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(draft).replace(self.path)
        except OSError as err:
            msg = f"{self.path} cannot be written: {err.strerror}"
            raise SetupError(msg) from err


class _Dumper(yaml.SafeDumper):
    """Writes bodies of several lines as such, and everything it is given in full."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write a text, as a block when it has several lines."""
    style = "|" if "\n" in text else None
    if not text.replace("\n", "").isprintable():
        # PyYAML takes U+0085 and its like for line ends unless they are escaped.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(value: Mapping[str, Any] | list[Any]) -> str:
    """Write YAML in the order of the value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
