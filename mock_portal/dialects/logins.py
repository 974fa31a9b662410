"""A log-in, and how long its token lives."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from mock_portal.exchange import Payload
from mock_portal.patterns import Body, has_body

from .definition import Dialect, Variant

TOKEN_CALLS = 100
_TOKEN_LIFE = timedelta(hours=1)


class TokenUse(NamedTuple):
    """How a token has been used so far."""

    age: timedelta = timedelta()
    calls: int = 0
    is_newest: bool = True


LOGIN_ANSWER: Dialect[Callable[[str], Payload]] = Dialect(
    number="A2",
    name="login_answer",
    variants=(
        Variant(
            "data_token",
            '{"data": {"token"}}',
            answer=lambda token: {"data": {"token": token}},
            looks=has_body({"data": {"token": str}}),
            documented=True,
        ),
        Variant(
            "token",
            '{"token"}',
            answer=lambda token: {"token": token},
            looks=has_body({"token": str}),
        ),
        Variant(
            "quoted", "the token as a JSON string", answer=lambda token: token, looks=has_body(str)
        ),
        Variant(
            "bare",
            "the token as bare text, as getStatus answers its word",
            answer=str.encode,
            looks=has_body(Body.WORD),
        ),
    ),
)

# Each answer returns whether the token has expired. The probe calls it, too.
TOKEN_LIFE: Dialect[Callable[[TokenUse], bool]] = Dialect(
    number="A3",
    name="token_life",
    variants=(
        Variant("forever", "a token does not expire", answer=lambda _: False),
        Variant(
            "one_hour", "a token expires after an hour", answer=lambda use: use.age >= _TOKEN_LIFE
        ),
        Variant(
            "hundred_calls",
            "a token expires after a hundred requests",
            answer=lambda use: use.calls >= TOKEN_CALLS,
        ),
        Variant(
            "newest_only",
            "a log-in revokes the tokens before it",
            answer=lambda use: not use.is_newest,
        ),
    ),
)
