"""The requirements of HACS, the Marketplace, hassfest and GitHub for this repository."""

from collections.abc import Iterator
from email import message_from_bytes
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from typing import Any
import zipfile

from awesomeversion import AwesomeVersion, AwesomeVersionStrategy
from homeassistant.components.brands.const import ALLOWED_IMAGES
from PIL import Image
import pytest
import voluptuous as vol
import yaml

from scripts.hass_process import INTEGRATION, REPOSITORY
from scripts.release import (
    ARCHIVE,
    CHANGELOG,
    MANIFEST,
    NOTES,
    build_package,
    main as release,
)

URL = "https://github.com/seed-8fbb6451/ha-iot-portal"
RAW = f"{URL.replace('github.com', 'raw.githubusercontent.com')}/main/"
FLOOR = "2026.10.0"


def load(path: Path | str) -> Any:
    """Return the content of a JSON or YAML file."""
    return yaml.safe_load((REPOSITORY / path).read_text())


VERSION = load(MANIFEST)["version"]


# --- HACS and the Marketplace

# All keys that HACS accepts; the Marketplace reads some of them.
HACS = vol.Schema(
    {
        vol.Required("name"): str,
        vol.Optional("content_in_root"): bool,
        vol.Optional("country"): vol.Any(str, [str]),
        vol.Optional("filename"): str,
        vol.Optional("hacs"): str,
        vol.Optional("hide_default_branch"): bool,
        vol.Optional("homeassistant"): str,
        vol.Optional("persistent_directory"): str,
        vol.Optional("render_readme"): bool,
        vol.Optional("zip_release"): bool,
    }
)


def test_hacs_json() -> None:
    """HACS and the Marketplace find the integration in the repository, and offer only releases."""
    hacs = HACS(load("hacs.json"))
    assert hacs["name"] == load(MANIFEST)["name"]
    assert hacs["hide_default_branch"]
    assert not hacs.get("content_in_root")
    # Without a zipped release both use the repository, so that users can install a commit, too.
    assert hacs.get("zip_release", False) == ("filename" in hacs)
    assert hacs.get("filename", ARCHIVE) == ARCHIVE
    folders = {
        path.parent.name for path in REPOSITORY.glob("custom_components/*/*") if path.is_file()
    }
    assert folders - {"__pycache__"} == {INTEGRATION.name}


def test_information() -> None:
    """README and licence are where HACS and the Marketplace expect them."""
    assert (REPOSITORY / "README.md").is_file()
    assert "Apache License" in (REPOSITORY / "LICENSE").read_text()[:200]


def test_floor() -> None:
    """The oldest supported Home Assistant is the same everywhere, and it is tested."""
    assert AwesomeVersion(FLOOR).strategy == AwesomeVersionStrategy.CALVER
    assert load("hacs.json")["homeassistant"] == FLOOR
    series = FLOOR.rpartition(".")[0]
    assert f"Home Assistant {series} or later is required" in (REPOSITORY / "README.md").read_text()
    assert f'"homeassistant=={series}.' in (REPOSITORY / "pyproject.toml").read_text()
    jobs = load(".github/workflows/checks.yml")["jobs"]
    assert jobs["test"]["name"].endswith(series)
    blueprints = list(REPOSITORY.glob("blueprints/*/*/*.yaml"))
    assert blueprints
    for path in blueprints:
        assert f"min_version: {FLOOR}" in path.read_text()


def test_newest() -> None:
    """The README and the workflow name the newest tested Home Assistant."""
    name = load(".github/workflows/checks.yml")["jobs"]["newest"]["name"]
    series = name.rpartition(" ")[2]
    assert f'"homeassistant=={series}.' in (REPOSITORY / "pyproject.toml").read_text()
    assert series in (REPOSITORY / "README.md").read_text()


# The Marketplace and Home Assistant want icons square, and the shorter side of a logo in 128 to 256 pixels.
SIZES = {"icon": (256, 256), "logo": (793, 256)}


def test_brand() -> None:
    """Icon and logo have the names, sizes and transparency that Home Assistant requires, without a margin."""
    folder = INTEGRATION / "brand"
    assert {path.name for path in folder.iterdir()} == set(ALLOWED_IMAGES)
    for path in folder.iterdir():
        name, _, double = path.stem.removeprefix("dark_").partition("@")
        width, height = (side * (2 if double else 1) for side in SIZES[name])
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (width, height))
            left, top, right, bottom = image.getchannel("A").getbbox() or (0, 0, 0, 0)
            assert bottom - top == height
            assert name == "icon" or right - left == width
            assert image.getpixel((0, 0))[3] == 0  # type: ignore[index]
    # HACS objects to a second copy in the repository.
    assert not list(REPOSITORY.glob("*.png"))


