"""Output for whoever reads it, person or program."""

import os
import sys


def say(text: str) -> None:
    """Print a text at once; what the terminal cannot show is escaped, and nobody has to read it."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(f"{text.encode(encoding, 'backslashreplace').decode(encoding)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain at its end about what it could not write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
