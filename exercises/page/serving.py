"""Serves the page with Granian: a parent that supervises and prints the address, and one worker that answers."""

from __future__ import annotations

import multiprocessing.util
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from exercises.errors import ExerciseError
from exercises.page.guard import Guard, Wsgi, new_token
from microservices.launcher import LauncherError
from microservices.launcher.ports import Ports, require_free

HOST = "127.0.0.1"
THREADS = 8
"""One browser window asks for a few things at a time."""
HEAD_SECONDS = 10
STOP_SECONDS = 4
"""Longer than a command needs to end after Ctrl-C."""
READY_SECONDS = 20.0
END_FIRST = 100
"""The priority among what the worker does at its end."""


Made = tuple[Wsgi, Callable[[], None]]
"""An application, and what ends everything that it started."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page is."""

    port: int
    token: str = field(default_factory=new_token)

    @property
    def url(self) -> str:
        """The page's address, with its token."""
        return f"http://{HOST}:{self.port}/{self.token}/"


def serve(
    make: Callable[[], Made],
    port: int | None,
    say: Callable[[str], None],
    *,
    host: str = HOST,
    guard: Callable[[Wsgi, int, str], Wsgi] = Guard,
) -> None:
    """Serve what `make` returns, behind its guard, until Ctrl-C. ExerciseError when the port is taken.

    `say` gets the page's address once it answers. All of them are called in the worker, so they must be functions of
    modules: the parent has no thread of its own, because a process that is forked from one with threads may wait
    forever.
    """
    try:
        ports = Ports(1)
        if port is not None:
            require_free(port)
    except LauncherError as error:
        raise ExerciseError(str(error)) from None
    place = Place(port or ports.numbers[0])
    server = MPServer(
        "exercises.page",
        address=host,
        port=place.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000),
        workers=1,
        blocking_threads=THREADS,
        websockets=False,
        log_level=LogLevels.critical,
        workers_kill_timeout=STOP_SECONDS,
    )
    # Granian's own answer to SIGHUP, which a closing terminal sends, is to restart the worker.
    server.on_startup(lambda: signal.signal(signal.SIGHUP, server.signal_handler_interrupt))
    try:
        server.serve(target_loader=partial(_load, make, place, say, guard))
    finally:
        ports.release()


def _load(
    make: Callable[[], Made],
    place: Place,
    say: Callable[[str], None],
    guard: Callable[[Wsgi, int, str], Wsgi],
    _target: str,
) -> Wsgi:
    """Runs in the worker: the application behind its guard."""
    # The terminal sends the closing of its window to this process too. The parent ends it, in order.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    application, close = make()
    multiprocessing.util.Finalize(None, close, exitpriority=END_FIRST)
    threading.Thread(target=_say_when_ready, args=(place, say), name="ready", daemon=True).start()
    return guard(application, place.port, place.token)


def _say_when_ready(place: Place, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        connection = HTTPConnection(HOST, place.port, timeout=READY_SECONDS)
        try:
            connection.request("GET", f"/{place.token}/")  # the first time is the slowest, so it is ours
            connection.getresponse().read()
        except OSError:
            time.sleep(0.02)
        else:
            say(place.url)
            return
        finally:
            connection.close()
