"""Fail when the coverage of a module is below a floor: `python -m scripts.coverage_floor 95`."""

import json
from pathlib import Path
import subprocess
import sys
from tempfile import TemporaryDirectory


def main() -> None:
    """Read the coverage of the last test run and print the modules below the floor."""
    floor = float(sys.argv[1])
    with TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "coverage", "json", "-q", "--fail-under=0", "-o", str(report)],
            check=True,
        )
        files = json.loads(report.read_text())["files"]
    low = {
        name: covered
        for name, file in files.items()
        if (covered := file["summary"]["percent_covered"]) < floor
    }
    for name, covered in sorted(low.items()):
        print(f"{name}: {covered:.1f} % covered, at least {floor:g} % wanted")
    sys.exit(bool(low))


if __name__ == "__main__":
    main()
