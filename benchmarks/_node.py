"""The mock servers from npm, installed on first use into .tools/node."""

import json
from pathlib import Path
import shutil
import subprocess
import sys
from tempfile import mkdtemp
import time

TOOLS = Path(__file__).parent.parent / ".tools"
FOLDER = TOOLS / "node"
# The newest Prism wants Node 24; this is the newest one for Node 18 to 22.
PACKAGES = {"@stoplight/prism-cli": "5.14.2", "@mockoon/cli": "9.9.0"}


def program(name: str) -> str:
    """Return the path of an installed program."""
    return str(FOLDER / "node_modules" / ".bin" / name)


def install() -> bool:
    """Install missing packages and return whether all are installed."""
    if all(_installed(name) == version for name, version in PACKAGES.items()):
        return True
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        _say("There is no node or no npm here, so Prism and Mockoon are not measured")
        return False
    _say(f"Installing {_list()} into .tools/node, once, some 200 MB")
    TOOLS.mkdir(exist_ok=True)
    # Built beside its place and moved there in one step, so that nothing half-installed stays.
    work = Path(mkdtemp(prefix="node.", dir=TOOLS))
    try:
        if not _run_npm(npm, work):
            _say("npm could not install them (see above), so Prism and Mockoon are not measured")
            return False
        shutil.rmtree(FOLDER, ignore_errors=True)
        work.rename(FOLDER)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


def _installed(name: str) -> str | None:
    """Return the version of an installed package."""
    try:
        text = (FOLDER / "node_modules" / name / "package.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    version: str = json.loads(text)["version"]
    return version


def _list() -> str:
    """Return the packages with their versions as text."""
    return " and ".join(f"{name} {version}" for name, version in PACKAGES.items())


def _run_npm(npm: str, folder: Path) -> bool:
    """Install the packages into a folder with npm and return whether that succeeded."""
    command = [
        *(npm, "install", f"--prefix={folder}", "--no-package-lock", "--no-save"),
        *("--no-audit", "--no-fund", "--loglevel=error"),
        *(f"{name}@{version}" for name, version in PACKAGES.items()),
    ]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=sys.stderr) as process:  # noqa: S603
        while True:
            try:
                return process.wait(timeout=5) == 0
            except subprocess.TimeoutExpired:
                _say(f"  {time.monotonic() - began:.0f} s")


def _say(text: str) -> None:
    """Print to standard error; standard output is for the results."""
    print(text, file=sys.stderr, flush=True)
