"""Sends responses on a socket, with the faults on the wire."""

import asyncio
from contextlib import suppress
from dataclasses import replace
import socket
import struct

from aiohttp import HttpVersion11, web

from . import cors as sharing
from .exchange import Response, Wire

# aiohttp can cancel a handler when its client disconnects, but requests then take five times as long.
_LOOK_SECONDS = 0.05


class Sender:
    """Sends responses until the portal stops."""

    def __init__(self, stopping: asyncio.Event, *, cors: bool) -> None:
        """Start; with `cors` the pages of any site may read the responses."""
        self._stopping = stopping
        self._is_shared = cors

    async def send(self, raw: web.BaseRequest, response: Response) -> web.StreamResponse:
        """Send a response, with the fault on the wire if it has one."""
        if raw.method == "HEAD":
            response = replace(response, body=b"")
        if response.wire is Wire.DRIP:
            return await self._drip(raw, response)
        if response.wire is Wire.TRUNCATE:
            return await self._truncate(raw, response)
        if response.wire is Wire.HANG:
            await self._until_gone(raw)
        if response.wire in {Wire.HANG, Wire.RESET}:
            _reset(raw)
        if response.seconds:
            await self._pause(response.seconds)
        return self.prepare(raw, web.Response(status=response.status, body=response.body), response)

    async def _drip(self, raw: web.BaseRequest, response: Response) -> web.StreamResponse:
        """Send a body byte by byte."""
        stream = self.prepare(raw, web.StreamResponse(status=response.status), response)
        await stream.prepare(raw)
        for index in range(len(response.body)):
            await stream.write(response.body[index : index + 1])
            await self._pause(response.seconds)
        return stream

    async def _until_gone(self, raw: web.BaseRequest) -> None:
        """Wait until the client gives up, or the portal stops."""
        while raw.transport is not None and not self._stopping.is_set():
            await self._pause(_LOOK_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the portal stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _truncate(self, raw: web.BaseRequest, response: Response) -> web.StreamResponse:
        """Send half a body and close the connection."""
        stream = self.prepare(raw, web.StreamResponse(status=response.status), response)
        await stream.prepare(raw)
        await stream.write(response.body[: len(response.body) // 2])
        if raw.transport is not None:
            raw.transport.close()
        return stream

    def prepare[T: web.StreamResponse](
        self, raw: web.BaseRequest, answer: T, response: Response
    ) -> T:
        """Set the headers; only HTTP/1.1 has chunks and keeps connections open by default."""
        if self._is_shared:
            answer.headers.update(sharing.HEADERS)
        answer.headers.update(response.headers)
        if raw.version == HttpVersion11:
            answer.enable_chunked_encoding()
        else:
            answer.headers.pop("Transfer-Encoding", None)
        if not raw.keep_alive:
            answer.headers.pop("Connection", None)
        return answer


def _reset(raw: web.BaseRequest) -> None:
    """Reset a connection: closing it without lingering sends RST instead of FIN."""
    if raw.transport is not None:
        connection = raw.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.transport.abort()
