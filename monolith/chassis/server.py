"""The server (Granian): a parent that only supervises, and one worker that answers with a pool of threads.

The parent does not import the application: `load` makes it in the worker, so it uses its memory only once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from .config import ConfigError

BACKPRESSURE = 512
"""Requests that the server accepts at a time, including those that wait for a thread."""
STOP_SECONDS = 10
"""Time for the requests in progress, once the server was told to stop."""


def serve(target: str, load: Callable[[str], Callable[..., Any]], host: str, port: int, threads: int) -> None:
    """Serve what `load(target)` returns in the worker, a WSGI application, until told to stop."""
    MPServer(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=threads,
        backpressure=BACKPRESSURE,
        websockets=False,
        log_level=LogLevels.critical,
        workers_kill_timeout=STOP_SECONDS,
    ).serve(target_loader=load)


def require_free_port(host: str, port: int, instead: str) -> None:
    """Raise ConfigError, with what to do `instead`, when the port is taken.

    The server shares its port (SO_REUSEPORT), so a second one would start and take half of the requests.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"Cannot listen on {host}:{port} ({error.strerror}); {instead}.") from None
