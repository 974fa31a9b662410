"""JSON Schemas of the dataclasses that requests are read into and answers are made of."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, TypeAliasType, get_args, get_origin, get_type_hints, is_typeddict

from . import routes, serialization
from .exchange import Json, Record

_SCALARS: dict[type, Record] = {
    NoneType: {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    datetime: {
        "type": "string",
        "description": "2025-01-31T12:00:00Z; in a request also now, -90s, +2h or -3d",
    },
}

_SPAN: Record = {"type": "string", "description": "as in 90s, 5m, 2h or 1d"}


class Schemas:
    """The schemas that a document refers to, by name."""

    def __init__(self) -> None:
        """Start empty."""
        self.components: Record = {}

    def describe(self, hint: Any) -> Record:
        """Return the schema of an annotated type; a mapping is a schema already."""
        if isinstance(hint, dict):
            return hint
        if is_dataclass(hint) or is_typeddict(hint):
            return self._refer(hint)
        if arguments := get_args(hint):
            return self._describe_parts(hint, arguments)
        if isinstance(hint, TypeAliasType):
            return (
                {"anyOf": [{"type": "number"}, {**_SPAN}]} if hint is serialization.Seconds else {}
            )
        if issubclass(hint, StrEnum):
            return {"enum": [str(member) for member in hint]}
        return {**_SCALARS[hint]}

    def _describe_parts(self, hint: Any, arguments: tuple[Any, ...]) -> Record:
        """Return the schema of a type that has others as its parts."""
        if isinstance(hint, UnionType):
            return {"anyOf": [self.describe(argument) for argument in arguments]}
        if get_origin(hint) is dict:
            return {"type": "object", "additionalProperties": self.describe(arguments[1])}
        return {"type": "array", "items": self.describe(arguments[0])}

    def inline(self, shape: type, *, is_partial: bool = False) -> Record:
        """Return the schema of a dataclass or a TypedDict; a partial one requires nothing."""
        required: list[Json] = [name for name, each in _fields(shape).items() if _is_required(each)]
        schema: Record = {
            "type": "object",
            "description": " ".join((shape.__doc__ or "").split()),
            "properties": {**self.properties(shape)},
            "additionalProperties": False,
        }
        return schema if is_partial or not required else schema | {"required": required}

    def properties(self, shape: type) -> dict[str, Record]:
        """Return the schema of each field of a dataclass or a TypedDict."""
        hints = get_type_hints(shape)
        return {
            name: self.describe(hints[name]) | _limits(each)
            for name, each in _fields(shape).items()
        }

    def _refer(self, shape: Any) -> Record:
        """Return a reference to the schema of a dataclass or a TypedDict."""
        name = shape.__name__
        if name not in self.components:
            self.components[name] = None
            self.components[name] = self.inline(shape)
        return {"$ref": f"#/components/schemas/{name}"}


def _fields(shape: Any) -> Mapping[str, Field[Any] | None]:
    """Return the fields of a dataclass that can be set, or of a TypedDict."""
    if is_dataclass(shape):
        return {each.name: each for each in fields(shape) if each.init}
    return dict.fromkeys(get_type_hints(shape))


def _is_required(declared: Field[Any] | None) -> bool:
    """Return whether a field has no default; those of a TypedDict have none."""
    return declared is None or declared.default is declared.default_factory is MISSING


def _limits(declared: Field[Any] | None) -> Record:
    """Return what the check of a field says about its values."""
    check = declared.metadata.get("check") if declared else None
    if isinstance(check, serialization.Between):
        return {"minimum": check.low, "maximum": check.high}
    return {"items": {"enum": [*routes.ROUTES]}} if check is routes.check_all else {}
