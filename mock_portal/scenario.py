"""Scenarios: what a portal starts with, read from a shipped file, another file, or a mapping."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
import json
from pathlib import Path
from random import Random
import time
from typing import Any

from . import dialects, serialization
from .clock import check_year
from .contents import Contents
from .encoding import twice, unique
from .errors import SetupError
from .exchange import Json
from .faults import Fault
from .replay import Recorded, recorded_iccids
from .sim import Sim

_FOLDER = Path(__file__).parent / "scenarios"
_ICCID_START = "8931"
_NAMES = {"accounts": "client_id", "sims": "iccid"}
_DEFAULT = "documented"
# A field that makes what is inherited for another one meaningless: a new session has not ended yet.
_REPLACES = {"session_started": "session_ended"}

# The name of a shipped scenario, the path of a file, or the content itself.
type Source = str | Path | Mapping[str, Any]


@dataclass(kw_only=True)
class ClockSetting:
    """The setting of the virtual clock."""

    now: datetime | None = field(default=None, metadata={"check": check_year})
    frozen: bool = False


@dataclass(kw_only=True)
class Fleet:
    """Many made-up SIMs with the fields of `sim`, some usage, and the statuses in turn."""

    count: int = field(metadata={"check": serialization.between(0, 100_000)})
    seed: int = 0
    statuses: list[str] = field(default_factory=list)
    sim: dict[str, Json] = field(default_factory=dict)


@dataclass(kw_only=True)
class Scenario(Contents):
    """What a portal starts with; also the form of a snapshot."""

    description: str = ""
    clock: ClockSetting = field(default_factory=ClockSetting)
    dialects: dict[str, str] = field(default_factory=dict, metadata={"check": dialects.check})
    faults: list[Fault] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)
    fleet: Fleet | None = None


def shipped() -> list[str]:
    """Return the names of the shipped scenarios."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def read(source: Source, *, allow_files: bool = True) -> dict[str, Any]:
    """Return the content of a scenario, merged with the one it extends."""
    try:
        return _read(source, (), allow_files=allow_files)
    except RecursionError as err:
        msg = "The scenario is nested too deeply"
        raise SetupError(msg) from err


def _read(source: Source, below: tuple[str, ...], *, allow_files: bool) -> dict[str, Any]:
    """Return the merged content of a scenario; `below` names those that extend it."""
    if isinstance(source, Mapping):
        content = dict(source)
    elif source in shipped():
        content = deepcopy(_read_shipped(source))
    elif allow_files and isinstance(source, str | Path):
        try:
            content = _read_file(Path(source))
        except OSError as err:
            raise _unknown(source, err.strerror) from err
    else:
        raise _unknown(source)
    if "extends" not in content:
        return content
    name = _name(source)
    if name in below:
        circle = (each.partition(" #")[0] for each in (*below[below.index(name) :], name))
        msg = f"A scenario must not extend itself: {' extends '.join(circle)}"
        raise SetupError(msg)
    base = _read(content.pop("extends"), (*below, name), allow_files=allow_files)
    return _merge(base, content)


def build(content: Mapping[str, Any]) -> Scenario:
    """Return the scenario that a content describes; raise an error if it is invalid.

    One that says nothing of accounts has the documented one, so that a client can always log in.
    """
    if "accounts" not in content:
        content = {**content, "accounts": read(_DEFAULT)["accounts"]}
    real = datetime.fromtimestamp(time.time(), UTC)
    clock = serialization.load(ClockSetting, content.get("clock", {}), "clock", real)
    now = clock.now or real
    scenario = serialization.load(Scenario, _name_entries(content), "scenario", now)
    if scenario.fleet:
        scenario.sims |= _make_fleet(scenario.fleet, now)
        scenario.fleet = None
    iccids = (*scenario.sims, *recorded_iccids(scenario.recorded))
    for fault in scenario.faults:
        fault.check(iccids)
    return scenario


