"""The declared quality scale is complete and, as far as it can be checked, correct."""

import ast
import json
from pathlib import Path
import re
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent
INTEGRATION = REPOSITORY / "custom_components" / "iot_portal"
SCALE: dict[str, Any] = yaml.safe_load((INTEGRATION / "quality_scale.yaml").read_text())["rules"]
MANIFEST: dict[str, Any] = json.loads((INTEGRATION / "manifest.json").read_text())
# All rules of Home Assistant's quality scale, as of 2026.11.
RULES = [
    "action-setup",
    "appropriate-polling",
    "brands",
    "common-modules",
    "config-flow",
    "config-flow-test-coverage",
    "dependency-transparency",
    "docs-actions",
    "docs-conditions",
    "docs-high-level-description",
    "docs-installation-instructions",
    "docs-removal-instructions",
    "docs-triggers",
    "entity-event-setup",
    "entity-unique-id",
    "has-entity-name",
    "runtime-data",
    "test-before-configure",
    "test-before-setup",
    "unique-config-entry",
    "action-exceptions",
    "config-entry-unloading",
    "docs-configuration-parameters",
    "docs-installation-parameters",
    "entity-unavailable",
    "integration-owner",
    "log-when-unavailable",
    "parallel-updates",
    "reauthentication-flow",
    "test-coverage",
    "devices",
    "diagnostics",
    "discovery",
    "discovery-update-info",
    "docs-data-update",
    "docs-examples",
    "docs-known-limitations",
    "docs-supported-devices",
    "docs-supported-functions",
    "docs-troubleshooting",
    "docs-use-cases",
    "dynamic-devices",
    "entity-category",
    "entity-device-class",
    "entity-disabled-by-default",
    "entity-translations",
    "exception-translations",
    "icon-translations",
    "reconfiguration-flow",
    "repair-issues",
    "stale-devices",
    "async-dependency",
    "inject-websession",
    "strict-typing",
]
PLATFORMS = ("binary_sensor", "button", "event", "notify", "sensor", "switch")


def test_complete() -> None:
    """Every rule is done, or exempt with a reason."""
    assert len(RULES) == 54
    assert list(SCALE)
    assert SCALE.keys() == set(RULES)
    for rule, said in SCALE.items():
        if said != "done":
            assert said["status"] in ("done", "exempt"), rule
            assert said["comment"], rule


def test_manifest() -> None:
    """The manifest has what the rules demand of it, in Home Assistant's order.

    Home Assistant calls the quality of every custom integration "custom", whatever its manifest says.
    """
    assert "quality_scale" not in MANIFEST
    assert MANIFEST["requirements"] == []
    assert all(owner.startswith("@") for owner in MANIFEST["codeowners"])
    assert MANIFEST["codeowners"]
    keys = list(MANIFEST)
    assert keys == ["domain", "name", *sorted(keys[2:])]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.startswith("docs-")])
def test_docs(rule: str) -> None:
    """Every documentation rule names an existing section that is not empty."""
    said = SCALE[rule]
    if said["status"] == "exempt":
        return
    page, _, heading = said["comment"].partition(": ")
    text = (REPOSITORY / page).read_text()
    section = re.search(
        rf"^##? {re.escape(heading)}\n(.+?)(?=^##? |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert section is not None
    assert len(section[1].split()) > 25


def _constants(module: str) -> dict[str, object]:
    """Return the literal constants of a module."""
    tree = ast.parse((INTEGRATION / f"{module}.py").read_text())
    return {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }


@pytest.mark.parametrize("platform", PLATFORMS)
def test_parallel_updates(platform: str) -> None:
    """No platform keeps a person waiting in a queue of Home Assistant's; the pacer limits the requests."""
    assert _constants(platform)["PARALLEL_UPDATES"] == 0


def test_brands() -> None:
    """The icons exist in the sizes that Home Assistant serves."""
    for name, size in (("icon.png", 256), ("icon@2x.png", 512)):
        header = (INTEGRATION / "brand" / name).read_bytes()[:24]
        assert header.startswith(b"\x89PNG")
        assert header[16:24] == size.to_bytes(4) * 2