@pytest.mark.parametrize("name", ["icon", "logo"])
def test_brand_on_dark_grounds(name: str) -> None:
    """The images for dark grounds are brighter than those for light grounds."""

    def brightness(path: Path) -> float:
        with Image.open(path) as image:
            visible = image.convert("L").histogram(image.getchannel("A"))
        return sum(level * count for level, count in enumerate(visible)) / sum(visible)

    folder = INTEGRATION / "brand"
    assert brightness(folder / f"{name}.png") < 100 < brightness(folder / f"dark_{name}.png")


# --- The manifest, as hassfest and HACS check it

LINK = vol.All(str, vol.Match(rf"^{re.escape(URL)}(/|$)"))
MANIFEST_SCHEMA = vol.Schema(
    {
        vol.Required("domain"): INTEGRATION.name,
        vol.Required("name"): vol.All(str, vol.Length(min=1)),
        vol.Required("codeowners"): vol.All([vol.Match(r"^@[\w/-]+$")], vol.Length(min=1)),
        vol.Required("config_flow"): True,
        vol.Required("documentation"): LINK,
        vol.Required("integration_type"): "hub",
        vol.Required("iot_class"): "cloud_polling",
        vol.Required("issue_tracker"): LINK,
        vol.Required("requirements"): [],
        vol.Required("version"): str,
        vol.Optional("after_dependencies"): [str],
        vol.Optional("dependencies"): [str],
        vol.Optional("quality_scale"): vol.In(["bronze", "silver", "gold", "platinum"]),
    }
)


def test_manifest() -> None:
    """The manifest has all required keys, no others, in the order that hassfest requires."""
    manifest = json.loads((REPOSITORY / MANIFEST).read_text())
    MANIFEST_SCHEMA(manifest)
    assert list(manifest) == ["domain", "name", *sorted(manifest.keys() - {"domain", "name"})]
    assert manifest["issue_tracker"] == f"{manifest['documentation']}/issues"
    assert AwesomeVersion(VERSION).strategy == AwesomeVersionStrategy.SEMVER


def test_changelog() -> None:
    """The changelog has the version of the manifest, and a date or "unreleased" for each version."""
    headings = re.findall(r"^## (.*)$", (REPOSITORY / CHANGELOG).read_text(), re.MULTILINE)
    assert all(re.fullmatch(r"\S+ \((not released|\d{4}-\d\d-\d\d)\)", each) for each in headings)
    assert VERSION in {heading.partition(" ")[0] for heading in headings}


# --- The mock portal, as a package of its own

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
# The sdist has these, besides the files that every sdist has.
PACKAGED = [
    Path(part)
    for part in PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
    if (REPOSITORY / part).exists()
]
SDIST = f"mock_portal-{VERSION}.tar.gz"
WHEEL = f"mock_portal-{VERSION}-py3-none-any.whl"
OLDER_PYTHONS = ("3.12", "3.13")


def test_pythons() -> None:
    """The mock portal is said to run on those Pythons, and only those, that GitHub tests it on."""
    label = "Programming Language :: Python :: "
    pythons = [each.removeprefix(label) for each in PROJECT["classifiers"] if label in each]
    assert pythons == ["3 :: Only", *OLDER_PYTHONS, "3.14"]
    assert PROJECT["requires-python"] == f">={OLDER_PYTHONS[0]}"
    job = load(".github/workflows/checks.yml")["jobs"]["kit"]
    assert job["strategy"]["matrix"] == {"python": pythons[1:]}
    assert set(PYPROJECT["tool"]["ruff"]["per-file-target-version"].values()) == {"py312"}
    assert "mypy --python-version 3.12 mock_portal" in (REPOSITORY / "scripts/lint").read_text()
    assert f"for version in {' '.join(OLDER_PYTHONS)};" in (REPOSITORY / ".ci/run").read_text()


