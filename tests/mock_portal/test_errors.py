"""What the portal refuses, and the reasons it gives."""

import pytest

from .conftest import ACTIVE, DOCUMENTED, Caller

STATUS_CHANGE = f"/RequestStatusChange/{ACTIVE}"
SMS = f"/SendSMS/{ACTIVE}/1"
EDIT = f"/EditDevice/{ACTIVE}"
BULK = "/BulkEditDevice"


@pytest.mark.parametrize(
    ("token", "part"),
    [
        (None, "missing"),
        ("Bearer {token}", "without the Bearer prefix"),
        ("bearer {token}", "without the Bearer prefix"),
        ("nonsense", "unknown or has expired"),
    ],
)
async def test_token(caller: Caller, token: str | None, part: str) -> None:
    """Every route but Login needs the token without a prefix."""
    caller.token = token and token.format(token=caller.token)
    answer = await caller.get(f"/getStatus/{DOCUMENTED}")
    assert (answer.status, answer.json["errorCode"]) == (401, "10000001")
    assert part in answer.json["errorMessage"]


@pytest.mark.parametrize(
    "body",
    [
        {"clientId": "demo-client", "secretKey": "wrong"},
        {"clientId": "nobody", "secretKey": "demo-secret"},
        {"apiToken": "wrong"},
    ],
)
async def test_wrong_credentials(caller: Caller, body: object) -> None:
    """Wrong credentials get no token."""
    answer = await caller.call("POST", "/Login", body)
    assert (answer.status, answer.json["errorCode"]) == (401, "10000001")


@pytest.mark.parametrize(
    ("method", "path", "status", "part"),
    [
        ("GET", "/GetStatus/1", 404, "case-sensitive; the nearest route is GET /api/getStatus/"),
        ("GET", "/GetDevces/1", 404, "the nearest route is GET /api/GetDevice/{ICCID}"),
        ("POST", "/ctdUsage/1", 405, "POST is the wrong method"),
        ("POST", "/SendSMS/1/1", 405, "the nearest route is PUT /api/SendSMS/{ICCID}/{apiVersion}"),
        ("PUT", "/SendSMS/1", 404, "number of segments"),
        ("GET", "/getStatus/", 404, "number of segments"),
        ("GET", "/zzz", 404, "there are Login, ctdUsage"),
        ("GET", "/../api/v7/getStatus/1", 404, "there are Login"),
    ],
)
async def test_near_miss(caller: Caller, method: str, path: str, status: int, part: str) -> None:
    """The answer to a request without a route names the nearest one, and so does the journal."""
    answer = await caller.call(method, path)
    assert answer.status == status
    assert part in answer.json["errorMessage"]
    assert part in caller.portal.journal.near_misses[-1].message


