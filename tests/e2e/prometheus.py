"""A temporary Prometheus server."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
import time
from typing import Any

from aiohttp import ClientSession
from aiohttp.test_utils import unused_port
import yaml

from .common import WAIT
from .servers import find_program, running_server

HOST = "127.0.0.1"
# Beside the configuration.
TOKEN_FILE = "token"

type Samples = list[tuple[dict[str, str], float]]
"""The labels and the value of each result of a query, in the order of Prometheus."""


class Prometheus:
    """The HTTP API of a Prometheus server."""

    def __init__(self, port: int, folder: Path) -> None:
        """Store the port and the folder of the configuration."""
        self._url = f"http://{HOST}:{port}/api/v1"
        self._folder = folder

    def store_token(self, token: str) -> None:
        """Store the token for Home Assistant, which Prometheus reads before each scrape."""
        (self._folder / TOKEN_FILE).write_text(token)

    async def get(self, path: str, **params: str) -> Any:
        """Return the data of a response."""
        async with (
            ClientSession() as session,
            session.get(f"{self._url}/{path}", params=params) as response,
        ):
            answer = await response.json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def query(self, expression: str) -> Samples:
        """Return the current result of a query."""
        data = await self.get("query", query=expression)
        assert data["resultType"] == "vector"
        return [(result["metric"], float(result["value"][1])) for result in data["result"]]

    async def query_range(self, expression: str) -> Samples:
        """Return the last value of each series that a query has had in the last minute."""
        now = time.time()
        data = await self.get(
            "query_range", query=expression, start=str(now - 60), end=str(now), step="1"
        )
        return [(result["metric"], float(result["values"][-1][1])) for result in data["result"]]

    async def until(self, expression: str, is_wanted: Callable[[Samples], bool]) -> None:
        """Repeat a query until its result is as wanted."""
        until = time.monotonic() + WAIT
        while not is_wanted(samples := await self.query(expression)):
            assert time.monotonic() < until, samples
            await asyncio.sleep(0.2)


@contextmanager
def running_prometheus(folder: Path, configuration: dict[str, Any]) -> Iterator[Prometheus]:
    """Run an empty Prometheus on loopback."""
    program = find_program("prometheus", "prometheus")
    port = unused_port()
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    with running_server(
        [
            *(program, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"),
            *(f"--web.listen-address={HOST}:{port}", "--log.level=warn"),
        ],
        folder=folder,
        is_ready=lambda: _is_ready(port),
    ):
        yield Prometheus(port, folder)


def _is_ready(port: int) -> bool:
    """Return whether Prometheus answers queries."""
    connection = HTTPConnection(HOST, port)
    with suppress(ConnectionRefusedError):
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == HTTPStatus.OK
    return False
