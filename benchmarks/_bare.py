"""The smallest aiohttp server: one route, one body. `python -m benchmarks._bare PORT FILE`."""

import asyncio
from pathlib import Path
import sys

from aiohttp import web


async def serve(port: int, body: bytes) -> None:
    """Answer every usage request with the same body until stopped."""

    async def answer(_: web.Request) -> web.Response:
        """Return the response."""
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/ctdUsage/{ICCID}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
