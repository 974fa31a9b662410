"""Measure how fast the mock portal starts and answers, compared with a bare handler, Prism and Mockoon.

Every server answers `GET /ctdUsage/{ICCID}` with the published body, which is checked first. In
each round each server is started, asked until it answers well, loaded with a fixed number of
requests, and stopped. The table shows medians over the rounds.
"""

from argparse import Namespace
import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import json
import os
from pathlib import Path
import socket
import sys
from tempfile import TemporaryDirectory
import time

from aiohttp import ClientConnectionError, ClientSession

from . import _node
from ._machine import cpu_seconds, say
from ._report import BenchmarkError, as_json, footer, medians, parser, run, table

ROOT = Path(__file__).parent.parent
COLLECTION = ROOT / "docs" / "iot-portal-core-api.postman_collection.json"
ROUTE = "/ctdUsage/8931082322089353632"
LOGIN = {"clientId": "demo-client", "secretKey": "demo-secret"}

BARE = "bare aiohttp handler"
START_TIMEOUT = 60
STOP_TIMEOUT = 5
POLL_INTERVAL = 0.002

# Compiled as pip would have done it, even where the environment forbids it to Python.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPYCACHEPREFIX": str(_node.TOOLS / "pycache"),
}


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server to measure; `base` is its base path."""

    name: str
    command: Sequence[str]
    base: str = ""
    has_login: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The results of one server in one round.

    `start` is seconds until the first good answer, `rate` requests a second, `cpu` milliseconds of
    the server's CPU a request, where the system tells.
    """

    start: float
    rate: float
    cpu: float


type Results = Mapping[str, Sequence[Sample]]
"""The samples of each server; none when it was not measured."""


