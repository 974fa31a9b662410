"""The documentation is correct: files and links exist, and every example is tested."""

from collections.abc import Iterator
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest

from scripts.hass_process import INTEGRATION, REPOSITORY

MOCK = REPOSITORY / "mock_portal"
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for folder in (".", "docs", "mock_portal", ".github")
    for path in (REPOSITORY / folder).glob("*.md")
)
TEXTS = {page: (REPOSITORY / page).read_text() for page in PAGES}

HERE = "tests/test_docs.py"
# The test of the examples of a page and language; `console` blocks are for readers only.
TESTED_BY = {
    ("CONTRIBUTING.md", "diff"): HERE,
    ("CONTRIBUTING.md", "sh"): HERE,
    ("README.md", "sh"): HERE,
    ("README.md", "text"): "tests/test_sim_list.py",
    ("docs/architecture.md", "mermaid"): HERE,
    ("docs/automations.md", "yaml"): "tests/integration/test_automations_page.py",
    ("docs/examples.md", "yaml"): "tests/integration/test_docs.py",
    ("docs/fleets.md", "promql"): "tests/e2e/test_fleets_doc.py",
    ("docs/fleets.md", "yaml"): "tests/e2e/test_fleets_doc.py",
    ("mock_portal/README.md", "dockerfile"): "tests/mock_portal/test_readme.py",
    ("mock_portal/README.md", "python"): "tests/mock_portal/test_readme.py",
    ("mock_portal/README.md", "sh"): "tests/mock_portal/test_readme.py",
    ("mock_portal/README.md", "yaml"): "tests/mock_portal/test_readme.py",
}
FIRST_TEST = "tests/integration/test_billing.py"
CHECKS = ".github/workflows/checks.yml"
# Where each command of a page is run.
RUN_BY = {
    "scripts/develop": (CHECKS, "- run: scripts/develop --check\n"),
    "scripts/lint": (CHECKS, "- run: scripts/lint\n"),
    "scripts/test": (CHECKS, "- run: scripts/test\n"),
    f"scripts/test {FIRST_TEST}": (HERE, f'FIRST_TEST = "{FIRST_TEST}"\n'),
}


class Block(NamedTuple):
    """A code block."""

    page: str
    language: str
    text: str


def blocks() -> Iterator[Block]:
    """Yield the code blocks of all pages."""
    for page, text in TEXTS.items():
        for indent, language, block in re.findall(
            r"^( *)```(\S*)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE
        ):
            yield Block(page, language, re.sub(rf"^{indent}", "", block, flags=re.MULTILINE))


BLOCKS = list(blocks())


def prose(page: str) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)


def test_every_example_is_tried() -> None:
    """Each code block has a language, and is tested by a file that knows its page, unless only readers can run it."""
    found = {(page, language) for page, language, _ in BLOCKS if language != "console"}
    assert found == TESTED_BY.keys()
    for (page, _), test in TESTED_BY.items():
        assert Path(page).name in (REPOSITORY / test).read_text()


def test_commands() -> None:
    """Each command in an `sh` block is run by a test or a workflow."""
    promised = {
        line.partition("#")[0].strip()
        for page, language, text in BLOCKS
        if language == "sh" and TESTED_BY[page, language] == HERE
        for line in text.splitlines()
    }
    assert promised == RUN_BY.keys()
    for path, text in RUN_BY.values():
        assert text in (REPOSITORY / path).read_text()


# --- Links and paths

# A pull request shows the content of its template, where relative links do not work.
OURS = "https://github.com/seed-8fbb6451/ha-iot-portal/blob/main/"


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub creates them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    """Every link to this repository leads to an existing file and heading."""
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        target, _, anchor = link.partition("#")
        path = (REPOSITORY / page).parent / target if target else REPOSITORY / page
        if target.startswith(OURS):
            path = REPOSITORY / target.removeprefix(OURS)
        elif target.startswith("https://"):
            continue
        if not path.exists() or (
            anchor and anchor not in anchors(path.resolve().relative_to(REPOSITORY).as_posix())
        ):
            wrong.append(link)
    assert wrong == []


FOLDERS = "|".join(
    re.escape(name)
    for name in (
        *(".ci", ".github", "benchmarks", "blueprints", "config", "custom_components"),
        *("docs", "mock_portal", "scripts", "tests"),
    )
)


@pytest.mark.parametrize("page", PAGES)
def test_paths(page: str) -> None:
    """Every file and folder of this repository that a page names exists."""
    # The arguments of a command follow its path.
    named = re.findall(rf"`((?:{FOLDERS})/[^\s`:]*)", prose(page))
    assert [path for path in named if not list(REPOSITORY.glob(path))] == []


