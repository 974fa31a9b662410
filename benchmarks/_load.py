"""Send one request repeatedly and print the rate of responses a second.

`python -m benchmarks._load PORT PATH TOKEN REQUESTS CONNECTIONS`
"""

import asyncio
import re
import sys
import time

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


async def load(port: int, request: bytes, requests: int, connections: int) -> float:
    """Distribute the requests among connections and return the rate."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_converse(port, request, requests // connections))
    return requests // connections * connections / (time.perf_counter() - began)


async def _converse(port: int, request: bytes, times: int) -> None:
    """Send a request over one connection, each time after the response to the last.

    A full HTTP client would cost more than the servers that are measured.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(times):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(head.decode())
        if length := _LENGTH.search(head):
            await reader.readexactly(int(length[1]))
        else:
            await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    await writer.wait_closed()


def main() -> None:
    """Parse the arguments and print the rate."""
    port, path, token, requests, connections = sys.argv[1:]
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\n\r\n"
    print(asyncio.run(load(int(port), request.encode(), int(requests), int(connections))))


if __name__ == "__main__":
    main()
