"""The layers of the packages: which module may import which."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent

# A module may only import from layers above its own.
INTEGRATION_LINES = (
    ("api.const", "api.gsm", "api.iccid", "api.reasons", "api.text"),
    ("api.exceptions",),
    ("api.values",),
    ("api.connection", "api.envelope", "api.pacing"),
    ("api.sms_text",),
    ("api.models",),
    ("api.responses",),
    ("api.client",),
    ("api",),
    ("clock", "const", "dashboard_list", "poll_schedule", "sim_list", "text"),
    (
        "account_names",
        "client_factory",
        "counters",
        "evidence",
        "issues",
        "settled",
        "sim_devices",
        "slices",
    ),
    ("models", "reauthentication"),
    ("errors",),
    ("event_feed", "storage"),
    ("follow_up", "outages"),
    ("account", "data_threshold", "sim_reader", "sms", "status_requests", "triggering_sim"),
    ("coordinator",),
    ("bulk_edit",),
    ("runtime_data",),
    ("entity", "sim_flow", "targets"),
    ("binary_sensor", "button", "event", "notify", "sensor", "switch"),
    ("condition", "config_flow", "dashboard", "diagnostics", "repairs", "services"),
    ("system_health", "trigger"),
    ("__init__",),
)


def _modules(package: str) -> dict[str, ast.Module]:
    """Return the syntax trees of a package by dotted name."""
    root = REPOSITORY / package
    return {
        ".".join(path.relative_to(root).with_suffix("").parts): ast.parse(path.read_text())
        for path in root.rglob("*.py")
    }


def _imports(tree: ast.Module, module: str, package: str) -> Iterator[str]:
    """Yield the absolute dotted names that a module imports."""
    parents = f"{package}.{module}".split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{source}.{alias.name}"


def _all_imports(package: str) -> dict[str, set[str]]:
    """Return the imports of every module of a package."""
    name = package.replace("/", ".")
    return {module: set(_imports(tree, module, name)) for module, tree in _modules(package).items()}


@pytest.mark.parametrize(
    ("package", "stranger"),
    [
        ("custom_components/iot_portal", "mock_portal"),
        ("custom_components/iot_portal", "tests"),
        ("custom_components/iot_portal/api", "homeassistant"),
        ("mock_portal", "custom_components"),
        ("mock_portal", "homeassistant"),
        ("mock_portal", "tests"),
    ],
)
def test_strangers(package: str, stranger: str) -> None:
    """The client and the mock do not know each other, and the client does not know Home Assistant."""
    found = {
        module: sorted(names)
        for module, imports in _all_imports(package).items()
        if (names := {name for name in imports if name.split(".")[0] == stranger})
    }
    assert found == {}


def _line_of(name: str) -> int | None:
    """Return the number of a module's layer."""
    for number, line in enumerate(INTEGRATION_LINES):
        if name in line:
            return number
    return None


def test_integration_lines() -> None:
    """Imports only point to earlier layers, and nothing imports __init__."""
    package = "custom_components.iot_portal."
    wrong = []
    for module, imports in _all_imports("custom_components/iot_portal").items():
        own = _line_of(module.removesuffix(".__init__") if module != "__init__" else module)
        assert own is not None, f"{module} stands on no line"
        for imported in imports:
            if not imported.startswith(package):
                continue
            target = imported.removeprefix(package)
            # The last part is a name inside a module, or a module itself.
            line = (
                _line_of(target)
                if _line_of(target) is not None
                else _line_of(target.rpartition(".")[0])
            )
            if line is None or line >= own:
                wrong.append(f"{module} imports {target}")
    assert wrong == []


def test_no_module_imports_a_test_module() -> None:
    """A test module can be moved or deleted without breaking another one."""
    imports = _all_imports("tests")
    test_modules = {
        f"tests.{module}" for module in imports if module.split(".")[-1].startswith("test_")
    }
    found = [
        f"{module} imports {name}"
        for module, names in imports.items()
        for name in sorted(names)
        if not test_modules.isdisjoint({name, name.rpartition(".")[0]})
    ]
    assert found == []
