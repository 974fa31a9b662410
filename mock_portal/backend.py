"""The parts of one portal, loaded from a scenario, saved to a snapshot and restored from it."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any

from . import scenario, serialization
from .clock import Clock
from .dialects import Dialects
from .exchange import Json
from .faults import Faults
from .journal import Journal
from .locking import locked
from .replay import Recordings, recorded_iccids
from .scenario import ClockSetting, Scenario, Source
from .state import Sims, State


class Backend:
    """Clock, dialects, faults, journal and state of one portal."""

    def __init__(self, source: Source = "documented") -> None:
        """Load a scenario."""
        self.clock = Clock()
        self.dialects = Dialects()
        self.faults = Faults(self.clock.lock, self._iccids)
        self.journal = Journal(self.clock, self._iccids)
        self.recordings = Recordings()
        self.state = State(self.clock, self.dialects)
        self.clock.on_move(self.state.settle_all)
        self.load(source)

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Return the lock: while a thread holds it, no request is handled in another."""
        return self.clock.lock

    @property
    def sims(self) -> Sims:
        """Return the SIMs by ICCID."""
        return self.state.sims

    @property
    def description(self) -> str:
        """Return what the current scenario says of itself."""
        return str(self._content.get("description", ""))

    def load(self, source: Source, *, allow_files: bool = True) -> None:
        """Replace everything by another scenario."""
        content = scenario.read(source, allow_files=allow_files)
        built = scenario.build(content)
        with self.lock:
            self._apply(built)
            self._content = content
            self.journal.clear()

    def reset(self) -> None:
        """Load the current scenario again."""
        self.load(self._content)

    @locked
    def snapshot(self) -> dict[str, Json]:
        """Return everything but the journal, in the form of a scenario."""
        contents = self.state.contents()
        snapshot = serialization.dump(
            Scenario(
                **vars(contents),
                clock=ClockSetting(now=self.clock.now(), frozen=self.clock.frozen),
                dialects=dict(self.dialects),
                faults=list(self.faults),
                recorded=self.recordings.left(),
            )
        )
        assert isinstance(snapshot, dict)  # noqa: S101  a dataclass becomes a mapping
        # Without accounts it would get one when it is restored.
        return {"accounts": {}, **snapshot}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore a snapshot; the journal and the scenario that reset() loads stay."""
        self._apply(scenario.build(snapshot))

    @locked
    def _apply(self, built: Scenario) -> None:
        """Apply a scenario."""
        self.clock.reset()
        if built.clock.frozen:
            self.clock.freeze()
        if built.clock.now:
            self.clock.set(built.clock.now)
        self.dialects.reset()
        self.dialects.update(built.dialects)
        self.recordings.fill(built.recorded)
        self.state.fill(built)
        self.faults.clear()
        for fault in built.faults:
            self.faults.put(fault)

    def _iccids(self) -> Collection[str]:
        """Return the ICCIDs that a client can ask for."""
        return dict.fromkeys((*self.sims, *recorded_iccids(self.recordings.left())))