async def test_forgotten_prefix(caller: Caller) -> None:
    """The answer to a path without /api says so."""
    root = caller.portal.url.removesuffix("/api")
    answer = await caller.get(f"{root}/getStatus/{DOCUMENTED}")
    assert answer.status == 404
    assert "does not start with /api" in answer.json["errorMessage"]


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "part"),
    [
        ("POST", "/Login", b"{", "10000023", "not well-formed"),
        ("POST", "/Login", b"", "10000023", "not well-formed"),
        ("POST", "/Login", b"[" * 100_000, "10000023", "not well-formed"),
        ("POST", "/Login", ["apiToken"], "10000023", "not a JSON object"),
        ("POST", "/Login", {}, "10000028", "clientId is missing"),
        ("POST", "/Login", {"apiToken": 7}, "10000028", "must be a text"),
        ("POST", "/Login", {"apiToken": "x", "clientId": "x"}, "10000028", "'clientId'"),
        ("PUT", STATUS_CHANGE, {}, "10000028", "status is missing"),
        ("PUT", STATUS_CHANGE, {"status": "ACTIVATED", "x": 1}, "10000028", "'x'"),
        ("PUT", STATUS_CHANGE, {"status": "ACTIVE"}, "10000050", "INVENTORY, TRIAL"),
        ("PUT", SMS, {"messageText": ""}, "10000020", "1 to 160 GSM-7"),
        ("PUT", SMS, {"messageText": "x" * 161}, "10000020", "has 161"),
        ("PUT", SMS, {"messageText": "€" * 81}, "10000020", "has 162"),
        ("PUT", SMS, {"messageText": "ж" * 71}, "10000020", "1 to 70 UCS-2"),
        ("PUT", SMS, {"messageText": "😀" * 36}, "10000020", "has 72"),
        ("PUT", SMS.replace("/1", "/v1"), {"messageText": "x"}, "10000024", "'v1'"),
        ("PUT", EDIT, {"colour": "red"}, "10000028", "there are status, ratePlan"),
        ("PUT", EDIT, {"customer": 7}, "10000028", "text or null"),
        ("PUT", EDIT, {"status": "GONE"}, "10000050", "'GONE'"),
        ("PUT", BULK, {"update": {}}, "10000028", "iccids is missing"),
        ("PUT", BULK, {"update": {}, "iccids": []}, "10000028", "at least one SIM"),
        ("PUT", BULK, {"update": [], "iccids": ["1"]}, "10000028", "an object"),
        ("PUT", BULK, {"update": {}, "iccids": [""]}, "10000028", 'texts of digits, not ""'),
        ("PUT", BULK, {"update": {}, "iccids": [" "]}, "10000028", 'texts of digits, not " "'),
        ("PUT", BULK, {"update": {}, "iccids": ["1", None]}, "10000028", "digits, not null"),
        ("PUT", BULK, {"update": {}, "iccids": [{}]}, "10000028", "digits, not {}"),
        ("PUT", BULK, {"update": {}, "iccids": [["1"]]}, "10000028", "digits, not ["),
        ("PUT", BULK, {"update": {}, "iccids": [8931]}, "10000028", "digits, not 8931"),
        ("PUT", BULK, {"update": {}, "iccids": ["89x"]}, "10000028", "digits, not"),
        ("PUT", BULK, {"update": {}, "iccids": ["\ud83d"]}, "10000028", "digits, not"),
        ("PUT", BULK, {"update": {"x": "y"}, "iccids": ["1"]}, "10000028", "'x'"),
        ("PUT", "/RuleUpdate", b"}", "10000023", "not well-formed"),
        ("GET", f"/getStatus/{ACTIVE}?page=2", None, "10000028", "'page'"),
    ],
)
async def test_bad_request(
    caller: Caller, method: str, path: str, body: object, code: str, part: str
) -> None:
    """Bad input gets 400, Cisco's code, and a message that names the mistake."""
    answer = await caller.call(method, path, body)
    assert (answer.status, answer.json["errorCode"]) == (400, code)
    assert part in answer.json["errorMessage"]


@pytest.mark.parametrize("text", ["x" * 160, "€" * 80, "ж" * 70, "Grüße an Ñandú", "\n"])
async def test_longest_messages(caller: Caller, text: str) -> None:
    """Messages up to the limit are accepted."""
    assert (await caller.put(SMS, {"messageText": text})).status == 200


@pytest.mark.parametrize("path", ["/GetSMS/1", "/GetSMS/abc", f"/GetSMS/{'9' * 5000}"])
async def test_unknown_sms(caller: Caller, path: str) -> None:
    """An unknown SMS id is not found."""
    answer = await caller.get(path)
    assert (answer.status, answer.json["errorCode"]) == (404, "20000001")


async def test_terminal_status(caller: Caller) -> None:
    """A retired SIM stays retired."""
    assert (await caller.put(STATUS_CHANGE, {"status": "RETIRED"})).status == 200
    answer = await caller.put(STATUS_CHANGE, {"status": "ACTIVATED"})
    assert (answer.status, answer.json["errorCode"]) == (400, "10000050")
    assert "cannot leave RETIRED" in answer.json["errorMessage"]


@pytest.mark.parametrize("refuse", ["account", "network", "sim"])
async def test_refused_route(caller: Caller, refuse: str) -> None:
    """A route can be refused to an account, a network or a SIM; the others keep it."""
    state = caller.portal.state
    sim = state.sims[ACTIVE]
    if refuse == "account":
        state.accounts["demo-client"].refused_routes = frozenset({"EditDevice"})
    elif refuse == "sim":
        sim.refused_routes = frozenset({"EditDevice"})
    else:
        await caller.control(
            "POST",
            "scenario",
            {
                "extends": "demo",
                "networks": {"other": {"refused_routes": ["EditDevice"]}},
                "sims": {ACTIVE: {"network": "other"}},
            },
        )
        await caller.login()
    answer = await caller.put(EDIT, {"customer": "Anna"})
    assert (answer.status, answer.json["errorCode"]) == (400, "10000030")
    others = await caller.put(EDIT.replace(ACTIVE, DOCUMENTED), {"customer": "Anna"})
    assert others.status == (400 if refuse == "account" else 200)
    assert (await caller.get(f"/getStatus/{ACTIVE}")).status == 200


async def test_too_large_a_body(caller: Caller) -> None:
    """A body of more than a megabyte is not read."""
    assert (await caller.put("/RuleUpdate", b" " * (1024 * 1024 + 1))).status == 413
