"""Dialects: one switch for every point the published document leaves open; docs/api.md numbers them.

Each variant is one row of one dialect. Pages list the rows, and tests compare them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, override

from mock_portal.errors import UnknownNameError, suggest

from .definition import Dialect, Variant
from .logins import LOGIN_ANSWER, TOKEN_LIFE
from .refusals import (
    ERROR_ENVELOPE,
    LOGIN_FAILURE,
    RATE_LIMIT,
    ROUTE_REFUSED,
    TOKEN_REFUSED,
    UNKNOWN_ICCID,
)
from .sim_reads import ABZORB, NEVER_SESSION, OPEN_SESSION, STATUS_BODY, USAGE_BODY
from .sms import SMS_BODY, SMS_ID, SMS_LIST, SMS_STATUS
from .writes import BULK_WEBHOOK, STATUS_CHANGE, WRITE_ANSWER

_ALL: tuple[Dialect[Any], ...] = (
    LOGIN_FAILURE,
    LOGIN_ANSWER,
    TOKEN_LIFE,
    TOKEN_REFUSED,
    USAGE_BODY,
    STATUS_BODY,
    OPEN_SESSION,
    SMS_ID,
    SMS_LIST,
    SMS_BODY,
    SMS_STATUS,
    WRITE_ANSWER,
    STATUS_CHANGE,
    UNKNOWN_ICCID,
    ROUTE_REFUSED,
    RATE_LIMIT,
    ABZORB,
    BULK_WEBHOOK,
    ERROR_ENVELOPE,
    NEVER_SESSION,
)

DIALECTS = {dialect.name: dialect for dialect in _ALL}


class Dialects(Mapping[str, str]):
    """The variant each dialect is switched to, by name."""

    def __init__(self) -> None:
        """Start with the defaults."""
        # Never replaced, and its keys never change, so that any thread may read it.
        self._chosen: dict[str, Variant[Any]] = {}
        self._asked: set[str] | None = None
        self.reset()

    def reset(self) -> None:
        """Switch every dialect to its default."""
        self._chosen |= {dialect.name: dialect.variants[0] for dialect in DIALECTS.values()}

    def update(self, chosen: Mapping[str, object]) -> None:
        """Switch several dialects, or none when one of the names is wrong."""
        self._chosen |= {name: find(name).variant(variant) for name, variant in chosen.items()}

    def variant[T](self, dialect: Dialect[T]) -> Variant[T]:
        """Return the variant that a dialect is switched to."""
        if self._asked is not None:
            self._asked.add(dialect.name)
        return self._chosen[dialect.name]

    @contextmanager
    def watched(self) -> Iterator[set[str]]:
        """Collect the names of the dialects that are asked."""
        self._asked = asked = set[str]()
        try:
            yield asked
        finally:
            self._asked = None

    @override
    def __getitem__(self, name: str) -> str:
        return self._chosen[find(name).name].name

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._chosen

    def __setitem__(self, name: str, variant: str) -> None:
        """Switch one dialect."""
        self.update({name: variant})

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._chosen)

    @override
    def __len__(self) -> int:
        return len(self._chosen)


def check(chosen: Mapping[str, object]) -> None:
    """Raise an error unless all these dialects and variants exist."""
    for name, variant in chosen.items():
        find(name).variant(variant)


def find(name: str) -> Dialect[Any]:
    """Return the dialect of that name."""
    if name in DIALECTS:
        return DIALECTS[name]
    msg = f"There is no dialect {name!r}; {suggest(str(name), DIALECTS)}"
    raise UnknownNameError(msg)
