"""Temporary database servers."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import signal
import subprocess
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp.test_utils import unused_port
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from .servers import PASSWORD, find_program, running_server

USER = "homeassistant"
MARIADB_USER = f"""
CREATE DATABASE {USER};
CREATE USER {USER}@127.0.0.1 IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON {USER}.* TO {USER}@127.0.0.1;
"""


@contextmanager
def postgresql() -> Iterator[str]:
    """Run an empty PostgreSQL on loopback, and yield the URL of its database."""
    initdb = find_program("initdb", "postgresql", *Path("/usr/lib/postgresql").glob("*/bin"))
    # The link to initdb may be alone in its folder; the other programs are beside its target.
    programs = initdb.resolve().parent
    # Not pytest's folder: PostgreSQL refuses to run as root, and other users cannot read that folder.
    with TemporaryDirectory(prefix="postgresql-") as name:
        folder, port = Path(name), unused_port()
        account = _postgresql_account(folder)
        password = folder / "password"
        password.write_text(PASSWORD)
        subprocess.run(  # noqa: S603
            [
                initdb,
                *("--pgdata", folder / "data", "--username", USER, "--pwfile", password),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **account,
        )
        url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        with running_server(
            [
                programs / "postgres",
                *("-D", folder / "data", "-p", str(port), "-c", "fsync=off"),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            ],
            folder=folder,
            is_ready=lambda: _accepts_connections(url),
            # This signal stops the server at once, whoever is still connected.
            stop_signal=signal.SIGINT,
            account=account,
        ):
            yield url


def _postgresql_account(folder: Path) -> dict[str, Any]:
    """Return the user that is to run PostgreSQL, and give them the folder."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "postgres", "postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


@contextmanager
def mariadb() -> Iterator[str]:
    """Run an empty MariaDB on loopback, and yield the URL of its database."""
    packages = "mariadb-server-core mariadb-client-core"
    server = find_program("mariadbd", packages, Path("/usr/sbin"))
    install_db = find_program("mariadb-install-db", packages)
    # Not pytest's folder: the path of a socket must be short.
    with TemporaryDirectory(prefix="mariadb-") as name:
        folder, port = Path(name), unused_port()
        options = ["--no-defaults", f"--datadir={folder / 'data'}"]
        if os.geteuid() == 0:
            options.append("--user=root")  # MariaDB runs as root only when told to
        subprocess.run(  # noqa: S603
            [install_db, *options, "--auth-root-authentication-method=socket", "--skip-test-db"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        (folder / "user.sql").write_text(MARIADB_USER)
        url = f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:{port}/{USER}?charset=utf8mb4"
        with running_server(
            [
                server,
                *(*options, f"--port={port}", "--bind-address=127.0.0.1"),
                *(f"--socket={folder / 'socket'}", f"--init-file={folder / 'user.sql'}"),
                *("--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"),
            ],
            folder=folder,
            is_ready=lambda: _accepts_connections(url),
        ):
            yield url


def _accepts_connections(url: str) -> bool:
    """Return whether a database accepts connections."""
    try:
        create_engine(url, poolclass=NullPool).connect().close()
    except OperationalError:
        return False
    return True
