"""A temporary PostgreSQL server."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import os
from pathlib import Path
import shutil
import signal
import subprocess
from tempfile import TemporaryDirectory
import time
from typing import Any

from aiohttp.test_utils import unused_port
import psycopg2

from .common import WAIT

USER = "homeassistant"
PASSWORD = "only-for-this-test"


def find_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, which Debian does not put on the PATH."""
    places = [os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    initdb = shutil.which("initdb", path=os.pathsep.join(places))
    # The link to initdb may be alone in its folder; the other programs are beside its target.
    return Path(initdb).resolve().parent if initdb else None


@contextmanager
def running_server(programs: Path) -> Iterator[str]:
    """Run an empty server on loopback, and yield the URL of its database."""
    # Not pytest's folder: PostgreSQL refuses to run as root, and other users cannot read that folder.
    with TemporaryDirectory(prefix="postgresql-") as name:
        folder, port = Path(name), unused_port()
        account = _account(folder)
        _create(programs, folder, account)
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(  # noqa: S603
                [
                    programs / "postgres",
                    *("-D", folder / "data", "-p", str(port), "-c", "fsync=off"),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                **account,
            )
        try:
            url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
            _wait_until_ready(server, url, folder / "log")
            yield url
        finally:
            # This signal stops the server at once, whoever is still connected.
            server.send_signal(signal.SIGINT)
            server.wait(WAIT)


def _account(folder: Path) -> dict[str, Any]:
    """Return the user that is to run PostgreSQL, and give them the folder."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "postgres", "postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


def _create(programs: Path, folder: Path, account: dict[str, Any]) -> None:
    """Create the files of a server with one user."""
    password = folder / "password"
    password.write_text(PASSWORD)
    subprocess.run(  # noqa: S603
        [
            programs / "initdb",
            *("--pgdata", folder / "data", "--username", USER, "--pwfile", password),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **account,
    )


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the server accepts connections."""
    until = time.monotonic() + WAIT
    while not _is_ready(url):
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)


def _is_ready(url: str) -> bool:
    """Return whether the server accepts connections."""
    with suppress(psycopg2.OperationalError):
        psycopg2.connect(url).close()
        return True
    return False
