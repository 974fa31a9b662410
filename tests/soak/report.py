"""What a soak came to, as a table for documents or as JSON."""

from collections import Counter
from dataclasses import asdict, dataclass
import json

from .ledger import ENDS, Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """What the process holds."""

    megabytes: float
    # Of Python's own memory; unlike the megabytes no allocator rounds them up.
    blocks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The figures of a run."""

    days: int
    sims: int
    seed: int
    interval: int
    seconds: float
    processor_seconds: float
    restarts: int
    sizes: list[Sizes]
    counts: dict[str, int]
    broken: list[str]

    def as_json(self) -> str:
        """Return everything that was counted."""
        return json.dumps(asdict(self), indent=2)

    def as_table(self) -> str:
        """Return what a reader wants to know."""
        rows = [("virtual days", f"{self.days}, and a calm one"), *self._rows()]
        return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])

    def _rows(self) -> list[tuple[str, str]]:
        """Return the rows below the first."""
        counts, first, last = Counter(self.counts), self.sizes[0], self.sizes[-1]
        added, removed = counts["SIMs added"], counts["SIMs removed"]
        struck = counts["faults"] / max(counts["requests"] - counts["requests in the calm"], 1)
        return [
            ("SIMs", f"{self.sims}; {added} added and {removed} removed in all"),
            ("poll interval", f"{self.interval} minutes"),
            ("seed", f"{self.seed}"),
            ("real time", f"{self.seconds:.0f} s, of the processor {self.processor_seconds:.0f} s"),
            ("requests", f"{counts['requests']:,}"),
            ("of them spoilt, before the calm day", f"{struck:.1%}"),
            ("restarts of Home Assistant", f"{self.restarts}"),
            (
                "log-ins while the key was revoked",
                f"{counts['log-ins while the key was revoked']}, and one request for a new one",
            ),
            ("actions called", f"{counts['actions']:,}"),
            ("SMS", self._wishes(Kind.SMS)),
            ("status changes", self._wishes(Kind.STATUS)),
            ("edits", self._asked(Kind.EDIT)),
            ("followed to exactly one end", f"{counts['followed to one end']:,}"),
            ("other events", self._other_events()),
            ("SIMs compared with the portal in the end", f"{counts['SIMs compared in the end']}"),
            ("memory after the first day", f"{first.megabytes:.0f} MB, {first.blocks:,} blocks"),
            ("memory in the end", f"{last.megabytes:.0f} MB, {last.blocks:,} blocks"),
            ("lines in the log", self._log_lines()),
            ("broken promises", f"{len(self.broken)}"),
        ]

    def _wishes(self, kind: Kind) -> str:
        """Return what was asked for and how it ended."""
        ends = {event: self.counts.get(f"event: {event}", 0) for event in sorted(ENDS[kind])}
        told = ", ".join(
            f"{number} {event.removeprefix('status_change_').replace('_', ' ')}"
            for event, number in ends.items()
        )
        return f"{self._asked(kind)}; {told}"

    def _asked(self, kind: Kind) -> str:
        """Return how often something was asked for, and what the person was told."""
        prefix = f"{kind}: "
        outcomes = {
            name.removeprefix(prefix): number
            for name, number in sorted(self.counts.items())
            if name.startswith(prefix)
        }
        listed = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
        return f"{sum(outcomes.values()):,} ({listed})"

    def _other_events(self) -> str:
        """Return the events that nobody asked for."""
        ends = {event for events in ENDS.values() for event in events}
        events = {
            name.removeprefix("event: "): number
            for name, number in sorted(self.counts.items())
            if name.startswith("event: ") and name.removeprefix("event: ") not in ends
        }
        return ", ".join(f"{number} {event}" for event, number in events.items())

    def _log_lines(self) -> str:
        """Return how much the integration said above debugging."""
        levels = ("error", "warning", "info")
        return ", ".join(
            f"{self.counts.get(f'own log lines: {level}', 0)} {level}" for level in levels
        )
