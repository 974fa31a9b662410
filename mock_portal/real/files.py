"""YAML files that only their owner can read, and that replace no existing file."""

from collections.abc import Mapping
import os
from pathlib import Path
from typing import Any, override

import yaml

from mock_portal.errors import SetupError
from mock_portal.files import write_whole


class NewFile:
    """A new file; each write replaces its content atomically."""

    def __init__(self, path: str | Path) -> None:
        """Check that the path is free and its folder writable."""
        self.path = Path(path)
        if os.path.lexists(self.path):
            msg = f"{path} exists already; move it away, or name another file"
            raise SetupError(msg)
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            msg = f"{path} cannot be written: {self.path.parent} is not a writable folder"
            raise SetupError(msg)

    def write(self, text: str) -> None:
        """Replace the content, or leave it unchanged on an error."""
        write_whole(self.path, text)


class _Dumper(yaml.SafeDumper):
    """A dumper that writes multi-line texts as blocks, and no aliases."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Represent a text, as a block if it has several lines."""
    style = "|" if "\n" in text else None
    if not text.replace("\n", "").isprintable():
        # PyYAML treats characters like U+0085 as line ends unless they are escaped.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(value: Mapping[str, Any] | list[Any]) -> str:
    """Return YAML in the order of the value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