def iccid(index: int) -> str:
    """Return a made-up ICCID: 19 digits with a valid check digit."""
    digits = f"{_ICCID_START}{index:014}"
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - position % 2)
        total += doubled // 10 + doubled % 10
    return f"{digits}{-total % 10}"


def _name(source: Source) -> str:
    """Return what distinguishes a scenario from others: its name, its path or its identity."""
    if isinstance(source, Mapping):
        return f"a mapping #{id(source)}"
    return str(source) if source in shipped() else str(Path(source).resolve())


@cache
def _read_shipped(name: str) -> dict[str, Any]:
    """Return the content of a shipped scenario; parsing takes longer than all else that starts a portal."""
    return _read_file(_FOLDER / f"{name}.yaml")


def _read_file(path: Path) -> dict[str, Any]:
    """Return the content of a YAML or JSON file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        is_json = path.suffix == ".json"
        content = json.loads(text, object_pairs_hook=unique) if is_json else _parse_yaml(text)
    except ValueError as err:
        msg = f"{path} cannot be read: {err}"
        raise SetupError(msg) from err
    if not isinstance(content, dict):
        msg = f"{path} does not hold a mapping"
        raise SetupError(msg)
    return content


def _unknown(source: object, reason: str | None = None) -> SetupError:
    """Return the error for an unknown scenario; `reason` says why it cannot be read as a file."""
    msg = f"There is no scenario {str(source)!r}; shipped are {', '.join(shipped())}"
    is_path = Path(str(source)).name != str(source) or Path(str(source)).suffix
    return SetupError(
        f"{msg}. As a file it cannot be read: {reason}" if reason and is_path else msg
    )


def _parse_yaml(text: str) -> Any:
    """Parse YAML; raise an error for a key that is there twice, of which one would get lost."""
    import yaml  # noqa: PLC0415  takes a while to load, and a mapping does without

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        _check_keys(node)
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as err:
        raise ValueError(err) from err
    finally:
        loader.dispose()


def _check_keys(document: Any) -> None:
    """Raise an error for a key that is there twice in a mapping of a document of YAML."""
    pending, seen = [document], set()
    while pending:
        node = pending.pop()
        # An alias is the node that it stands for, which may hold itself.
        if node is None or id(node) in seen or isinstance(node.value, str):
            continue
        seen.add(id(node))
        keys = set()
        for item in node.value:
            key, value = item if isinstance(item, tuple) else (None, item)
            pending.append(value)
            if key is None or not isinstance(key.value, str):
                continue
            if key.value in keys:
                msg = f"line {key.start_mark.line + 1}: {twice(key.value)}"
                raise ValueError(msg)
            keys.add(key.value)


def _name_entries(content: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the keys of accounts and SIMs into their entries, where the dataclasses need them."""
    named = dict(content)
    for group, name in _NAMES.items():
        entries = content.get(group)
        if group == "accounts" and entries == []:
            named[group] = {}
        elif isinstance(entries, Mapping):
            named[group] = {
                key: {**entry, name: key} if isinstance(entry, Mapping) else entry
                for key, entry in entries.items()
            }
    return named


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings; lists and values of the second replace those of the first."""
    merged = {str(key): value for key, value in base.items()}
    for key, value in top.items():
        below = merged.get(str(key))
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[str(key)] = _merge(below, value)
        else:
            merged[str(key)] = value
    for name, replaced in _REPLACES.items():
        if name in top and replaced not in top:
            merged.pop(replaced, None)
    return merged


def _make_fleet(fleet: Fleet, now: datetime) -> dict[str, Sim]:
    """Return made-up SIMs; the same seed makes the same SIMs."""
    random = Random(fleet.seed)  # noqa: S311
    statuses = fleet.statuses or ["ACTIVATED"]
    sims = [
        serialization.load(
            Sim,
            {
                "iccid": iccid(index),
                "status": statuses[index % len(statuses)],
                "data_usage": random.randrange(500_000_000),
                "session_count": random.randrange(40),
                **fleet.sim,
            },
            "fleet.sim",
            now,
        )
        for index in range(fleet.count)
    ]
    return {sim.iccid: sim for sim in sims}
