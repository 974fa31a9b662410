"""Conversion between dataclasses and JSON values, for scenarios, snapshots and control requests."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
import re
import time
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAliasType, get_args, get_origin, get_type_hints

from .errors import SetupError, suggest
from .exchange import Json

_RELATIVE = re.compile(r"([+-])(\d+(?:\.\d+)?)([smhd])")
_SPAN = re.compile(r"\+?(\d+(?:\.\d+)?)([smhd])")
_DIGITS = re.compile(r"\d{1,18}").fullmatch
_TRUTH = {"true": True, "false": False}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DEEPEST = 50
_LONGEST = 200
_NO_LOCK = nullcontext()

# A time span, which may be written as `90s` or `2h`.
type Seconds = float


class Checked:
    """A dataclass whose fields are checked when they are set, as they are when they are loaded."""

    # Fields that only the portal itself sets, and often.
    _unchecked: ClassVar[frozenset[str]] = frozenset()

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Return the lock to hold while a field is set."""
        return _NO_LOCK

    def now(self) -> datetime:
        """Return the moment that relative times start at."""
        return datetime.fromtimestamp(time.time(), UTC)

    if not TYPE_CHECKING:
        # Hidden from mypy, which would take any name for a field.
        def __setattr__(self, name: str, value: object) -> None:
            """Set a field; raise an error for an unknown one and for an invalid value."""
            if name in self._unchecked:
                object.__setattr__(self, name, value)
                return
            with self.lock:
                object.__setattr__(self, name, _field_value(self, name, value))


def checked(default: Any, check: Callable[[Any], object]) -> Any:
    """Declare a field whose values, except None, are checked when they are loaded."""
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True, kw_only=True, slots=True)
class Between:
    """A check that a number lies between two limits."""

    low: float
    high: float

    def __call__(self, value: float) -> None:
        """Raise an error unless it does."""
        # Not "value < low or value > high": NaN would pass.
        if not self.low <= value <= self.high:
            msg = f"{_shown(value)} is not between {self.low} and {self.high}"
            raise SetupError(msg)


def between(low: float, high: float) -> Between:
    """Return a check that a number lies between two limits."""
    return Between(low=low, high=high)


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


def parse(shape: type, texts: Mapping[str, str]) -> dict[str, bool | int | str]:
    """Return texts, such as those of a query, as what the dataclass has: whole numbers, true, false."""
    known = _shape(shape)
    return {
        name: _parse(known[name][1], text) if name in known else text
        for name, text in texts.items()
    }


def _parse(hint: Any, text: str) -> bool | int | str:
    """Return a text as a value of an annotated type, if it is one."""
    if hint is bool:
        return _TRUTH.get(text, text)
    return int(text) if int in {hint, *get_args(hint)} and _DIGITS(text) else text


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


def seconds(value: object, where: str) -> float:
    """Parse a time span: seconds, a timedelta, or `90s`, `15m`, `2h`, `3d`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if match := _SPAN.fullmatch(str(value)):
        number, unit = match.groups()
        return timedelta(**{_UNITS[unit]: float(number)}).total_seconds()
    msg = f"{where}: {_shown(value)} is no time span; write 90, 90s, 15m, 2h or 3d"
    raise SetupError(msg)


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
            msg = f"{where}: {_shown(value)} is no time; write 2025-01-31T12:00:00Z, now, -90s, +2h or -3d"
            raise SetupError(msg) from err
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _field_value(target: Checked, name: str, value: object) -> Any:
    """Return a value as a field of a dataclass takes it."""
    shape: type = type(target)
    known = _shape(shape)
    if name not in known:
        msg = f"A {shape.__name__} has no {name!r}; {suggest(name, known)}"
        raise SetupError(msg)
    declared, hint = known[name]
    if value is declared.default:
        return value
    where = f"{shape.__name__}.{name}"
    try:
        if type(value) is not hint:
            value = _convert(hint, value, where, target.now())
        return _check(declared, value, shape.__name__)
    except (OverflowError, RecursionError) as err:
        raise _too_large(where) from err


@cache
def _shape(shape: type) -> dict[str, tuple[Field[Any], Any]]:
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
    if isinstance(hint, TypeAliasType):
        return (seconds if hint is Seconds else _json)(value, where)
    if isinstance(hint, UnionType):
        chosen = next(arg for arg in get_args(hint) if arg is not type(None))
        return None if value is None else _convert(chosen, value, where, now)
    if is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else _build(hint, value, where, now)
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


def _json(value: object, where: str, depth: int = 0) -> Json:
    """Return a copy of a value that JSON can carry."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth < _DEEPEST and isinstance(value, list | tuple):
        return [_json(item, where, depth + 1) for item in value]
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(key): _json(item, where, depth + 1) for key, item in value.items()}
    raise _wrong(where, f"JSON of at most {_DEEPEST} levels", value)


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
    values = _convert_fields(shape, _mapping(value, where), where, now)
    for name, (declared, _) in _shape(shape).items():
        if name not in values:
            values[name] = _default(declared)
        if values[name] is MISSING:
            msg = f"{where}: {name} is missing"
            raise SetupError(msg)
    # Not `shape(**values)`, which would check all of them again.
    built: Any = object.__new__(shape)
    vars(built).update(values)
    if hasattr(built, "__post_init__"):
        built.__post_init__()
    return built


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
    wrap = declared.metadata.get("wrap")
    return wrap(value) if wrap else value


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
    return SetupError(f"{where}: expected {wanted}, not {_shown(value)}")


def _shown(value: object) -> str:
    """Return a value for an error, shortened."""
    try:
        text = repr(value)
    except ValueError:
        # Python refuses to write numbers with thousands of digits.
        return "a number"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
