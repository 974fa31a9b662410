"""Build the archives of a release: the integration, and the package of the mock portal."""

import argparse
from calendar import timegm
from collections.abc import Iterator
import json
import os
from pathlib import Path
import re
import subprocess
import sys
import tomllib
import zipfile

REPOSITORY = Path(__file__).resolve().parent.parent
INTEGRATION = Path("custom_components", "iot_portal")
MANIFEST = INTEGRATION / "manifest.json"
PROJECT = Path("pyproject.toml")
CHANGELOG = Path("CHANGELOG.md")
ARCHIVE = "iot_portal.zip"
NOTES = "release_notes.md"
# The earliest time that an archive can hold, so that the same files always make the same archive.
ALWAYS = (1980, 1, 1, 0, 0, 0)


class ReleaseError(Exception):
    """The release is not possible; the message says what to do."""


def version(root: Path) -> str:
    """Return the version of the integration."""
    found: str = json.loads((root / MANIFEST).read_text())["version"]
    return found


def notes(root: Path, wanted: str) -> str:
    """Return the section of a version, which must have a date, from the changelog."""
    sections = re.split(r"^## ", (root / CHANGELOG).read_text(), flags=re.MULTILINE)
    for section in sections[1:]:
        heading, _, text = section.partition("\n")
        if re.fullmatch(rf"{re.escape(wanted)} \(\d{{4}}-\d\d-\d\d\)", heading):
            return f"{text.strip()}\n"
    msg = f"{CHANGELOG} has no '## {wanted} (YYYY-MM-DD)'; say there what is new in it, and since when"
    raise ReleaseError(msg)


def require_committed(root: Path) -> None:
    """Raise an error if files are not committed."""
    status = subprocess.run(
        ["git", "status", "--porcelain"],  # noqa: S607
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if status.returncode:
        msg = f"git cannot tell what is committed: {status.stderr.strip()}"
        raise ReleaseError(msg)
    if changed := status.stdout.rstrip():
        msg = f"commit or undo these first:\n{changed}"
        raise ReleaseError(msg)


def require_tag(root: Path, tag: str) -> None:
    """Raise an error if the tag does not name the version of the manifest."""
    if tag.removeprefix("v") != version(root):
        msg = f"the tag is {tag}, but {MANIFEST} says {version(root)}"
        raise ReleaseError(msg)


def require_same_version(root: Path) -> None:
    """Raise an error if the mock portal has another version than the integration."""
    project = tomllib.loads((root / PROJECT).read_text())["project"]
    if project["version"] != version(root):
        msg = f"{PROJECT} says {project['version']}, but {MANIFEST} says {version(root)}"
        raise ReleaseError(msg)


def files(root: Path) -> Iterator[Path]:
    """Yield the files of a release in a fixed order."""
    for path in sorted((root / INTEGRATION).rglob("*")):
        parts = path.relative_to(root / INTEGRATION).parts
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in parts):
            yield path


def build(root: Path, archive: Path) -> None:
    """Write the archive with the content of the integration's folder, as HACS and the Marketplace expect.

    It is not compressed, because the compressed size depends on the version of zlib.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as written:
        for path in files(root):
            entry = zipfile.ZipInfo(path.relative_to(root / INTEGRATION).as_posix(), ALWAYS)
            entry.create_system = 3  # Unix, on every machine
            entry.external_attr = 0o100644 << 16
            written.writestr(entry, path.read_bytes())


def build_package(root: Path, output: Path) -> None:
    """Build the sdist and the wheel of the mock portal."""
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "hatchling", "build", "--directory", str(output.resolve())],
        cwd=root,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(timegm(ALWAYS))},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        msg = f"the package of the mock portal cannot be built:\n{result.stderr.strip()}"
        raise ReleaseError(msg)


def release(options: argparse.Namespace) -> None:
    """Check the release, then build it."""
    root: Path = options.root
    if not options.draft:
        if options.tag:
            require_tag(root, options.tag)
        new = notes(root, version(root))
        require_same_version(root)
        require_committed(root)
        if options.check:
            print(f"==> {version(root)} can be released")
            return
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / NOTES).write_text(new)
    build(root, options.output / ARCHIVE)
    build_package(root, options.output)
    print(f"==> {options.output} holds {version(root)}: {ARCHIVE}, the sdist and the wheel")


def main(arguments: list[str] | None = None) -> None:
    """Parse the options and release."""
    parser = argparse.ArgumentParser(
        prog="scripts/release",
        description=f"Builds {ARCHIVE}, the package of the mock portal and {NOTES} of the version that {MANIFEST} names. "
        "Refuses a version that the changelog does not give a date, and what is not committed.",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--check", action="store_true", help="only check whether a release is possible"
    )
    kind.add_argument("--draft", action="store_true", help="build the archives without any check")
    parser.add_argument("--tag", help="the tag of the release; must name the version")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "dist", help="where to build")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="what to build from")
    try:
        release(parser.parse_args(arguments))
    except ReleaseError as err:
        sys.exit(f"release: {err}")


if __name__ == "__main__":
    main()
