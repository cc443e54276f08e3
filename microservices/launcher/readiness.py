"""Is a replica ready? Asked often while a fleet starts, so without an HTTP library (its import alone takes 40 ms)."""

from __future__ import annotations

import socket

from microservices.launcher.gateway import HOST


def status(port: int, path: str = "/readyz", timeout: float = 1.0) -> int | None:
    """Status of a GET to a loopback port; None when there was no answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((HOST, port), timeout) as connection:
            connection.sendall(request)
            head = connection.recv(64)
    except OSError:
        return None
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