def test_promises() -> None:
    """Every test that is quoted for a promise exists; a test without a file is in the one before."""
    missing, file = [], ""
    for named, test in re.findall(
        r"`(?:(tests/[\w/]+\.py)(?:::)?)?(test_\w+)?`", TEXTS["docs/reliability.md"]
    ):
        file = named or file
        if test and f"def {test}(" not in (REPOSITORY / file).read_text():
            missing.append(f"{file}::{test}")
    assert missing == []


# --- Pictures

PICTURE = re.compile(
    r'<picture>\n  <source media="\(prefers-color-scheme: dark\)" srcset="(\S+)-dark\.png">\n'
    r'  <img alt="[^"]{40,}" src="\1-light\.png" width="\d+">\n</picture>'
)


LOGO = re.compile(
    r'<picture>\n  <source media="\(prefers-color-scheme: dark\)" srcset="(\S+)/dark_(logo\.png)">\n'
    r'  <img alt="[^"]{40,}" src="\1/\2" width="\d+">\n</picture>'
)


def test_logo() -> None:
    """The README shows the logo of the integration, in light and dark."""
    assert LOGO.findall(TEXTS["README.md"]) == [
        ((INTEGRATION / "brand").relative_to(REPOSITORY).as_posix(), "logo.png")
    ]


# The README of the mock portal is also shown where there is no repository.
ON_GITHUB = "https://raw.githubusercontent.com/seed-8fbb6451/ha-iot-portal/main"


def test_pictures() -> None:
    """Every other image is shown in light and dark, has an alternative text, and is small."""
    shown = [
        ((REPOSITORY / page).parent / f"{name}-{theme}.png".replace(ON_GITHUB, "..")).resolve()
        for page in PAGES
        for name in PICTURE.findall(prose(page))
        for theme in ("light", "dark")
    ]
    others = (LOGO.sub("", text) for text in TEXTS.values())
    assert len(shown) == sum(len(re.findall("<(?:img|source) ", text)) for text in others)
    kept = set((REPOSITORY / "docs" / "pictures").iterdir())
    assert set(shown) == kept
    assert all(path.stat().st_size < 150_000 for path in kept)


# --- The architecture

ARCHITECTURE = TEXTS["docs/architecture.md"]


def modules(root: Path) -> list[str]:
    """Return the names of the modules of a package."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))


@pytest.mark.parametrize(
    ("heading", "root"),
    [
        ("The integration, module by module", INTEGRATION),
        ("The mock portal, module by module", MOCK),
    ],
    ids=["integration", "mock"],
)
def test_modules(heading: str, root: Path) -> None:
    """Every module has exactly one line in the document, and every line has a module."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)^## ", ARCHITECTURE, re.DOTALL | re.MULTILINE)
    assert sorted(re.findall(r"^\| `(\S+\.py)` \| \S", section, re.MULTILINE)) == modules(root)


def test_picture() -> None:
    """The diagram's arrows connect all of its boxes, and the boxes name existing modules."""
    (picture,) = (text for _, language, text in BLOCKS if language == "mermaid")
    kind, *lines = (line.strip() for line in picture.splitlines() if line)
    assert kind == "flowchart LR"
    assert lines.count("end") == sum(line.startswith("subgraph ") for line in lines) > 0
    boxes = dict(re.findall(r'^ +(\w+)[\[(]+"(.*)"[\])]+$', picture, re.MULTILINE))
    arrows = [line.split() for line in lines if "--" in line]
    assert {end for arrow in arrows for end in (arrow[0], arrow[-1])} == boxes.keys()
    named = {
        name
        for label in boxes.values()
        for part in label.split("<br/>")[1:]
        for name in re.findall(r"\w+", part)
    }
    assert named
    assert named <= {Path(name).stem for name in modules(INTEGRATION)} | {"api"}


# --- The first change


def edit(root: Path, diff: str) -> None:
    """Apply a diff of one line."""
    (path,) = re.findall(r"^\+\+\+ b/(\S+)$", diff, re.MULTILINE)
    (old,) = re.findall(r"^-(?!--)(.*)$", diff, re.MULTILINE)
    (new,) = re.findall(r"^\+(?!\+\+)(.*)$", diff, re.MULTILINE)
    text = (root / path).read_text()
    assert text.count(f"{old}\n") == 1
    (root / path).write_text(text.replace(f"{old}\n", f"{new}\n"))


def passes(root: Path, test: str) -> bool:
    """Return whether a test file passes in a copy of the repository."""
    return not subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=root,
        capture_output=True,
        check=False,
    ).returncode


def test_first_change(tmp_path: Path) -> None:
    """The change in CONTRIBUTING.md first makes a test fail, and then pass, as it says."""
    for name in ("custom_components", "mock_portal", "scripts", "tests"):
        shutil.copytree(
            REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    in_test, in_code = (text for _, language, text in BLOCKS if language == "diff")
    edit(tmp_path, in_test)
    assert not passes(tmp_path, FIRST_TEST)
    edit(tmp_path, in_code)
    assert passes(tmp_path, FIRST_TEST)
