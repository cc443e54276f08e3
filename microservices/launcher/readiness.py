"""The readiness probe of a replica. It needs no HTTP library, whose import alone would take 40 ms at start."""

from __future__ import annotations

import socket

from microservices.launcher.addresses import HOST


def status(port: int, path: str = "/readyz", timeout: float = 1.0) -> int | None:
    """The status of a GET to a loopback port; None when there was no answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((HOST, port), timeout) as connection:
            connection.sendall(request)
            head = connection.recv(64)
    except OSError:
        return None
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
