"""The report of a soak, as a Markdown table or as JSON."""

from collections import Counter
from dataclasses import asdict, dataclass
import json

from .ledger import FINAL_EVENTS, Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """The memory of the process."""

    megabytes: float
    # Of Python's own allocator; unlike the megabytes they are not rounded up.
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
    power_cuts: int
    sizes: list[Sizes]
    counts: dict[str, int]
    broken: list[str]

    def as_json(self) -> str:
        """Return all figures."""
        return json.dumps(asdict(self), indent=2)

    def as_table(self) -> str:
        """Return a Markdown table of the main figures."""
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
            (
                "ends of Home Assistant",
                f"{self.restarts}, {self.power_cuts} of them by a power cut",
            ),
            (
                "log-ins while the key was revoked",
                f"{counts['log-ins while the key was revoked']}, and one request for a new one",
            ),
            ("actions called", f"{counts['actions']:,}"),
            ("SMS to SIMs", self._writes(Kind.SMS)),
            (
                "SMS from SIMs",
                f"{counts['SMS from SIMs']:,}, {counts['event: sms_event sms_received']:,} told",
            ),
            ("status changes", self._writes(Kind.STATUS)),
            ("edits of many SIMs", f"{counts['edits of many SIMs']:,}; {self._reports()}"),
            ("notes", self._outcomes(Kind.NOTE)),
            ("followed to exactly one end", f"{counts['followed to one end']:,}"),
            ("other events", self._other_events()),
            ("SIMs compared with the portal in the end", f"{counts['SIMs compared in the end']}"),
            ("memory after the first day", f"{first.megabytes:.0f} MB, {first.blocks:,} blocks"),
            ("memory in the end", f"{last.megabytes:.0f} MB, {last.blocks:,} blocks"),
            ("lines in the log", self._log_lines()),
            ("broken promises", f"{len(self.broken)}"),
        ]

    def _writes(self, kind: Kind) -> str:
        """Return the number of requests of a kind, and how they ended."""
        key = "sms_event" if kind is Kind.SMS else "sim_event"
        told = ", ".join(
            f"{self.counts.get(f'event: {key} {event}', 0)} "
            f"{event.removeprefix('status_change_').removeprefix('sms_').replace('_', ' ')}"
            for event in sorted(FINAL_EVENTS[kind])
        )
        return f"{self._outcomes(kind)}; {told}"

    def _outcomes(self, kind: Kind) -> str:
        """Return the number of requests of a kind, by outcome."""
        outcomes: Counter[str] = Counter()
        for name, number in sorted(self.counts.items()):
            if name.startswith(f"{kind} by "):
                outcomes[name.partition(": ")[2]] += number
        listed = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
        return f"{outcomes.total():,} ({listed})"

    def _reports(self) -> str:
        """Return the number of bulk edits by their end."""
        return ", ".join(
            f"{self.counts.get(f'event: bulk_edit {event}', 0)} {event.replace('_', ' ')}"
            for event in ("failed", "finished", "timed_out")
        )

    def _other_events(self) -> str:
        """Return the number of events that no user requested, by type."""
        prefix = "event: sim_event "
        return ", ".join(
            f"{number} {name.removeprefix(prefix)}"
            for name, number in sorted(self.counts.items())
            if name.startswith(prefix)
            and name.removeprefix(prefix) not in FINAL_EVENTS[Kind.STATUS]
        )

    def _log_lines(self) -> str:
        """Return the number of the integration's log lines above debug level."""
        levels = ("error", "warning", "info")
        return ", ".join(
            f"{self.counts.get(f'own log lines: {level}', 0)} {level}" for level in levels
        )
