"""Hypothesis strategies: arbitrary input, and correct input with some details changed."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings, strategies as st

STORED_FILES = Path(__file__).parent.parent / "fixtures" / "storage"
PENDING_WRITES: Any = json.loads((STORED_FILES / "pending_writes.json").read_text())["data"]
SNAPSHOTS: Any = json.loads((STORED_FILES / "snapshots.json").read_text())["data"]
ICCID = "8931082322089353632"
GOOD: dict[str, Any] = {
    "Login": {"data": {"token": "abc"}},
    "ctdUsage": [SNAPSHOTS[ICCID]["usage"]],
    "GetDevice": SNAPSHOTS[ICCID]["device"],
    "sessionInfo": SNAPSHOTS[ICCID]["session"],
    "getStatus": "INVENTORY",
    "GetSMSIds": {"smsMsgIds": [4711, 4712]},
    "GetSMS": {"smsMsgId": 4711, "status": "Received", "msgType": "MO", "messageText": "Hello"},
    "SendSMS": {"smsMsgId": 4711},
    "RequestStatusChange": {"message": "OK", "errorCode": "0"},
}
FIELDS = sorted(
    {"data", "token", "simStatus", "code", "message", "error", "errorMessage", "errorCode"}
    | {key for answer in GOOD.values() if isinstance(answer, dict) for key in answer}
    | {*SNAPSHOTS[ICCID]["usage"], *SNAPSHOTS[ICCID]["device"]}
)
INSTANTS = st.datetimes().map(str) | st.sampled_from(
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59+00:00",
        "2026-02-30 11:14:37.998+0000",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "a\udfff"])
    | INSTANTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=8)
    ),
    max_leaves=25,
)


def examples(part: float) -> settings:
    """Return settings with a share of the examples of the current profile."""
    profile = settings()
    return settings(
        max_examples=max(1, round(part * profile.max_examples)),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key in a value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


@st.composite
def spoiled(draw: st.DrawFn, good: Any) -> Any:
    """Return a correct value with details missing or replaced."""
    value = deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return draw(VALUES)
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            holder[key] = draw(VALUES)
        else:
            del holder[key]
    return value


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An HTTP response."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def good_reply(route: str) -> Reply:
    """Return a correct response."""
    return Reply(body=json.dumps(GOOD.get(route, {})).encode())


def replies(route: str) -> st.SearchStrategy[Reply]:
    """Return responses with any status: any bytes, any JSON, and nearly correct ones."""
    good = GOOD.get(route, {})
    bodies = (
        st.binary(max_size=300)
        | (spoiled(good) | VALUES).map(lambda value: json.dumps(value).encode())
        | st.text(max_size=50).map(lambda text: text.encode())
    )
    headers = st.fixed_dictionaries(
        {},
        optional={
            "Retry-After": st.integers().map(str)
            | st.sampled_from(["", "Wed, 99 Nov 2026 07:28:00 GMT", "soon", "1e400", "nan", "٣"])
            | st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=30)
        },
    )
    statuses = st.sampled_from([200, 200, 200, 204, 302, 400, 401, 403, 404, 429, 500, 502, 503])
    return st.builds(Reply, status=statuses | st.integers(200, 599), body=bodies, headers=headers)
