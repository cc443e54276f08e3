"""Closes connections that stop in the middle of a body; without it they would stay until the client closes them.

Granian has a limit for the head of a request and for an idle connection, but none for a body, and it does not tell
which connection a request came on. The kernel knows when the server last sent something on each of them. Only Linux
gives this number away, so on other systems nothing is closed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

IDLE_SECONDS = 30
"""Granian closes a connection when no complete head comes for so long."""
BODY_SECONDS = 10
"""The shortest time that a body may take; 64 KiB need 6.5 KiB/s."""
CHECK_SECONDS = 1.0
LAST_SENT_OFFSET = 44  # tcpi_last_data_sent in the kernel's struct tcp_info: milliseconds


def watch(longest_read: Callable[[], float], port: int) -> None:
    """Close connections while a body takes too long; never returns.

    A connection is idle for at most IDLE_SECONDS. So one on which nothing was sent for longer has a request that is
    as old as the rest of the time.
    """
    while True:
        time.sleep(CHECK_SECONDS)
        if longest_read() > BODY_SECONDS:
            close_unanswered(port, IDLE_SECONDS + BODY_SECONDS)


def close_unanswered(port: int, seconds: float) -> None:
    """Close this process's connections to its own `port` on which it sent nothing for `seconds`."""
    if not hasattr(socket, "TCP_INFO"):
        return
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile, or no socket, or the one that listens
            _close_if_unanswered(os.dup(int(file.name)), port, seconds)


def _close_if_unanswered(copy: int, port: int, seconds: float) -> None:
    try:
        connection = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with connection:
        is_tcp = connection.family in {socket.AF_INET, socket.AF_INET6}
        if not is_tcp or connection.getsockname()[1] != port or not connection.getpeername():
            return
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
        if int.from_bytes(info[LAST_SENT_OFFSET : LAST_SENT_OFFSET + 4], "little") >= seconds * 1000:
            connection.shutdown(socket.SHUT_RDWR)
