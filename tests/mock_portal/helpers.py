"""Functions and constants that several test modules of the mock portal share."""

import asyncio
from contextlib import closing
from http.client import HTTPConnection
import json
from pathlib import Path
import socket
import time
from typing import Any

import pytest

from mock_portal import MockPortal

COLLECTION = Path(__file__).parents[2] / "docs" / "iot-portal-core-api.postman_collection.json"
# The arguments with which pytest loads the plugin.
PLUGIN = ("-p", "mock_portal.pytest_plugin")


def collection_requests() -> list[dict[str, Any]]:
    """Return the requests of the published collection."""
    folders = json.loads(COLLECTION.read_text(encoding="utf-8"))["item"]
    return [item for folder in folders for item in folder["item"]]


# The published responses by the name of their route.
EXAMPLES = {
    item["request"]["url"].split("/")[1]: example
    for item in collection_requests()
    for example in item["response"]
}


def free_port() -> int:
    """Return a port on which nothing listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def send_raw(portal: MockPortal, data: bytes) -> bytes:
    """Send bytes to a portal, and return all that it sends until it closes the connection."""
    host, _, port = portal.url.split("/")[2].rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def wait_until_up(port: int) -> None:
    """Wait until a portal answers."""
    for _ in range(300):
        try:
            connection = HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/_mock/health")
            assert json.load(connection.getresponse())["status"] == "ok"
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            connection.close()
            return
    pytest.fail("The portal does not answer")
