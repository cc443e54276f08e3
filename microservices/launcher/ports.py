"""The loopback ports that a fleet uses.

A slot's port must stay free while no replica listens on it: the gateway probes it all the time and would take any
other program that answers there for a replica. A free port from the system is not enough: a moment later the system
may give it to an outgoing connection or to another fleet. So the ports lie below the ranges that Linux and macOS use
for outgoing connections, and each fleet locks the blocks of ports that it uses.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from pathlib import Path

from microservices.launcher.addresses import HOST
from microservices.launcher.errors import LauncherError, PortTaken

FIRST, LAST = 20_000, 32_000
BLOCK = 100


class Ports:
    """Ports that belong to this fleet until `release`. The locks also end with the process, even when it is killed."""

    def __init__(self, count: int) -> None:
        self.numbers: list[int] = []
        self._locks: list[int] = []
        blocks = range(FIRST, LAST, BLOCK)
        offset = os.getpid() % len(blocks)  # so that fleets that start together try different blocks
        for first in (*blocks[offset:], *blocks[:offset]):
            if len(self.numbers) >= count:
                return
            self._lock(first, min(BLOCK, count - len(self.numbers)))
        if len(self.numbers) < count:
            self.release()
            raise LauncherError(
                f"There are not {count} free ports between {FIRST} and {LAST}; stop other shops that are running."
            )

    def release(self) -> None:
        """Give the ports back."""
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def _lock(self, first: int, count: int) -> None:
        lock = _try_lock(first)
        if lock is None:
            return
        wanted = range(first, first + count)
        if all(is_free(port) for port in wanted):
            self._locks.append(lock)
            self.numbers.extend(wanted)
        else:
            os.close(lock)


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            return False
    return True


def require_free(port: int) -> None:
    """Raise PortTaken when the gateway cannot listen on `port`."""
    if not is_free(port):
        raise PortTaken(f"Port {port} is taken; stop what listens there, or choose another with --port.")


def _try_lock(first: int) -> int | None:
    folder = Path(tempfile.gettempdir()) / f"shop-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(first), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
