"""The SIM that triggered the automation in which an action is called."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from homeassistant.core import Context

from .follow_up import TrackedSim


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cause:
    """A SIM that triggers an automation, and the context from which that of the automation descends."""

    subentry_id: str
    context_id: str


_cause: ContextVar[_Cause | None] = ContextVar("iot_portal_cause", default=None)


@contextmanager
def triggered_by(sim: TrackedSim, context: Context) -> Iterator[None]:
    """Mark what starts within as triggered by a SIM in a context."""
    token = _cause.set(_Cause(subentry_id=sim.subentry.subentry_id, context_id=context.id))
    try:
        yield
    finally:
        _cause.reset(token)


def triggering_sim(context: Context) -> str | None:
    """Return the subentry id of the SIM that triggered the automation with a context.

    An automation that another one has started by a change of state inherits the mark, but not the context.
    """
    cause = _cause.get()
    if cause is None or context.parent_id != cause.context_id:
        return None
    return cause.subentry_id
