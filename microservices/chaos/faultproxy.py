"""A TCP proxy that damages connections as bad networks do. Its faults are the toxics of Toxiproxy, with their names.

    with FaultProxy() as proxy:
        proxy.upstream = port
        with proxy.toxic("latency", latency=3000):
            ...  # a client of proxy.url waits three seconds for each piece of the answer

As in Toxiproxy, times are in milliseconds, except the slicer's delay, which is in microseconds. Unlike in Toxiproxy, a
toxic also works on connections that are already open, from the next piece of data on, because the shop keeps its
connections open. One toxic is our own: `answer` replaces the server's answer by another HTTP answer, after the server
did its work.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

HOST = "127.0.0.1"
MAX_BYTES = 65_536
ACCEPT_SECONDS = 0.01
"""For a connection accepted just before the end to register its task, so that it can be closed."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # for SO_LINGER: close with RST instead of FIN


class _Closed(Exception):
    """A toxic ended the connection."""


@dataclass(eq=False)
class Toxic:
    """One fault. `stream` is the direction it works on: downstream is the answer, upstream the request."""

    type: str
    attributes: dict[str, int]
    stream: str = "downstream"
    removed: asyncio.Event = field(default_factory=asyncio.Event)

    def __getitem__(self, name: str) -> int:
        return self.attributes[name]


