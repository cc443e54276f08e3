"""A cheap HTTP/1.1 client for the bench: one kept connection, few allocations, no parsing of bodies.

It understands only what both shops answer with (Content-Length, 204). The lab's load comes from Locust's client.
"""

import json
import socket
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 10.0
NO_CONTENT = 204
FAILED = 400


class BenchError(Exception):
    """The bench cannot measure; the message says why."""


class Connection:
    """One connection to `url`; a context manager."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80), TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """Send one request and return the body of the answer; BenchError when its status is 400 or more."""
        data = b"" if body is None else json.dumps(body).encode()
        head = {"Host": self._host, **(headers or {})}
        if body is not None:
            head |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        status, content = self._read()
        if status >= FAILED:
            raise BenchError(
                f"{method} {path} was answered {status}: {content[:200].decode(errors='replace')}"
            )
        return content

    def _read(self) -> tuple[int, bytes]:
        """The status and the body of one answer."""
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        status = int(first.split()[1])
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), None)
        if length is None:
            if status != NO_CONTENT:
                raise BenchError(f"an answer {status} had no Content-Length")
            length = 0
        self._buffer = rest
        while len(self._buffer) < length:
            self._receive()
        content, self._buffer = self._buffer[:length], self._buffer[length:]
        return status, content

    def _receive(self) -> None:
        received = self._socket.recv(65536)
        if not received:
            raise BenchError("the connection was closed in the middle of an answer")
        self._buffer += received
