"""One lock for all parts of a portal, so that any thread may use them while it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Protocol, override

if TYPE_CHECKING:
    # For mypy, which knows the views of a dict by these names alone.
    from _collections_abc import dict_items, dict_keys, dict_values


class Locked(Protocol):
    """A part of a portal, with the lock of that portal."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Return the lock."""


def locked[S: Locked, **P, R](
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Return a method that holds the lock of the portal while it runs; such a method never waits."""

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            return method(self, *args, **kwargs)

    return call


class Entries[K, V](dict[K, V]):
    """A dict; an iteration sees what there was when it began, whatever another thread adds."""

    @override
    def __iter__(self) -> Iterator[K]:
        return iter(self._copy())

    @override
    def keys(self) -> dict_keys[K, V]:
        return self._copy().keys()

    @override
    def values(self) -> dict_values[K, V]:
        return self._copy().values()

    @override
    def items(self) -> dict_items[K, V]:
        return self._copy().items()

    def _copy(self) -> dict[K, V]:
        """Return a plain copy, made without a switch to another thread."""
        return dict(super().items())
