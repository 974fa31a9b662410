"""The page at `/` as it is served, and the two OpenAPI documents."""

import base64
from collections.abc import Iterator
import hashlib
import json
from pathlib import Path
import re
from typing import Any

from hypothesis import HealthCheck, settings
from jsonschema_rs import Draft202012Validator
import pytest
import schemathesis
import yaml

import mock_portal
from mock_portal import DIALECTS, MockPortal, Portal, Request
from mock_portal.control import ENDPOINTS
from mock_portal.faults import KINDS, FaultKind
from mock_portal.routes import PREFIXES, ROUTES
from mock_portal.scenario import shipped

from .conftest import ACTIVE, DOCUMENTED, Caller

FOLDER = Path(mock_portal.__file__).parent
PAGE = (FOLDER / "page.html").read_text(encoding="utf-8")
PATHS = ("/", "/openapi.yaml", "/_mock/openapi.yaml", "/favicon.ico")


def _root(caller: Caller) -> str:
    """Return the address of a portal, without a path."""
    return caller.portal.url.removesuffix(PREFIXES[0])


# --- The page


async def test_page(caller: Caller) -> None:
    """The page is one file that asks nobody but its portal, and its policy allows nothing else."""
    answer = await caller.call("GET", f"{_root(caller)}/")
    assert (answer.status, answer.text) == (200, PAGE)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    for kind in ("script", "style"):
        (inline,) = re.findall(rf"<{kind}>(.*?)</{kind}>", PAGE, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert "default-src 'none';" in policy
    assert "unsafe" not in policy
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//|@import|\sstyle=|\son\w+=""", PAGE)
    assert "innerHTML" not in PAGE


@pytest.mark.parametrize("path", PATHS)
async def test_looking_leaves_no_trace(caller: Caller, path: str) -> None:
    """Whoever looks is not in the journal, meets no fault, and needs no token."""
    caller.portal.journal.clear()
    caller.portal.faults.add("status", status=500)
    caller.token = None
    status = 204 if path == "/favicon.ico" else 200
    for method in ("GET", "HEAD"):
        answer = await caller.call(method, _root(caller) + path)
        assert (answer.status, answer.headers["X-Mock-Portal"]) == (status, "control")
    journal = caller.portal.journal
    assert (journal.total, journal.peak_width, len(journal.near_misses)) == (0, 0, 0)
    assert next(iter(caller.portal.faults)).seen == 0


async def test_a_client_that_posts_to_the_page(caller: Caller) -> None:
    """A client that writes to the address of the page is wrong, and the journal has it."""
    answer = await caller.call("POST", f"{_root(caller)}/", {"clientId": "demo-client"})
    assert answer.status == 404
    assert caller.portal.journal.total == 2


async def test_page_for_programs(caller: Caller) -> None:
    """A program that prefers JSON gets the addresses."""
    root = _root(caller)
    answer = await caller.call("GET", f"{root}/", headers={"Accept": "application/json"})
    assert answer.json == {
        "base_url": f"{root}/api",
        "control": f"{root}/_mock/",
        "openapi": f"{root}/openapi.yaml",
        "control_openapi": f"{root}/_mock/openapi.yaml",
    }
    assert answer.headers["Link"] == (
        '</openapi.yaml>; rel="service-desc", </_mock/openapi.yaml>; rel="service-desc"'
    )
    assert answer.headers["Vary"] == "Accept"


async def test_help_names_the_pages(caller: Caller) -> None:
    """GET /_mock/ names the page and both documents."""
    page = (await caller.control("GET", "")).json
    assert {"GET /", "GET /openapi.yaml"} < page["pages"].keys()
    assert "GET /_mock/openapi.yaml" in page["endpoints"]


# --- The description of the API


def _ask(path: str, host: str | None, scheme: str = "http") -> str:
    """Return what a portal serves to a client that knows it by a certain name."""
    headers = {} if host is None else {"host": host}
    request = Request(method="GET", path=path, headers=headers, scheme=scheme)
    answer = Portal().handle(request)
    assert answer.headers["Content-Type"] == "application/yaml"
    return answer.body.decode()


@pytest.mark.parametrize(
    ("host", "scheme", "root"),
    [
        ("127.0.0.1:8089", "http", "http://127.0.0.1:8089"),
        ("[::1]:8089", "http", "http://[::1]:8089"),
        ("mock", "https", "https://mock"),
        (None, "http", ""),
        ('x"\npaths: {}', "http", ""),
        ("user@mock", "http", ""),
    ],
)
def test_server_is_the_address_that_was_asked(host: str | None, scheme: str, root: str) -> None:
    """The documents name the portal as the client knows it, and no other server."""
    api = yaml.safe_load(_ask("/openapi.yaml", host, scheme))
    assert [server["url"] for server in api.pop("servers")] == [f"{root}/api", f"{root}/apiv2"]
    file = yaml.safe_load((FOLDER / "openapi.yaml").read_text(encoding="utf-8"))
    del file["servers"]
    assert api == file
    control = yaml.safe_load(_ask("/_mock/openapi.yaml", host, scheme))
    assert control["servers"] == [{"url": root or "/"}]


# --- The description of the control interface

CONTROL: dict[str, Any] = yaml.safe_load(_ask("/_mock/openapi.yaml", None))
# A good request to each endpoint.
REQUESTS: dict[tuple[str, str], object] = {
    ("GET", ""): None,
    ("GET", "openapi.yaml"): None,
    ("GET", "health"): None,
    ("GET", "overview"): None,
    ("GET", "journal"): None,
    ("POST", "verify"): {"path": "/SendSMS/*", "times": 1},
    ("GET", "snapshot"): None,
    ("GET", "dialects"): None,
    ("PUT", "dialects"): {"usage_body": "object"},
    ("GET", "faults"): None,
    ("POST", "faults"): {"kind": "delay", "seconds": 3, "route": "ctdUsage", "times": 1},
    ("DELETE", "faults/{id}"): None,
    ("DELETE", "faults"): None,
    ("GET", "sims"): None,
    ("GET", "sims/{iccid}"): None,
    ("PUT", "sims/{iccid}"): {"status": "INVENTORY"},
    ("PATCH", "sims/{iccid}"): {"status": "ACTIVATED", "data_usage": 1000},
    ("POST", "sims/{iccid}/status"): {"status": "DEACTIVATED", "after": 60},
    ("POST", "sims/{iccid}/session"): {"action": "open"},
    ("POST", "sims/{iccid}/imei"): {"imei": "3569380012345678"},
    ("POST", "sms"): {"iccid": ACTIVE, "text": "Hello"},
    ("DELETE", "tokens"): None,
    ("POST", "clock"): {"advance": 3600, "freeze": True},
    ("DELETE", "journal"): None,
    ("POST", "scenario"): "fleet",
    ("POST", "reset"): None,
    ("PUT", "snapshot"): {},
}


def _validator(schema: object) -> Draft202012Validator:
    """Return a validator for a schema of the document."""
    assert isinstance(schema, dict)
    return Draft202012Validator({"components": CONTROL["components"], **schema})


async def test_control_answers(caller: Caller) -> None:
    """Good requests and their answers are as the document describes them."""
    await caller.get("/GetStatus/1")
    await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": "Hello"})
    await caller.put("/BulkEditDevice", {"update": {"customer": "Anna"}, "iccids": [ACTIVE]})
    caller.portal.faults.add("status", body={"error": 1}, headers={"X": "y"}, times=2, id="first")
    for (method, path), body in REQUESTS.items():
        described = CONTROL["paths"][f"/_mock/{path}"][method.lower()]
        if body is not None:
            schema = described["requestBody"]["content"]["application/json"]["schema"]
            _validator(schema).validate(body)
        answer = await caller.control(method, path.format(iccid=ACTIVE, id="first"), body)
        assert answer.status == 200, (method, path, answer.text)
        ((content_type, media),) = described["responses"]["200"]["content"].items()
        assert answer.headers["Content-Type"] == content_type
        if "schema" in media:
            _validator(media["schema"]).validate(answer.json)
    refused = await caller.control("GET", "sims/1")
    _validator({"$ref": "#/components/schemas/Error"}).validate(refused.json)


def test_control_lists() -> None:
    """The document has every endpoint, dialect, kind of fault, route and scenario, and no others."""
    assert {
        (method.upper(), path.removeprefix("/_mock/"))
        for path, item in CONTROL["paths"].items()
        for method in item
    } == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    schemas = CONTROL["components"]["schemas"]
    assert schemas["Fault"]["properties"]["kind"]["enum"] == [*KINDS] == [*FaultKind]
    body = CONTROL["paths"]["/_mock/dialects"]["put"]["requestBody"]["content"]
    dialects = body["application/json"]["schema"]["properties"]
    assert {name: schema["enum"] for name, schema in dialects.items()} == {
        name: [variant.name for variant in dialect.variants] for name, dialect in DIALECTS.items()
    }
    assert schemas["Account"]["properties"]["refused_routes"]["items"]["enum"] == [*ROUTES]
    scenarios = CONTROL["paths"]["/_mock/scenario"]["post"]["requestBody"]["content"]
    assert scenarios["application/json"]["schema"]["anyOf"][0]["enum"] == shipped()
    assert set(REQUESTS) == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


FUZZER = schemathesis.openapi.from_dict(
    CONTROL,
    config=schemathesis.Config.from_dict(
        {
            "seed": 1,
            "generation": {"deterministic": True, "max-examples": 10, "database": "none"},
            "phases": {"stateful": {"enabled": False}},
            "dictionaries": {"iccids": {"values": [ACTIVE, DOCUMENTED]}},
            "parameters": {"iccid": {"dictionary": "iccids", "probability": 0.7}},
            "checks": {
                # Some rules cross fields, or name things that are there: a fault has the details of its kind.
                "positive_data_acceptance": {"enabled": False},
                # YAML reads an ICCID without quotes as a number, so a whole number may stand for a text.
                "negative_data_rejection": {"enabled": False},
            },
        }
    ),
).exclude(operation_id="put_snapshot")  # a good one may have 100,000 SIMs made up


@pytest.fixture
def fuzzed() -> Iterator[MockPortal]:
    """Return a portal in a thread."""
    with MockPortal.in_thread("demo") as portal:
        yield portal


@FUZZER.parametrize()
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fuzz_control(case: schemathesis.Case[Any], fuzzed: MockPortal) -> None:
    """Whatever is asked, the answer is as described, and no server error."""
    case.call_and_validate(base_url=fuzzed.control_url.removesuffix("/_mock"))
    assert json.loads(json.dumps(fuzzed.snapshot()))