def test_links_of_package() -> None:
    """The package leads to this repository, to files that are in it, and names the version of the integration."""
    assert PROJECT["version"] == VERSION
    assert set(PROJECT["urls"]) == {"Repository", "Documentation", "Changelog", "Issues"}
    assert PROJECT["urls"]["Repository"] == URL
    assert PROJECT["urls"]["Issues"] == load(MANIFEST)["issue_tracker"]
    for name in ("Documentation", "Changelog"):
        assert (REPOSITORY / PROJECT["urls"][name].removeprefix(f"{URL}/blob/main/")).is_file()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist and the wheel of the mock portal."""
    folder = tmp_path_factory.mktemp("package")
    build_package(REPOSITORY, folder)
    return folder


@pytest.fixture(scope="module")
def sdist(package: Path) -> Path:
    """Return the folder into which the sdist has been unpacked."""
    with tarfile.open(package / SDIST) as archive:
        archive.extractall(package, filter="data")
    return package / SDIST.removesuffix(".tar.gz")


def contents(folder: Path) -> dict[str, bytes]:
    """Return the contents of the files in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def copy_parts(root: Path, *parts: Path) -> None:
    """Copy files and folders of this repository into another folder."""
    for part in parts:
        source, target = REPOSITORY / part, root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def test_wheel(package: Path) -> None:
    """The wheel has all files of the folder mock_portal, and nothing else but what describes it."""
    with zipfile.ZipFile(package / WHEEL) as wheel:
        found = {name: wheel.read(name) for name in wheel.namelist()}
    described = {name for name in found if name.startswith(f"mock_portal-{VERSION}.dist-info/")}
    assert {name: found[name] for name in found.keys() - described} == {
        f"mock_portal/{name}": content
        for name, content in contents(REPOSITORY / "mock_portal").items()
    }
    assert f"mock_portal-{VERSION}.dist-info/licenses/LICENSE" in described


def test_sdist(sdist: Path, tmp_path: Path) -> None:
    """The sdist has the mock portal, its tests and what these read, and nothing of the integration."""
    copy_parts(tmp_path, *PACKAGED)
    found = contents(sdist)
    described = {"LICENSE", "PKG-INFO", "pyproject.toml", ".gitignore"}
    assert {name: found[name] for name in found.keys() - described} == contents(tmp_path)


def test_wheel_of_sdist(package: Path, sdist: Path, tmp_path: Path) -> None:
    """The sdist is complete: it results in the same wheel."""
    build_package(sdist, tmp_path)
    assert (tmp_path / WHEEL).read_bytes() == (package / WHEEL).read_bytes()


