"""The Postman collection in the package runs as it is, and asks what the published one asks."""

import json
from pathlib import Path
import shutil
import subprocess
from typing import Any

import pytest

import mock_portal
from mock_portal import MockPortal

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "iot-portal-core-api.postman_collection.json"
PACKAGE = Path(mock_portal.__file__).parent
COLLECTION = PACKAGE / "postman" / "collection.json"
ENVIRONMENT = PACKAGE / "postman" / "environment.json"
# As the README has it.
COMMAND = "newman run collection.json --environment environment.json"
NEWMAN = shutil.which("newman", path=ROOT / ".tools" / "newman" / "node_modules" / ".bin")


def load(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def requests(path: Path) -> dict[str, dict[str, Any]]:
    """Return the requests of a collection by name."""
    return {item["name"]: item for folder in load(path)["item"] for item in folder["item"]}


def variables(values: list[dict[str, str]]) -> dict[str, str]:
    """Return variables by name."""
    return {value["key"]: value["value"] for value in values}


def newman(portal: MockPortal, folder: Path) -> dict[str, dict[str, int]]:
    """Run the collection, and return how many requests and assertions there were and failed."""
    program = NEWMAN or shutil.which("newman")
    if program is None:
        pytest.skip("newman is not installed; scripts/setup-newman installs it where there is npm")
    report = folder / "report.json"
    subprocess.run(  # noqa: S603  ours
        [
            *(program, *COMMAND.split()[1:], "--env-var", f"URL={portal.url}"),
            *("--reporters", "json", "--reporter-json-export", str(report)),
        ],
        cwd=COLLECTION.parent,
        timeout=60,
        check=False,
    )
    stats = load(report)["run"]["stats"]
    return {
        name: {key: stats[name][key] for key in ("total", "failed")}
        for name in ("requests", "assertions")
    }


def test_readme() -> None:
    """The README has the command that is tested here."""
    assert f"\n{COMMAND}\n" in (PACKAGE / "README.md").read_text(encoding="utf-8")


def test_newman(portal: MockPortal, tmp_path: Path) -> None:
    """All 14 requests are answered, also when the collection runs again on the same portal."""
    for run in (1, 2):
        assert newman(portal, tmp_path) == {
            "requests": {"total": 14, "failed": 0},
            "assertions": {"total": 20, "failed": 0},
        }
        assert portal.journal.total == 14 * run
    assert {exchange.status for exchange in portal.journal} == {200}


def test_newman_notices(portal: MockPortal, tmp_path: Path) -> None:
    """An answer that differs from the documented one, or an error, fails an assertion."""
    portal.dialects["usage_body"] = "object"
    assert newman(portal, tmp_path)["assertions"]["failed"] == 1
    portal.faults.add("status", route="RuleUpdate")
    assert newman(portal, tmp_path)["assertions"]["failed"] == 2


def test_same_requests() -> None:
    """Method, path, headers and body are the published ones, with other SIMs and another webhook."""
    published, ours = requests(PUBLISHED), requests(COLLECTION)
    assert len(published) == 14
    assert ours.keys() == published.keys()
    for name, item in ours.items():
        text = json.dumps(item["request"]).replace("{{ICCID_TO_CHANGE}}", "{{ICCID}}")
        request, other = json.loads(text), published[name]["request"]
        assert request["method"] == other["method"]
        assert request["url"] == "{{URL}}" + other["url"]
        assert variables(request["header"]) == variables(other["header"])
        body = other.get("body", {}).get("raw", "")
        for webhook in (line for line in body.splitlines() if "webhookUrl" in line):
            body = body.replace(webhook, '    "webhookUrl": "{{webhookUrl}}",')
        assert request.get("body", {}).get("raw", "") == body


def test_documented_answers() -> None:
    """The four documented answers are compared with the published ones."""
    compared = 0
    for name, item in requests(PUBLISHED).items():
        for example in item["response"]:
            script = json.dumps(requests(COLLECTION)[name]["event"])
            assert json.dumps(f"eql({json.dumps(example['body'])})")[1:-1] in script
            compared += 1
    assert compared == 4


def test_variables() -> None:
    """The environment holds the address and the account, as the collection has them; the webhook is on this machine."""
    ours = variables(load(COLLECTION)["variable"])
    environment = variables(load(ENVIRONMENT)["values"])
    assert list(environment) == ["URL", "clientId", "secretKey", "coreKey"]
    assert environment.items() <= ours.items()
    assert ours["webhookUrl"].startswith("http://127.0.0.1:")
    assert "ngrok" not in COLLECTION.read_text(encoding="utf-8")