def main() -> None:
    """Run the benchmark and print the results."""
    arguments = parser("mock", __doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument(
        "--requests", type=int, default=4000, help="number of requests a round and server"
    )
    arguments.add_argument("--connections", type=int, default=8)
    options = arguments.parse_args()
    results = run(_measure(options, has_node=_node.install()))
    versions = _node.PACKAGES
    print(as_json(results, options, versions) if options.json else _as_table(results))


async def _measure(options: Namespace, *, has_node: bool) -> Results:
    """Return the samples of all rounds."""
    results: dict[str, list[Sample]] = {}
    with TemporaryDirectory() as folder:
        for number in range(options.rounds + 1):
            for server, is_there in _servers(Path(folder), has_node=has_node):
                samples = results.setdefault(server.name, [])
                if is_there:
                    say(f"Round {number} of {options.rounds}: {server.name}")
                    samples.append(await _sample(server, Path(folder) / "log", options))
    # Round 0 compiled Python's modules and filled the machine's caches.
    return {name: samples[1:] for name, samples in results.items()}


def _servers(folder: Path, *, has_node: bool) -> list[tuple[Server, bool]]:
    """Return the servers, each with whether it can be measured here."""
    body, environment = folder / "body.json", folder / "mockoon.json"
    body.write_text(_published_body())
    environment.write_text(json.dumps(_mockoon_environment(_published_body())))
    mock_portal = Server(
        name="mock-portal",
        command=(str(Path(sys.executable).parent / "mock-portal"), "serve", "--port", "{port}"),
        base="/api",
        has_login=True,
    )
    bare = Server(
        name=BARE, command=(sys.executable, "-m", "benchmarks._bare", "{port}", str(body))
    )
    prism = Server(
        name="Prism",
        command=(
            *(_node.program("prism"), "mock", "--port", "{port}", "--verboseLevel", "silent"),
            str(ROOT / "mock_portal" / "openapi.yaml"),
        ),
    )
    mockoon = Server(
        name="Mockoon",
        command=(
            *(_node.program("mockoon-cli"), "start", "--port", "{port}", "--hostname", "127.0.0.1"),
            *("--data", str(environment), "--disable-log-to-file", "--disable-admin-api"),
        ),
    )
    return [(mock_portal, True), (bare, True), (prism, has_node), (mockoon, has_node)]


def _published_body() -> str:
    """Return the published response to CTD Usage."""
    folders = json.loads(COLLECTION.read_text(encoding="utf-8"))["item"]
    items = {item["name"]: item for folder in folders for item in folder["item"]}
    body: str = items["CTD Usage"]["response"][0]["body"]
    return body


def _mockoon_environment(body: str) -> dict[str, object]:
    """Return a Mockoon data file with one route."""
    response = {
        "uuid": "response",
        "default": True,
        "statusCode": 200,
        "headers": [{"key": "Content-Type", "value": "application/json"}],
        "bodyType": "INLINE",
        "body": body,
        "disableTemplating": True,
    }
    route = {
        "uuid": "route",
        "type": "http",
        "method": "get",
        "endpoint": "ctdUsage/:ICCID",
        "responses": [response],
    }
    return {
        "uuid": "environment",
        "lastMigration": 33,
        "name": "benchmark",
        "port": 0,
        "routes": [route],
        "rootChildren": [{"type": "route", "uuid": "route"}],
    }


async def _sample(server: Server, log: Path, options: Namespace) -> Sample:
    """Start a server, wait for its first correct response, load it, and stop it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    began = time.perf_counter()
    async with _running(server, port, log) as process:
        token = await _first_good_answer(server, port, process, log)
        start = time.perf_counter() - began
        # Node compiles what it runs often, so the first requests do not count.
        await _load(server, port, token, options.requests // 4, options.connections)
        cpu = cpu_seconds(process.pid)
        rate = await _load(server, port, token, options.requests, options.connections)
        cpu = cpu_seconds(process.pid) - cpu
    return Sample(start=start, rate=rate, cpu=cpu / options.requests * 1000)


@asynccontextmanager
async def _running(
    server: Server, port: int, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a server while the context lasts."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(part.format(port=port) for part in server.command),
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _first_good_answer(
    server: Server, port: int, process: asyncio.subprocess.Process, log: Path
) -> str:
    """Send requests until the published body comes back, and return the token that was used."""
    deadline = time.monotonic() + START_TIMEOUT
    url = f"http://127.0.0.1:{port}{server.base}"
    async with ClientSession() as session:
        while process.returncode is None and time.monotonic() < deadline:
            with suppress(ClientConnectionError):
                return await _ask(server, url, session)
            await asyncio.sleep(POLL_INTERVAL)
    raise _failure(server, log)


def _failure(server: Server, log: Path) -> BenchmarkError:
    """Return the error for a server that did not start, with its output."""
    return BenchmarkError(f"{server.name} did not start: {log.read_text(errors='replace')[-2000:]}")


async def _ask(server: Server, url: str, session: ClientSession) -> str:
    """Log in, check the response and return the token."""
    token = "none"  # noqa: S105  the others take anything
    if server.has_login:
        async with session.post(f"{url}/Login", json=LOGIN) as answer:
            token = (await answer.json())["data"]["token"]
    async with session.get(url + ROUTE, headers={"Authorization": token}) as answer:
        text = await answer.text()
    if json.loads(text) != json.loads(_published_body()):
        msg = f"{server.name} answers something else: {text}"
        raise BenchmarkError(msg)
    return token


async def _load(server: Server, port: int, token: str, requests: int, connections: int) -> float:
    """Send requests from another process and return how many a second were answered."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks._load"),
        *(str(port), server.base + ROUTE, token, str(requests), str(connections)),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        msg = f"{server.name} could not be loaded (see above)"
        raise BenchmarkError(msg)
    return float(output)


def _as_table(results: Results) -> str:
    """Return the medians as a Markdown table."""
    columns = [
        "server",
        "start",
        "requests per second",
        "compared with the bare handler",
        "CPU per request",
    ]
    bare = medians(results[BARE]).rate
    rows = []
    for name, samples in results.items():
        cells = ["not measured", "", "", ""]
        if samples:
            middle = medians(samples)
            cells = [
                f"{middle.start:.2f} s",
                f"{middle.rate:.0f}",
                f"{middle.rate / bare:.2f}",
                f"{middle.cpu:.2f} ms",
            ]
        rows.append([name, *cells])
    return f"{table(columns, rows)}\n\n{footer(_node.PACKAGES)}"


if __name__ == "__main__":
    main()
