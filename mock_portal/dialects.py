"""One switch for every point the published document leaves open; docs/api.md numbers them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import override

from .errors import SetupError


@dataclass(frozen=True, slots=True)
class Variant:
    """One way the portal may behave."""

    name: str
    description: str
    documented: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """One open point; the first variant is the default."""

    number: str
    name: str
    variants: tuple[Variant, ...]

    def variant(self, name: object) -> Variant:
        """Return a variant by its name; YAML may have read `401` as a number."""
        for variant in self.variants:
            if variant.name == str(name):
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        msg = f"Dialect {self.name} has no variant {name!r}; it has {known}"
        raise SetupError(msg)


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            number="A1",
            name="login_failure",
            variants=(
                Variant("401", "wrong credentials: 401 with code 10000001"),
                Variant("403", "403 with code 10000001"),
                Variant("400", "400 with code 10000001"),
                Variant("200_no_token", '200 with {"data": {}}'),
            ),
        ),
        Dialect(
            number="A2",
            name="login_answer",
            variants=(
                Variant("data_token", '{"data": {"token"}}', documented=True),
                Variant("token", '{"token"}'),
                Variant("quoted", "the token as a JSON string"),
                Variant("bare", "the token as bare text, as getStatus answers its word"),
            ),
        ),
        Dialect(
            number="A3",
            name="token_life",
            variants=(
                Variant("forever", "a token does not expire"),
                Variant("one_hour", "a token expires after an hour"),
                Variant("hundred_calls", "a token expires after a hundred requests"),
                Variant("newest_only", "a log-in revokes the tokens before it"),
            ),
        ),
        Dialect(
            number="A4",
            name="token_refused",
            variants=(
                Variant("401", "an unknown or expired token: 401 with code 10000001"),
                Variant("401_empty", "401 with an empty body"),
                Variant("403_code", "403 with code 10000001"),
                Variant("400_code", "400 with code 10000001"),
            ),
        ),
        Dialect(
            number="A5",
            name="usage_body",
            variants=(
                Variant("array", "an array of one", documented=True),
                Variant("object", "the object itself"),
                Variant("data", '{"data": [...]}'),
                Variant("text_numbers", "numbers as text"),
                Variant("empty_array", "[] for a SIM without usage in this cycle"),
            ),
        ),
        Dialect(
            number="A6",
            name="status_body",
            variants=(
                Variant("bare", "the bare word", documented=True),
                Variant("quoted", "the word as a JSON string"),
                Variant("object", '{"iccid", "status"}'),
                Variant("array", '[{"iccid", "status"}]'),
            ),
        ),
        Dialect(
            number="A7",
            name="open_session",
            variants=(
                Variant("null", "the end of an open session is null"),
                Variant("empty", 'the end of an open session is ""'),
                Variant("missing", "the end of an open session is left out"),
            ),
        ),
        Dialect(
            number="A8",
            name="sms_id",
            variants=(
                Variant("smsMsgId", '{"smsMsgId": 4711}'),
                Variant("text", '{"smsMsgId": "4711"}'),
                Variant("smsMessageId", '{"smsMessageId": 4711}'),
                Variant("data", '{"data": {"smsMsgId": 4711}}'),
                Variant("bare", "4711"),
                Variant("none", "{}: the id stays unknown"),
            ),
        ),
        Dialect(
            number="A9",
            name="sms_list",
            variants=(
                Variant(
                    "smsMsgIds",
                    '{"smsMsgIds": [...], "pageNumber": 1, "lastPage": true}, oldest first',
                ),
                Variant("bare", "[...]"),
                Variant("objects", '[{"smsMsgId": 4711}, ...]'),
                Variant("data", '{"data": [...]}'),
                Variant("text", '{"smsMsgIds": ["4711", ...]}'),
            ),
        ),
        Dialect(
            number="A10",
            name="sms_body",
            variants=(
                Variant("object", "the SMS object"),
                Variant("array", "an array of one"),
                Variant("data", '{"data": {...}}'),
            ),
        ),
        Dialect(
            number="A11",
            name="sms_status",
            variants=(
                Variant("title", "Pending, Delivered, Failed"),
                Variant("upper", "PENDING, DELIVERED, FAILED"),
                Variant("in_log", "Delivered-InLog instead of Delivered"),
            ),
        ),
        Dialect(
            number="A12",
            name="write_answer",
            variants=(
                Variant("iccid", 'a write answers {"iccid"} (BulkEditDevice and RuleUpdate: {})'),
                Variant("empty", "200 with an empty body"),
                Variant("text", "OK"),
                Variant("queued", '202 with {"data": {"queued": true}}'),
            ),
        ),
        Dialect(
            number="A13",
            name="status_change",
            variants=(
                Variant("immediate", "a requested status is there at once"),
                Variant("after_seconds", "it is there after 30 s"),
                Variant("after_reads", "it is there after 3 reads of the SIM"),
                Variant("never", "it never is"),
                Variant("refused", "400 with code 10000050"),
            ),
        ),
        Dialect(
            number="A14",
            name="unknown_iccid",
            variants=(
                Variant("404", "404 with code 20000001"),
                Variant("400", "400 with code 20000001"),
                Variant("404_html", "404 with an HTML page"),
                Variant("200_empty", "200 with [], {} or an empty word"),
            ),
        ),
        Dialect(
            number="A15",
            name="route_refused",
            variants=(
                Variant("400_code", "a refused route: 400 with code 10000030"),
                Variant("403", "403"),
                Variant("404", "404"),
                Variant("501", "501"),
            ),
        ),
        Dialect(
            number="A16",
            name="rate_limit",
            variants=(
                Variant("off", "no limit is enforced"),
                Variant(
                    "429_retry_after",
                    "more than 5 requests within a second: 429 with Retry-After: 1",
                ),
                Variant("429", "429 without Retry-After"),
                Variant("503", "503 with Retry-After: 1"),
                Variant("400_code", "400 with code 40000029"),
            ),
        ),
        Dialect(
            number="A17",
            name="abzorb",
            variants=(
                Variant("same", "a SIM of the Abzorb network is answered like the others"),
                Variant(
                    "object",
                    'getStatus answers {"iccid", "simStatus": "Active"}: own key, own word',
                ),
                Variant("nested", 'getStatus answers {"data": {"status": "Active"}}'),
                Variant("no_usage", "ctdUsage and sessionInfo are refused (A15), getStatus works"),
            ),
        ),
        Dialect(
            number="A18",
            name="bulk_webhook",
            variants=(
                Variant(
                    "summary",
                    'when a bulk edit ends, POST to the webhook: {"queueId", "status": "COMPLETED"}',
                ),
                Variant("per_sim", 'the same with "results": [{"iccid", "success"}]'),
                Variant("get", "GET on the webhook with ?queueId="),
                Variant("silent", "the webhook is never called"),
            ),
        ),
        Dialect(
            number="A19",
            name="error_envelope",
            variants=(
                Variant("cisco", '{"errorMessage", "errorCode"}'),
                Variant("message", '{"message", "code"}'),
                Variant("data_error", '{"data": {"error", "errorCode"}}'),
                Variant("plain", "the message as plain text, no code"),
                Variant("html", "an HTML page, no code"),
            ),
        ),
        Dialect(
            number="A20",
            name="never_session",
            variants=(
                Variant("nulls", "a SIM that never had a session: address and both dates null"),
                Variant("empty", 'all three ""'),
                Variant("iccid_only", '{"iccid"}'),
                Variant("404", "404 with code 900100"),
            ),
        ),
    )
}


class Dialects(Mapping[str, str]):
    """The variant each dialect is switched to."""

    def __init__(self) -> None:
        """Start with the defaults."""
        self._chosen: dict[str, Variant] = {}
        self.reset()

    def reset(self) -> None:
        """Switch every dialect to its default."""
        self._chosen = {dialect.name: dialect.variants[0] for dialect in DIALECTS.values()}

    def update(self, chosen: Mapping[str, object]) -> None:
        """Switch several dialects, or none when one of the names is wrong."""
        self._chosen |= {name: find(name).variant(variant) for name, variant in chosen.items()}

    def is_documented(self, name: str) -> bool:
        """Tell whether the published document shows what this dialect is switched to."""
        return self._chosen[name].documented

    @override
    def __getitem__(self, name: str) -> str:
        return self._chosen[name].name

    def __setitem__(self, name: str, variant: str) -> None:
        """Switch one dialect."""
        self.update({name: variant})

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._chosen)

    @override
    def __len__(self) -> int:
        return len(self._chosen)


def check(chosen: Mapping[str, object]) -> None:
    """Insist on dialects and variants that exist."""
    for name, variant in chosen.items():
        find(name).variant(variant)


def find(name: str) -> Dialect:
    """Return the dialect of that name."""
    if name in DIALECTS:
        return DIALECTS[name]
    close = get_close_matches(name, DIALECTS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(DIALECTS)}"
    msg = f"There is no dialect {name!r}; {hint}"
    raise SetupError(msg)