class Connection:
    """Both ends of one connection through the proxy, and how many bytes passed in each direction."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = (client, server)
        self.passed = {"upstream": 0, "downstream": 0}

    def close(self) -> None:
        """Close both ends in the ordinary way."""
        for end in self.ends:
            end.close()

    def reset(self) -> None:
        """Reset both ends."""
        for end in self.ends:
            raw: socket.socket | None = end.get_extra_info("socket")
            if raw is not None:
                with suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.transport.abort()


class FaultProxy:
    """Listens on a free loopback port and forwards everything to the port `upstream`, which may be set later."""

    def __init__(self, upstream: int = 0, seed: int = 1) -> None:
        self.upstream = upstream
        self.connections = 0
        """How many were opened so far."""
        self.answered = 0
        """Requests that the toxic `answer` answered so far."""
        self._toxics: list[Toxic] = []
        self._random = random.Random(seed)  # noqa: S311 -- seeded jitter hides nothing
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._connected, sock=self._listener))
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The address to use instead of the upstream's."""
        return f"http://{HOST}:{self.port}"

    @contextmanager
    def toxic(self, kind: str, stream: str = "downstream", **attributes: int) -> Iterator[Toxic]:
        """Apply a toxic while the block runs. A `timeout` closes the connections that it held when the block ends."""
        if kind not in TOXICS:
            raise ValueError(f"There is no toxic {kind}; the toxics are {', '.join(TOXICS)}.")
        if unknown := attributes.keys() - TOXICS[kind].keys():
            raise ValueError(f"{kind} has no {', '.join(sorted(unknown))}; it has {', '.join(TOXICS[kind])}.")
        toxic = Toxic(kind, {**TOXICS[kind], **attributes}, stream)
        self._toxics.append(toxic)
        try:
            yield toxic
        finally:
            self._toxics.remove(toxic)
            self._loop.call_soon_threadsafe(toxic.removed.set)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _stop(self) -> None:
        self._server.close()
        await asyncio.sleep(ACCEPT_SECONDS)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)
        for _ in range(3):  # let connections that were just closed end before the loop does
            await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            answers, server = await asyncio.open_connection(HOST, self.upstream)
        except (OSError, asyncio.CancelledError):  # the upstream is not there, or the proxy is closing
            client.transport.abort()
            return
        connection = Connection(client, server)
        pumps = [
            asyncio.ensure_future(self._pump(reader, server, "upstream", connection)),
            asyncio.ensure_future(self._pump(answers, client, "downstream", connection)),
        ]
        try:
            # When one direction has ended, the other would wait for data that is of no use.
            # CancelledError is suppressed because asyncio's streams report a handler that was cancelled.
            with suppress(asyncio.CancelledError):
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            connection.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: str, connection: Connection
    ) -> None:
        with suppress(_Closed, OSError):
            while data := await reader.read(MAX_BYTES):
                pieces = [(data, 0.0)]
                for toxic in [toxic for toxic in self._toxics if toxic.stream == stream]:
                    pieces = await self._apply(toxic, pieces, connection)
                for piece, delay in pieces:
                    await asyncio.sleep(delay)
                    writer.write(piece)
                    await writer.drain()
                    connection.passed[stream] += len(piece)

    async def _apply(self, toxic: Toxic, pieces: Pieces, connection: Connection) -> Pieces:
        """The data after the toxic: its pieces, each with the seconds to wait before it."""
        apply: Callable[[Toxic, Pieces, Connection], Coroutine[Any, Any, Pieces]]
        apply = getattr(self, f"_{toxic.type}")
        return await apply(toxic, pieces, connection)

    async def _latency(self, toxic: Toxic, pieces: Pieces, _connection: Connection) -> Pieces:
        jitter = self._random.uniform(-toxic["jitter"], toxic["jitter"])
        await _pause(toxic, (toxic["latency"] + jitter) / 1000)
        return pieces

    async def _timeout(self, toxic: Toxic, _pieces: Pieces, connection: Connection) -> Pieces:
        await _pause(toxic, toxic["timeout"] / 1000 or None)
        connection.close()
        raise _Closed

    async def _reset_peer(self, toxic: Toxic, _pieces: Pieces, connection: Connection) -> Pieces:
        await _pause(toxic, toxic["timeout"] / 1000)
        connection.reset()
        raise _Closed

    async def _slicer(self, toxic: Toxic, pieces: Pieces, _connection: Connection) -> Pieces:
        data = b"".join(piece for piece, _ in pieces)
        sliced: Pieces = []
        while data:
            vary = self._random.randint(-toxic["size_variation"], toxic["size_variation"])
            size = max(1, toxic["average_size"] + vary)
            sliced.append((data[:size], toxic["delay"] / 1_000_000))
            data = data[size:]
        return sliced

    async def _limit_data(self, toxic: Toxic, pieces: Pieces, connection: Connection) -> Pieces:
        data = b"".join(piece for piece, _ in pieces)
        left = toxic["bytes"] - connection.passed[toxic.stream]
        if len(data) < left:
            return pieces
        end = connection.ends[0 if toxic.stream == "downstream" else 1]
        end.write(data[: max(0, left)])
        with suppress(OSError):
            await end.drain()
        connection.close()
        raise _Closed

    async def _answer(self, toxic: Toxic, _pieces: Pieces, connection: Connection) -> Pieces:
        self.answered += 1
        client, _ = connection.ends
        client.write(_http_answer(toxic["status"], *BODIES[toxic["body"]]))
        with suppress(OSError):
            await client.drain()
        connection.close()
        raise _Closed


Pieces = list[tuple[bytes, float]]

TOXICS: dict[str, dict[str, int]] = {
    "latency": {"latency": 0, "jitter": 0},
    "timeout": {"timeout": 0},
    "reset_peer": {"timeout": 0},
    "slicer": {"average_size": 1, "size_variation": 0, "delay": 0},
    "limit_data": {"bytes": 0},
    "answer": {"status": 503, "body": 0},
}
"""Each with its attributes and their defaults."""

BODIES = (
    ("text/plain", b"No replica is free to answer."),
    ("application/json", b'{"items": [{"sku"'),
    ("application/json", b'{"unexpected": "field"}'),
    ("application/json", b"[1, null]"),
)
"""The answers of `answer`: a proxy's error, JSON that is cut off, and two JSON values of an unexpected shape."""


def _http_answer(status: int, content_type: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} Replaced\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def _pause(toxic: Toxic, seconds: float | None) -> None:
    """Wait so many seconds (None: without limit), but not longer than the toxic is there."""
    with suppress(TimeoutError):
        await asyncio.wait_for(toxic.removed.wait(), seconds)
