"""A TCP proxy that does to connections what bad networks do, with the toxics of Toxiproxy and their names.

    with FaultProxy() as proxy:
        proxy.upstream = port
        with proxy.toxic("latency", latency=3000):
            ...  # whoever asks at proxy.url waits three seconds for each piece of the answer

Times are in milliseconds, except the slicer's delay, which is in microseconds, as there. Unlike there, a toxic works
on connections that are already open too, for the shop keeps its own open: from the next piece of data on. One toxic
is not from there: `answer` puts an HTTP answer in the place of the server's, which did its work all the same.
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
LET_IN_SECONDS = 0.01
"""Whoever was let in a moment before the end gets as far as being known, so that the connection can be closed."""
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset instead of a goodbye


class _Closed(Exception):
    """A toxic ended the connection."""


@dataclass(eq=False)
class Toxic:
    """One fault. `stream` is the side it works on: downstream is what the server answers, upstream what it is sent."""

    type: str
    attributes: dict[str, int]
    stream: str = "downstream"
    removed: asyncio.Event = field(default_factory=asyncio.Event)

    def __getitem__(self, name: str) -> int:
        return self.attributes[name]


class Connection:
    """Both ends of one connection through the proxy, and how much passed on each side."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = (client, server)
        self.passed = {"upstream": 0, "downstream": 0}

    def close(self) -> None:
        """Say goodbye on both ends."""
        for end in self.ends:
            end.close()

    def reset(self) -> None:
        """Drop both ends; the peers see a connection that was reset."""
        for end in self.ends:
            raw: socket.socket | None = end.get_extra_info("socket")
            if raw is not None:
                with suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            end.transport.abort()


class FaultProxy:
    """Listens on a free loopback port and passes everything on to `upstream`, a port that may be set later."""

    def __init__(self, upstream: int = 0, seed: int = 1) -> None:
        self.upstream = upstream
        self.connections = 0
        """How many were made so far."""
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
        """Where to ask instead of the upstream."""
        return f"http://{HOST}:{self.port}"

    @contextmanager
    def toxic(self, kind: str, stream: str = "downstream", **attributes: int) -> Iterator[Toxic]:
        """Have a toxic while the block runs. Those that hold a connection up let go of it afterwards by closing it."""
        if kind not in TOXICS:
            raise ValueError(f"There is no toxic {kind}; there are {', '.join(TOXICS)}.")
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
        await asyncio.sleep(LET_IN_SECONDS)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)
        for _ in range(3):  # connections that were just closed are gone before the loop is
            await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            answers, server = await asyncio.open_connection(HOST, self.upstream)
        except (OSError, asyncio.CancelledError):  # nobody is there, or the proxy is being closed
            client.transport.abort()
            return
        connection = Connection(client, server)
        pumps = [
            asyncio.ensure_future(self._pump(reader, server, "upstream", connection)),
            asyncio.ensure_future(self._pump(answers, client, "downstream", connection)),
        ]
        try:
            # When one side has ended, the other would wait for data that nobody wants.
            with suppress(
                asyncio.CancelledError
            ):  # asyncio's streams complain about a handler that was cancelled
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
        """What is left of the data after the toxic, each piece with the seconds to wait before it."""
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
    ("application/json", b'{"nobody": "agreed on this"}'),
    ("application/json", b"[1, null]"),
)
"""What `answer` says: a proxy's words, JSON that breaks off, and two that are JSON but not what was agreed on."""


def _http_answer(status: int, content_type: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} Put in its place\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def _pause(toxic: Toxic, seconds: float | None) -> None:
    """Wait so long, or without end for None, but not longer than the toxic is there."""
    with suppress(TimeoutError):
        await asyncio.wait_for(toxic.removed.wait(), seconds)
