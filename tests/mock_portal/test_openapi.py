"""The OpenAPI file says what docs/api.md and the collection say, and what the portal does."""

from collections.abc import Iterator
from functools import cache
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
from mock_portal import DIALECTS, MockPortal, Portal, Request, Response
from mock_portal.routes import PREFIXES, ROUTES

from .conftest import DOCUMENTED

type Node = dict[str, Any]

FILE = Path(mock_portal.__file__).parent / "openapi.yaml"
DOCS = Path(__file__).parents[2] / "docs"
JSON = "application/json"

API: Node = yaml.safe_load(FILE.read_text(encoding="utf-8"))
PAGE = (DOCS / "api.md").read_text(encoding="utf-8")
COLLECTION: Node = json.loads(
    (DOCS / "iot-portal-core-api.postman_collection.json").read_text(encoding="utf-8")
)
PUBLISHED: dict[str, Node] = {
    item["name"]: item for folder in COLLECTION["item"] for item in folder["item"]
}
PLACEHOLDERS = {
    "{{ICCID}}": DOCUMENTED,
    "{{clientId}}": "demo-client",
    "{{secretKey}}": "demo-secret",
    "{{coreKey}}": "demo-token",
}
ASSUMPTIONS: dict[str, str] = {
    f"{number} {variant}": source
    for number, variant, source in re.findall(
        r"^\| (A\d+) \| `\w+` \| `(\w+)` \| .* \| ([^|]+) \|$", PAGE, re.MULTILINE
    )
}
# The first words of a source in the table of assumptions; anything else is assumed.
MARKS = {"documented": "documented", "Cisco": "cisco", "Cisco's": "cisco"}

OPERATIONS: dict[tuple[str, str], Node] = {
    (method.upper(), path): item[method]
    for path, item in API["paths"].items()
    for method in ("get", "post", "put")
    if method in item
}


