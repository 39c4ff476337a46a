"""Serve the responses of :mod:`speed_server` from one event loop, for many connections.

Run as a script, it prints its port. It imports the standard library only.
"""

from __future__ import annotations

import asyncio

from speed_server import respond_to  # type: ignore[import-not-found,unused-ignore]


class Connection(asyncio.Protocol):
    """Write a response to each request; a request with a body has a ``Content-Length`` header."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._received = transport, b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            declared = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            length = int(declared or 0)
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._transport.write(respond_to(head.partition(b"\r\n")[0]))


async def main() -> None:
    """Listen on a free port and print it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
