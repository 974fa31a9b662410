"""Conversion between dataclasses and JSON values, for scenarios, snapshots and control requests."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
import re
from types import UnionType
from typing import Any, TypeAliasType, get_args, get_origin, get_type_hints

from .errors import SetupError, suggest
from .exchange import Json

_RELATIVE = re.compile(r"([+-])(\d+(?:\.\d+)?)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def checked(default: Any, check: Callable[[Any], object]) -> Any:
    """Declare a field whose values, except None, are checked when they are loaded."""
    return field(default=default, metadata={"check": check})


def between(low: float, high: float) -> Callable[[float], None]:
    """Return a check that a number lies between two limits."""

    def check(value: float) -> None:
        # Not "value < low or value > high": NaN would pass.
        if not low <= value <= high:
            msg = f"{value} is not between {low} and {high}"
            raise SetupError(msg)

    return check


def load[T](shape: type[T], value: object, where: str, now: datetime) -> T:
    """Build a dataclass from a mapping; errors name `where`, relative times start at `now`."""
    try:
        result: T = _convert(shape, value, where, now)
    except (OverflowError, RecursionError) as err:
        raise _too_large(where) from err
    return result


def update(target: object, changes: object, where: str, now: datetime) -> None:
    """Change fields of a dataclass, or none if one is invalid."""
    try:
        converted = _convert_fields(type(target), _mapping(changes, where), where, now)
    except (OverflowError, RecursionError) as err:
        raise _too_large(where) from err
    for name, value in converted.items():
        setattr(target, name, value)


def dump(value: Any, *, with_defaults: bool = False) -> Json:
    """Return a dataclass as a mapping, by default without fields that have their default."""
    if is_dataclass(value) and not isinstance(value, type):
        known = _shape(type(value))
        return {
            name: dump(getattr(value, name), with_defaults=with_defaults)
            for name, (declared, _) in known.items()
            if with_defaults or getattr(value, name) != _default(declared)
        }
    if isinstance(value, Mapping):
        return {str(key): dump(item, with_defaults=with_defaults) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [dump(item, with_defaults=with_defaults) for item in items]
    if isinstance(value, datetime):
        return value.isoformat()
    plain: Json = str(value) if isinstance(value, StrEnum) else value
    return plain


def moment(value: object, where: str, now: datetime) -> datetime:
    """Parse `now`, `-90s`, `+2h`, `-3d`, or an absolute date with or without an offset."""
    if isinstance(value, datetime):
        read = value
    elif value == "now":
        return now
    elif match := _RELATIVE.fullmatch(str(value)):
        sign, number, unit = match.groups()
        distance = timedelta(**{_UNITS[unit]: float(number)})
        return now + distance if sign == "+" else now - distance
    else:
        try:
            read = datetime.fromisoformat(str(value))
        except ValueError as err:
            msg = (
                f"{where}: {value!r} is no time; write 2025-01-31T12:00:00Z, now, -90s, +2h or -3d"
            )
            raise SetupError(msg) from err
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


@cache
def _shape(shape: type[Any]) -> dict[str, tuple[Field[Any], Any]]:
    """Return the fields of a dataclass that can be set, each with its type."""
    hints = get_type_hints(shape)
    return {each.name: (each, hints[each.name]) for each in fields(shape) if each.init}


def _default(declared: Field[Any]) -> Any:
    """Return the default of a field, or MISSING."""
    if declared.default_factory is not MISSING:
        return declared.default_factory()
    return declared.default


def _convert(hint: Any, value: Any, where: str, now: datetime) -> Any:
    """Convert a JSON value to an annotated type."""
    if isinstance(hint, TypeAliasType) or hint is Any:
        return value
    if isinstance(hint, UnionType):
        chosen = next(arg for arg in get_args(hint) if arg is not type(None))
        return None if value is None else _convert(chosen, value, where, now)
    if is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, where, now)
    if (origin := get_origin(hint)) is dict:
        inner = get_args(hint)[1]
        return {
            str(key): _convert(inner, item, f"{where}.{key}", now)
            for key, item in _mapping(value, where).items()
        }
    if origin in {list, frozenset}:
        if not isinstance(value, list | tuple | set | frozenset):
            raise _wrong(where, "a list", value)
        inner = get_args(hint)[0]
        return origin(
            _convert(inner, item, f"{where}[{index}]", now) for index, item in enumerate(value)
        )
    return _scalar(hint, value, where, now)


def _scalar(hint: Any, value: Any, where: str, now: datetime) -> Any:
    """Convert a JSON value to a type without parts."""
    # Not "is": a test that freezes time replaces the class datetime.
    if issubclass(hint, datetime):
        return moment(value, where, now)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is float and number:
        return float(value)
    if hint is int and number and float(value).is_integer():
        return int(value)
    # YAML reads an ICCID without quotes as a number.
    if hint is str and (isinstance(value, str) or (number and isinstance(value, int))):
        return str(value)
    if issubclass(hint, StrEnum):
        if value in list(hint):
            return hint(value)
        raise _wrong(where, f"one of {', '.join(hint)}", value)
    raise _wrong(where, {bool: "true or false", str: "a text"}.get(hint, "a number"), value)


def _build(shape: type, value: object, where: str, now: datetime) -> Any:
    """Build a dataclass."""
    given = _convert_fields(shape, _mapping(value, where), where, now)
    for name, (declared, _) in _shape(shape).items():
        if name not in given and _default(declared) is MISSING:
            msg = f"{where}: {name} is missing"
            raise SetupError(msg)
    return shape(**given)


def _convert_fields(
    shape: type, value: Mapping[str, object], where: str, now: datetime
) -> dict[str, Any]:
    """Convert the values of a mapping to the types of the fields."""
    known = _shape(shape)
    for name in value:
        if name not in known:
            msg = f"{where}: there is no {name!r}; {suggest(str(name), known)}"
            raise SetupError(msg)
    return {
        name: _check(known[name][0], _convert(known[name][1], item, f"{where}.{name}", now), where)
        for name, item in value.items()
    }


def _check(declared: Field[Any], value: Any, where: str) -> Any:
    """Return a value that has passed the check of its field."""
    check = declared.metadata.get("check")
    if check and value is not None:
        try:
            check(value)
        except SetupError as err:
            msg = f"{where}.{declared.name}: {err}"
            raise SetupError(msg) from err
    return value


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    """Return a mapping; raise an error for anything else."""
    if not isinstance(value, Mapping):
        raise _wrong(where, "a mapping", value)
    return value


def _too_large(where: str) -> SetupError:
    """Return the error for a number or a time that is too large, or for too many levels."""
    return SetupError(f"{where}: a number or a time is too large, or there are too many levels")


def _wrong(where: str, wanted: str, value: object) -> SetupError:
    """Return the error for a value of the wrong type."""
    return SetupError(f"{where}: expected {wanted}, not {value!r}")