def test_description(sdist: Path) -> None:
    """The README that an index shows has no link or picture that is dead outside this repository."""
    description = message_from_bytes((sdist / "PKG-INFO").read_bytes())
    assert description["Description-Content-Type"] == "text/markdown"
    page = description.get_payload(decode=True)
    assert isinstance(page, bytes)
    text = re.sub(r"^```.*?^```$", "", page.decode(), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(
        r"\]\(([^)\s]+)|^\[[^]]+\]: (\S+)|(?:href|src|srcset)=\"([^\"]+)", text, re.MULTILINE
    )
    for link in map("".join, links):
        assert link.startswith(("https://", "#")), link
        # GitHub's page about a picture is not the picture.
        if link.startswith(RAW):
            assert (REPOSITORY / link.removeprefix(RAW)).is_file(), link
        else:
            assert not link.endswith((".png", ".svg")), link


PLUGIN_TEST = """
from urllib.request import Request, urlopen


def test_log_in(mock_portal):
    with urlopen(Request(mock_portal.url + "/Login", b'{"apiToken": "demo-token"}')) as answer:
        assert answer.status == 200
    mock_portal.journal.assert_called_once("POST", "/Login")
"""


@pytest.mark.timeout(300)
def test_installation(package: Path, tmp_path: Path) -> None:
    """Pip installs the wheel into an empty environment; the program runs, and pytest has the fixture."""
    version = OLDER_PYTHONS[0]
    found = subprocess.run(  # noqa: S603
        [REPOSITORY / "scripts" / "find-python", version],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        pytest.skip(f"Python {version} is not here, and uv cannot get it")
    environment = tmp_path / "environment"

    def call(*command: str | Path) -> str:
        return subprocess.run(  # noqa: S603
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    call(found.stdout.strip(), "-m", "venv", environment)
    programs = environment / "bin"
    call(programs / "pip", "install", "--quiet", "--disable-pip-version-check", package / WHEEL)
    assert "serve" in call(programs / "mock-portal", "--help")
    call(programs / "pip", "install", "--quiet", "--disable-pip-version-check", "pytest")
    (tmp_path / "test_plugin.py").write_text(PLUGIN_TEST)
    assert "1 passed" in call(programs / "python", "-m", "pytest", "test_plugin.py")


# --- Releases


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout that is ready for a release."""
    root = tmp_path / "checkout"
    copy_parts(root, MANIFEST.parent, Path("LICENSE"), Path("pyproject.toml"), *PACKAGED)
    (root / CHANGELOG).write_text(
        "# Changelog\n\n## 99.0.0 (not released)\n\n- Soon.\n\n"
        f"## {VERSION} (2026-12-01)\n\n- Now.\n\n## 0.0.1 (2026-11-01)\n\n- Before.\n"
    )
    git(root, "init", "--quiet")
    commit(root)
    return root


def git(root: Path, *arguments: str) -> None:
    """Run git with a fixed configuration and identity."""
    person = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", *person, *arguments], cwd=root, check=True)  # noqa: S603, S607


def commit(root: Path) -> None:
    """Commit everything."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--no-gpg-sign", "--message", "Release")


def run(root: Path, *options: str) -> Path:
    """Run scripts/release in a checkout, and return the path of the archive."""
    output = root.parent / "dist"
    release(["--root", str(root), "--output", str(output), *options])
    return output / ARCHIVE


def refusal(root: Path, *options: str) -> str:
    """Return the message with which scripts/release refuses a checkout, and check that it leaves no files."""
    with pytest.raises(SystemExit) as refused:
        run(root, *options)
    assert not (root.parent / "dist").exists()
    return str(refused.value)


def test_release(checkout: Path) -> None:
    """A release has exactly the files of the integration, and the release notes."""
    cache = (checkout / MANIFEST).with_name("__pycache__")
    cache.mkdir()
    (cache / "sensor.pyc").touch()
    (checkout / ".git" / "info" / "exclude").write_text("__pycache__/\n")

    archive = run(checkout, "--tag", f"v{VERSION}")

    with zipfile.ZipFile(archive) as content:
        assert {name: content.read(name) for name in content.namelist()} == {
            path.relative_to(INTEGRATION).as_posix(): path.read_bytes()
            for path in INTEGRATION.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
    assert archive.with_name(NOTES).read_text() == "- Now.\n"
    assert {path.name for path in archive.parent.iterdir()} == {ARCHIVE, NOTES, SDIST, WHEEL}


def test_release_is_reproducible(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files result in the same archives, whatever their time stamps and order."""
    first = contents(run(checkout).parent)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    for path in sorted(checkout.rglob("*.py"), reverse=True):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        # A wheel keeps a program executable; the archive of the integration has none.
        path.chmod(0o755 if path.is_relative_to(checkout / MANIFEST.parent) else 0o664)
    git(checkout, "config", "core.fileMode", "false")
    assert contents(run(checkout).parent) == first


def test_release_check(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A check reports success, and builds nothing."""
    assert not run(checkout, "--check").exists()
    assert f"{VERSION} can be released" in capsys.readouterr().out


def test_release_of_another_tag(checkout: Path) -> None:
    """A tag that names another version than the manifest is refused."""
    assert "the tag is v99.0.0, but" in refusal(checkout, "--tag", "v99.0.0")


def test_release_of_two_versions(checkout: Path) -> None:
    """A mock portal of another version than the integration is refused."""
    project = checkout / "pyproject.toml"
    project.write_text(
        project.read_text().replace(f'\nversion = "{VERSION}"', '\nversion = "99.0.0"')
    )
    commit(checkout)
    assert "pyproject.toml says 99.0.0, but" in refusal(checkout, "--check")


@pytest.mark.parametrize("version", ["99.0.0", "98.0.0", "0.0"])
def test_release_without_a_date(checkout: Path, version: str) -> None:
    """A version that the changelog lacks, or lists without a date, is refused."""
    manifest = (checkout / MANIFEST).read_text().replace(f'"{VERSION}"', f'"{version}"')
    (checkout / MANIFEST).write_text(manifest)
    commit(checkout)
    assert f"CHANGELOG.md has no '## {version} (YYYY-MM-DD)'" in refusal(checkout)


@pytest.mark.parametrize(
    "name",
    [str(MANIFEST), str(MANIFEST.with_name("new.py")), "CHANGELOG.md", "mock_portal/cli.py"],
)
def test_release_of_what_is_not_committed(checkout: Path, name: str) -> None:
    """Uncommitted files are named and refused, as the release could not be reproduced."""
    with (checkout / name).open("a") as file:
        file.write("\n")
    assert name in refusal(checkout, "--check")


def test_release_outside_of_git(checkout: Path) -> None:
    """Nothing is released where git cannot say what is committed."""
    shutil.rmtree(checkout / ".git")
    assert "git cannot tell" in refusal(checkout)


# --- GitHub

GITHUB = REPOSITORY / ".github"
WORKFLOWS = sorted(path.name for path in GITHUB.glob("workflows/*"))
FORMS = sorted(path.name for path in GITHUB.glob("ISSUE_TEMPLATE/*_*.yml"))
VALIDATORS = {"home-assistant/actions/hassfest", "hacs/action"}
# An action is pinned by its commit; Dependabot reads the version or branch behind it.
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # (v\d+\.\d+\.\d+|main|master)\n")


def workflow(name: str) -> dict[str, Any]:
    """Return a workflow; YAML reads its key `on` as true."""
    content: dict[str, Any] = load(GITHUB / "workflows" / name)
    content["on"] = content.pop(True)  # type: ignore[call-overload]
    return content


def steps(name: str) -> Iterator[dict[str, Any]]:
    """Yield the steps of all jobs of a workflow."""
    for job in workflow(name)["jobs"].values():
        yield from job["steps"]


def test_workflows_are_all() -> None:
    """Style, tests, hassfest, HACS and releases each have their workflow."""
    assert WORKFLOWS == ["checks.yml", "release.yml", "validate.yml"]
    used = {
        step["uses"].partition("@")[0]
        for name in WORKFLOWS
        for step in steps(name)
        if "uses" in step
    }
    assert used > VALIDATORS
    called = "\n".join(step["run"] for name in WORKFLOWS for step in steps(name) if "run" in step)
    for command in ("lint", "test", "test-kit", "setup-next", "release"):
        assert re.search(rf"^scripts/{command}\b(?!-)", called, re.MULTILINE)


READ_ONLY = {"contents": "read"}
# What a job may do besides.
ALLOWED = {
    "release": {"contents": "write"},
    "publish": READ_ONLY | {"id-token": "write"},
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_is_frugal(name: str) -> None:
    """A workflow has read permissions only, no secrets, no parallel runs, and a time limit."""
    content = workflow(name)
    assert content["permissions"] == READ_ONLY
    assert content["concurrency"]["group"].startswith(name.removesuffix(".yml"))
    assert "secrets." not in (GITHUB / "workflows" / name).read_text()
    for key, job in content["jobs"].items():
        assert job.get("permissions", READ_ONLY) == ALLOWED.get(key, READ_ONLY)
        assert job["timeout-minutes"] <= 60


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_steps(name: str) -> None:
    """Actions are pinned, scripts exist and are executable, and no untrusted text reaches a shell."""
    text = (GITHUB / "workflows" / name).read_text()
    assert len(PINNED.findall(text)) == text.count("uses:")
    for step in steps(name):
        if "uses" in step:
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}
            continue
        assert "${{" not in step["run"]
        for script in re.findall(r"\bscripts/[\w-]+", step["run"]):
            assert (REPOSITORY / script).stat().st_mode & 0o111, script


def test_release_workflow() -> None:
    """A tag releases the archives that scripts/release built, once the tests have passed on all versions."""
    content = workflow("release.yml")
    assert content["on"] == {"push": {"tags": ["v*"]}}
    called = [step["run"] for step in content["jobs"]["release"]["steps"] if "run" in step]
    assert called[:-1] == [
        'scripts/release --tag "$GITHUB_REF_NAME"',
        "scripts/setup-next",
        "scripts/test tests/e2e/test_install.py",
        "scripts/test-kit",
    ]
    assert f"dist/{ARCHIVE} dist/mock_portal-*" in called[-1]
    assert f"--notes-file dist/{NOTES}" in called[-1]


def test_publishing_waits_for_the_owner() -> None:
    """The package is published after the release, from its files, with the owner's consent, without a password."""
    job = workflow("release.yml")["jobs"]["publish"]
    assert job["needs"] == "release"
    assert job["if"] == "vars.PUBLISH_MOCK_PORTAL == 'true'"
    download, publish = job["steps"]
    assert download["run"].startswith('gh release download "$GITHUB_REF_NAME" ')
    assert publish.keys() == {"uses"}
    steps_for_the_owner = (REPOSITORY / "CONTRIBUTING.md").read_text().partition("## Release\n")[2]
    assert f"the environment `{job['environment']}`" in steps_for_the_owner
    assert "`PUBLISH_MOCK_PORTAL` with the value `true`" in steps_for_the_owner


ELEMENT = vol.Schema(
    {
        vol.Required("type"): vol.In(["markdown", "textarea", "input", "dropdown", "checkboxes"]),
        vol.Required("attributes"): vol.Any(
            {vol.Required("value"): str},
            {
                vol.Required("label"): str,
                vol.Optional("description"): str,
                vol.Optional("placeholder"): str,
                vol.Optional("render"): str,
                vol.Optional("options"): vol.All([str], vol.Length(min=2)),
            },
        ),
        vol.Optional("id"): vol.Match(r"^[\w-]+$"),
        vol.Optional("validations"): {"required": bool},
    }
)
FORM = vol.Schema(
    {
        vol.Required("name"): str,
        vol.Required("description"): str,
        vol.Required("labels"): [str],
        vol.Required("body"): [ELEMENT],
    }
)


@pytest.mark.parametrize("name", FORMS)
def test_issue_form(name: str) -> None:
    """GitHub accepts the form: every field has a unique ID, and a dropdown has options."""
    form = FORM(load(GITHUB / "ISSUE_TEMPLATE" / name))
    fields = [element for element in form["body"] if element["type"] != "markdown"]
    identifiers = [field["id"] for field in fields]
    assert len(set(identifiers)) == len(identifiers) > 0
    for field in fields:
        assert ("options" in field["attributes"]) == (field["type"] == "dropdown")


def test_bug_report_asks_for_what_helps() -> None:
    """A bug report requires diagnostics, both versions and the log."""
    assert FORMS == ["bug_report.yml", "feature_request.yml"]
    body = load(GITHUB / "ISSUE_TEMPLATE" / "bug_report.yml")["body"]
    required = {part["id"] for part in body if part.get("validations", {}).get("required")}
    assert required >= {"diagnostics", "integration_version", "home_assistant_version", "log"}


def test_issue_config() -> None:
    """Blank issues are disabled, and the links lead to this repository."""
    config = load(GITHUB / "ISSUE_TEMPLATE" / "config.yml")
    assert config["blank_issues_enabled"] is False
    for link in config["contact_links"]:
        assert link.keys() == {"name", "url", "about"}
        path, _, anchor = link["url"].removeprefix(URL).partition("#")
        if anchor:
            assert f"\n## {anchor.capitalize()}\n" in (REPOSITORY / "README.md").read_text()
        else:
            assert (REPOSITORY / path.removeprefix("/blob/main/")).is_file()


def test_dependabot() -> None:
    """Dependabot proposes newer versions of the actions."""
    config = load(GITHUB / "dependabot.yml")
    assert config["version"] == 2
    assert [update["package-ecosystem"] for update in config["updates"]] == ["github-actions"]


def test_dev_container() -> None:
    """The container has the required Python, runs scripts/setup, and forwards the ports of scripts/develop."""
    container = json.loads((REPOSITORY / ".devcontainer.json").read_text())
    assert container["image"] == "python:3.14"
    assert (REPOSITORY / container["postCreateCommand"]).is_file()
    develop = (REPOSITORY / "scripts" / "develop.py").read_text()
    for port in container["forwardPorts"]:
        assert (
            f'"--{"port" if port == 8123 else "portal-port"}", type=int, default={port}' in develop
        )


# What takes the place of uv: an environment is a folder with a link to a Python.
FAKE_UV = f"""#!/bin/sh
case "$1" in
  python) echo "{sys.executable}" ;;
  venv)
    for folder; do :; done
    mkdir -p "$folder/bin"
    ln -s "{sys.executable}" "$folder/bin/python"
    ;;
esac
"""


@pytest.mark.parametrize("script", ["setup", "setup-next"])
def test_python_of_the_environment_is_gone(tmp_path: Path, script: str) -> None:
    """An environment whose Python was removed, or that came from elsewhere, is installed again."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    shutil.copy(REPOSITORY / "scripts" / script, folder)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    for name, text in (("uv", FAKE_UV), ("setup", "#!/bin/sh\n")):
        if name != script:
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
    environment = ".venv" if script == "setup" else ".tools/homeassistant-next"
    python = tmp_path / environment / "bin" / "python"

    for _ in range(2):
        subprocess.run([folder / script], check=True, capture_output=True)  # noqa: S603
        assert python.exists()
        python.unlink()
        python.symlink_to(tmp_path / "gone")
