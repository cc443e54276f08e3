"""The server (Granian): a parent that only supervises, and one worker that answers with threads.

The parent does not import the application: `load` makes it in the worker, so it uses its memory only once.
"""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread, Timer
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from .config import ConfigError
from .unanswered import IDLE_SECONDS, watch

log = logging.getLogger(__name__)
BACKPRESSURE = 512
"""Connections that the server accepts at a time. Each may hold a thread, which costs nothing before it is needed."""
STOP_SECONDS = 10
"""Time for the requests in progress, once the server was told to stop."""


def serve(
    target: str,
    load: Callable[[str], Callable[..., Any]],
    host: str,
    port: int,
    threads: int,
    *,
    drain_file: Path | None = None,
    drain_seconds: float | None = None,
) -> None:
    """Serve what `load(target)` returns in the worker, a WSGI application, until told to stop.

    SIGINT, SIGTERM and SIGHUP stop it. SIGHUP, which a closing terminal sends, does not when it was ignored at the
    start, as `nohup` does. With `drain_seconds`, SIGTERM creates the `drain_file` first and stops only after them.
    """
    server = MPServer(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,  # with HTTP/2 a connection that sends nothing would have no time limit
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_SECONDS * 1000),
        workers=1,
        blocking_threads=BACKPRESSURE,  # see bodies.py for what limits the application to `threads`
        backpressure=BACKPRESSURE,
        websockets=False,
        log_level=LogLevels.critical,
        workers_kill_timeout=STOP_SECONDS,
    )
    # Granian's own answer to SIGHUP is to restart the worker.
    on_hangup = signal.getsignal(signal.SIGHUP)
    if on_hangup is not signal.SIG_IGN:
        on_hangup = server.signal_handler_interrupt
    server.on_startup(lambda: signal.signal(signal.SIGHUP, on_hangup))
    if drain_file is not None and drain_seconds is not None:
        drain_file.unlink(missing_ok=True)  # of an earlier replica in this place
        on_term = partial(_drain, drain_file, drain_seconds, server.signal_handler_interrupt)
        server.on_startup(lambda: signal.signal(signal.SIGTERM, on_term))
    server.serve(target_loader=partial(_load_in_worker, load, port, threads))


def _drain(file: Path, seconds: float, stop: Callable[[], None], *_signal: object) -> None:
    """Let /readyz say that no more requests should come, and stop when whoever sends them has seen it."""
    signal.signal(signal.SIGTERM, lambda *_: stop())  # somebody who asks twice is in a hurry
    file.touch()
    timer = Timer(seconds, stop)
    timer.daemon = True
    timer.start()


def _load_in_worker(
    load: Callable[[str], Callable[..., Any]], port: int, threads: int, target: str
) -> Callable[..., Any]:
    """Runs in the worker: the application, behind what protects its threads."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent gets it too, and ends the worker
    wsgi = load(target)

    from .bodies import BodiesFirst

    served = BodiesFirst(_logged(wsgi), threads)
    Thread(target=watch, args=(served.longest_read, port), name="watch", daemon=True).start()
    return served


def _logged(wsgi: Callable[..., Any]) -> Callable[..., Any]:
    """Log what the middleware around the application raises: Granian would answer 500 and say nothing."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        try:
            return wsgi(environ, start_response)
        except Exception:
            log.exception("%s %s failed in the middleware", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            raise

    return answer


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