def _resolve(node: Node) -> Node:
    """Return what a reference refers to."""
    if "$ref" not in node:
        return node
    found = API
    for key in node["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    return found


# Possible answers, by method, path, status and content type.
ANSWERS: dict[tuple[str, str, int, str], Node] = {
    (method, path, int(status), content_type): media
    for (method, path), operation in OPERATIONS.items()
    for status, response in operation["responses"].items()
    for content_type, media in _resolve(response)["content"].items()
}

# Possible request bodies, by method and path.
BODIES: dict[tuple[str, str], Node] = {
    key: operation["requestBody"]["content"][JSON]
    for key, operation in OPERATIONS.items()
    if "requestBody" in operation
}


def _nodes(node: object, *, is_schema: bool = False) -> Iterator[tuple[Node, bool]]:
    """Yield every object of the file, and whether it is a schema."""
    if isinstance(node, dict):
        yield node, is_schema
        for key, below in node.items():
            yield from _nodes(below, is_schema=is_schema or key in {"schema", "schemas"})
    elif isinstance(node, list):
        for below in node:
            yield from _nodes(below, is_schema=is_schema)


def _validator(schema: Node) -> Draft202012Validator:
    """Return a validator for a schema of the file."""
    return Draft202012Validator({"components": API["components"], **schema})


@cache
def _answer_validator(key: tuple[str, str, int, str]) -> Draft202012Validator:
    """Return the validator for an answer."""
    return _validator(ANSWERS[key]["schema"])


def _read(body: bytes) -> object:
    """Return a body as JSON if possible, else as text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def test_routes() -> None:
    """The file has the routes of the portal and the requests of the collection, and no others."""
    assert set(OPERATIONS) == {(route.method, route.path) for route in ROUTES.values()}
    requests = {
        name: (method, path.split("/")[1])
        for (method, path), operation in OPERATIONS.items()
        for name in operation["x-requests"]
    }
    assert requests == {
        name: (item["request"]["method"], item["request"]["url"].split("/")[1])
        for name, item in PUBLISHED.items()
    }


def test_documented_answers() -> None:
    """The answers marked as documented are those of the collection, byte for byte."""
    published = {
        name: response["body"] for name, item in PUBLISHED.items() for response in item["response"]
    }
    prose = PUBLISHED["Account Login"]["request"]["description"]
    published["Account Login"] = prose.partition("<code>")[2].partition("</code>")[0].strip()
    values = {
        name: example["value"]
        for media in ANSWERS.values()
        for name, example in media.get("examples", {}).items()
        if example.get("x-mark") == "documented"
    }
    assert published == {
        name: value if isinstance(value, str) else json.dumps(value, indent=4)
        for name, value in values.items()
    }


def test_documented_requests() -> None:
    """The bodies sent are those of the collection, with its placeholders filled in."""
    published = {}
    for name, item in PUBLISHED.items():
        if text := item["request"].get("body", {}).get("raw"):
            for placeholder, value in PLACEHOLDERS.items():
                text = text.replace(placeholder, value)
            published[name] = json.loads(text)
    assert published == {
        name: example["value"]
        for media in BODIES.values()
        for name, example in media["examples"].items()
    }


def test_assumptions() -> None:
    """Every variant of every assumption is in the file, with the mark it has in docs/api.md."""
    assert len(ASSUMPTIONS) == sum(len(dialect.variants) for dialect in DIALECTS.values())
    named = [(name, node) for node, _ in _nodes(API) for name in node.get("x-assumption", [])]
    assert {name for name, _ in named} == set(ASSUMPTIONS)
    for name, node in named:
        mark = MARKS.get(re.split(r"[ ,]", ASSUMPTIONS[name])[0], "assumed")
        assert node.get("x-mark") in {None, mark}, name


def test_error_codes() -> None:
    """Every error code of docs/api.md is in the file."""
    in_file = set(re.findall(r'errorCode: "(\d+)"', FILE.read_text(encoding="utf-8")))
    assert in_file == set(re.findall(r"\b\d{6}(?:\d\d)?\b", PAGE))


def test_examples_fit() -> None:
    """Every example is valid under its schema."""
    for media in (*ANSWERS.values(), *BODIES.values()):
        for example in media.get("examples", {}).values():
            _validator(media["schema"]).validate(example["value"])


IN_SESSION = "8931082322204500034"
NEVER, ABZORB, UNKNOWN = "8931000000000000017", "8931000000000000025", "8931000000000000033"
SCENARIO = {
    "extends": "demo",
    "clock": {"now": "2025-01-06T10:26:42Z", "frozen": True},
    "accounts": {
        "barred": {
            "secret_key": "demo-secret",
            "api_token": "barred",
            "refused_routes": [name for name in ROUTES if name != "Login"],
        }
    },
    "sims": {NEVER: {}, ABZORB: {"network": "abzorb"}},
}
TARGETS = tuple(
    {"ICCID": iccid, "SMS_id": sms_id, "apiVersion": "1"}
    for iccid, sms_id in (
        (DOCUMENTED, "4711"),
        (IN_SESSION, "4712"),
        (NEVER, "4713"),
        (ABZORB, "4714"),
        (UNKNOWN, "4715"),
    )
)


def _send_messages(portal: Portal) -> None:
    """Add text messages: received, failed, delivered and pending."""
    portal.state.receive_sms(IN_SESSION, "Hello")
    for iccid in (DOCUMENTED, IN_SESSION):
        portal.state.send_sms(portal.sims[iccid], "Hello", "demo-client")
    portal.clock.advance(60)
    portal.state.send_sms(portal.sims[IN_SESSION], "Hello", "demo-client")


def _ask_everything(portal: Portal) -> Iterator[tuple[str, str, Response]]:
    """Send every request for every SIM, valid and invalid, with an accepted, a barred and an unknown token."""
    clients = [portal.state.login(name, "demo-secret").value for name in ("demo-client", "barred")]
    for method, path in OPERATIONS:
        examples = BODIES.get((method, path), {}).get("examples", {}).values()
        bodies = [json.dumps(example["value"]).encode() for example in examples]
        for token in (*clients, "unknown"):
            for target in TARGETS:
                for body in (*bodies, b"{", b'{"apiToken": "wrong"}'):
                    request = Request(
                        method=method,
                        path=PREFIXES[0] + path.format(**target),
                        headers={"Authorization": token},
                        body=body,
                    )
                    yield method, path, portal.handle(request)


@pytest.mark.parametrize(
    ("dialect", "variant"),
    [(dialect.name, variant.name) for dialect in DIALECTS.values() for variant in dialect.variants],
)
def test_every_variant(dialect: str, variant: str) -> None:
    """Whatever a dialect is switched to, the file describes every answer, and names that variant."""
    portal = Portal({**SCENARIO, "dialects": {dialect: variant}})
    _send_messages(portal)
    seen = []
    for method, path, answer in _ask_everything(portal):
        content_type = answer.headers["Content-Type"].partition(";")[0]
        body = _read(answer.body)
        _answer_validator((method, path, answer.status, content_type)).validate(body)
        seen.append(body)
    portal.clock.advance(60)
    seen += [_read(call.body) for call in portal.take_webhooks() if call.body]
    name = f"{DIALECTS[dialect].number} {variant}"
    for node, is_schema in _nodes(API):
        if is_schema and name in node.get("x-assumption", []):
            assert any(_validator(node).is_valid(body) for body in seen), node


@schemathesis.deserializer(JSON)
def _deserialize(_: schemathesis.DeserializationContext, response: schemathesis.Response) -> object:
    """Parse a body in schemathesis as the file describes it."""
    return _read(response.content)


FUZZER = schemathesis.openapi.from_path(
    FILE,
    config=schemathesis.Config.from_dict(
        {
            "seed": 1,
            "generation": {"deterministic": True, "max-examples": 15, "database": "none"},
            "phases": {"stateful": {"enabled": False}},
            "dictionaries": {
                "iccids": {"values": [DOCUMENTED, IN_SESSION, NEVER]},
                "sms_ids": {"values": ["4711", "4712"]},
            },
            "parameters": {
                "ICCID": {"dictionary": "iccids", "probability": 0.5},
                "SMS_id": {"dictionary": "sms_ids", "probability": 0.5},
            },
            "operations": [
                {
                    # Whether the URL of a webhook is one shows when it is called: the journal says so.
                    "include-name": "PUT /BulkEditDevice",
                    "checks": {"negative_data_rejection": {"enabled": False}},
                }
            ],
        }
    ),
)


@pytest.fixture
def portal() -> Iterator[MockPortal]:
    """Return a portal on a socket with a frozen clock, so that no webhook is ever due."""
    with MockPortal.in_thread(SCENARIO) as portal:
        _send_messages(portal)
        yield portal


@FUZZER.parametrize()
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fuzz(case: schemathesis.Case[Any], portal: MockPortal) -> None:
    """Whatever is asked passes every check of schemathesis."""
    for sim in portal.sims.values():
        # A SIM that is retired stays retired, so that a good request would be refused.
        sim.status = "ACTIVATED"
    token = portal.state.login("demo-client", "demo-secret").value
    case.call_and_validate(base_url=portal.url, headers={"Authorization": token})
