"""Files that are never seen half written."""

import os
from pathlib import Path
from tempfile import mkstemp

from .errors import SetupError


def write_whole(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace a file in one step, or leave it unchanged on an error."""
    try:
        handle, draft = mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(draft).chmod(mode)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink()
            raise
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else err
        msg = f"{path} cannot be written: {reason}"
        raise SetupError(msg) from err
