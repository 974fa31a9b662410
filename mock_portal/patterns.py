"""What answers look like: patterns of bodies, and predicates that recognise a variant."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from .errors import Code
from .exchange import Json

# In a pattern, the value of a key that an object must not have.
ABSENT: Any = object()


class Body(StrEnum):
    """The kind of a body."""

    JSON = "JSON"
    WORD = "a bare word"
    TEXT = "plain text"
    PAGE = "a page of HTML"
    EMPTY = "empty"


# What a body looks like: a member of `Body`, or JSON with types in place of values. An object may
# have more keys than its pattern; a list has one or more items like the one in its pattern. `{}`
# and `[]` are empty, `str` is not empty, `object` is anything, a tuple is any one of its patterns.
type Pattern = Any

# Patterns of a body that carries no data.
NOTHING: Pattern = ({}, [], "", Body.EMPTY)

# Patterns of text that is not JSON.
PLAIN_TEXT: Pattern = (Body.WORD, Body.TEXT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer of a portal; `value` is its JSON, or its text where it is not JSON."""

    status: int
    body: Body
    value: Json
    retry_after: str | None = None

    @property
    def is_ok(self) -> bool:
        """Return whether the HTTP status is a success."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def code(self) -> str | None:
        """Return the error code, in whatever envelope."""
        return self.pick("errorCode", "code", "data.errorCode")

    def fits(self, pattern: Pattern) -> bool:
        """Return whether the body looks like a pattern."""
        if isinstance(pattern, tuple):
            return any(self.fits(each) for each in pattern)
        if isinstance(pattern, Body):
            return self.body is pattern
        return self.body is Body.JSON and _matches(self.value, pattern)

    def pick(self, *paths: str) -> str | None:
        """Return the first text or number found at one of these paths; "" is the body itself."""
        for path in paths:
            value = self.value
            for key in filter(None, path.split(".")):
                value = value[0] if isinstance(value, list) and value else value
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, str | int) and value != "":
                return str(value)
        return None


type Looks = Callable[[Answer], bool]


def no_answer(_: Answer) -> bool:
    """Recognise nothing: no single answer shows the variant."""
    return False


def has_body(pattern: Pattern) -> Looks:
    """Return a predicate for a successful answer with such a body."""
    return lambda answer: answer.is_ok and answer.fits(pattern)


def is_error_with(pattern: Pattern, *, status: int | None = None) -> Looks:
    """Return a predicate for an error with such a body, under any status or a certain one."""
    return lambda answer: (
        not answer.is_ok and status in {None, answer.status} and answer.fits(pattern)
    )


def is_refusal(status: int, code: Code | None = None, *, but_not: Pattern = ()) -> Looks:
    """Return a predicate for an error with that status and code; not every envelope has a code."""
    return lambda answer: (
        answer.status == status and answer.code in {None, code} and not answer.fits(but_not)
    )


def is_limit(status: int, *, has_retry_after: bool) -> Looks:
    """Return a predicate for an error with that status, whatever its body."""
    return lambda answer: answer.status == status and bool(answer.retry_after) is has_retry_after


def has_code(code: Code, *, status: int | None = None) -> Looks:
    """Return a predicate for an answer that carries an error code."""
    return lambda answer: answer.code == code and status in {None, answer.status}


def _matches(value: Any, pattern: Pattern) -> bool:
    """Return whether JSON looks like a pattern."""
    if isinstance(pattern, tuple):
        return any(_matches(value, each) for each in pattern)
    if isinstance(pattern, dict) and pattern:
        return isinstance(value, dict) and all(
            _matches(value.get(key, ABSENT), each) for key, each in pattern.items()
        )
    if isinstance(pattern, list) and pattern:
        return (
            isinstance(value, list)
            and value != []
            and all(_matches(item, pattern[0]) for item in value)
        )
    if pattern is object:
        return value is not ABSENT
    if isinstance(pattern, type):
        return type(value) is pattern and value != ""
    return value is pattern or (type(value) is type(pattern) and value == pattern)
