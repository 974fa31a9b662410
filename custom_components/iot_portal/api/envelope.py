"""What is around the fields of an answer: arrays, wrappers such as `data`, and other spellings of a name."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
import re
from typing import Final

from .iccid import normalize_iccid
from .values import Json

# What portals call the place of an answer; the log-in is documented with `data`.
WRAPPERS: Final = ("data", "result", "results", "items", "content", "records")


@lru_cache(maxsize=1024)
def plain_word(word: str) -> str:
    """Return a word in lower case and without what separates its parts."""
    return re.sub(r"[\W_]", "", word).lower()


# The answers of a portal have the same few sets of names.
@lru_cache(maxsize=64)
def _by_plain_word(keys: tuple[str, ...]) -> Mapping[str, Sequence[str]]:
    """Return the names of an object by their plain words, the last of the same word first."""
    found: dict[str, list[str]] = {}
    for key in reversed(keys):
        found.setdefault(plain_word(key), []).append(key)
    return found


def get_field(raw: Mapping[str, Json], *names: str) -> Json:
    """Return the first field that is known under one of the names: as they are documented, else in any spelling."""
    for name in names:
        if (value := raw.get(name)) is not None:
            return value
    spellings = _by_plain_word(tuple(raw))
    for name in names:
        for key in spellings.get(plain_word(name), ()):
            if (value := raw[key]) is not None:
                return value
    return None


def objects(answer: Json, iccid: Json = None) -> Iterator[Mapping[str, Json]]:
    """Yield the objects of an answer out of arrays and wrappers; one without an ICCID has that of what is around it."""
    if isinstance(answer, list):
        for item in answer:
            yield from objects(item, iccid)
    elif isinstance(answer, Mapping):
        named = get_field(answer, "iccid")
        inner = _by_iccid(answer) if named is None else []
        inner = inner or get_field(answer, *WRAPPERS)
        if isinstance(inner, Mapping | list):
            yield from objects(inner, named or iccid)
        elif named is None and iccid is not None:
            yield {**answer, "iccid": iccid}
        else:
            yield answer


def _by_iccid(answer: Mapping[str, Json]) -> Json:
    """Return the objects of an answer that has one under each ICCID."""
    return [
        {"iccid": key, **value}
        for key, value in answer.items()
        if isinstance(value, Mapping) and normalize_iccid(key)
    ]


def first_object(answer: Json) -> Mapping[str, Json]:
    """Return the first object of an answer; an empty one without any."""
    return next(objects(answer), {})


def nested_objects(answer: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the object of an answer and those that it wraps."""
    while isinstance(answer, Mapping):
        yield answer
        answer = get_field(answer, *WRAPPERS)


def unwrapped(answer: Json, *names: str) -> Json:
    """Return the innermost value of an answer, under one of the names or out of wrappers; None if there is none."""
    while isinstance(answer, Mapping):
        answer = get_field(answer, *names, *WRAPPERS)
    return answer
