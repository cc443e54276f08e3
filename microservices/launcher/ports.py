"""Which loopback ports a fleet uses.

A slot's port must stay free while no replica listens on it: the gateway probes it all the time, so a stranger that
answers there would be taken for a replica. Asking the system for a free port does not promise that, for it may
hand the same port to an outgoing connection or to another fleet a moment later. So the ports lie below the ranges
from which Linux and macOS serve outgoing connections, and each block of them is locked by the fleet that uses it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from pathlib import Path

from microservices.launcher.errors import LauncherError, PortTaken
from microservices.launcher.gateway import HOST

FIRST, LAST = 20_000, 32_000
BLOCK = 100


class Ports:
    """Ports that are this fleet's until `release`; the lock also ends with the process, however that ends."""

    def __init__(self, count: int) -> None:
        self.numbers: list[int] = []
        self._locks: list[int] = []
        blocks = range(FIRST, LAST, BLOCK)
        offset = os.getpid() % len(blocks)  # fleets that start at the same time try different blocks first
        for first in (*blocks[offset:], *blocks[:offset]):
            if len(self.numbers) >= count:
                return
            self._take(first, min(BLOCK, count - len(self.numbers)))
        if len(self.numbers) < count:
            self.release()
            raise LauncherError(
                f"No {count} free ports are left between {FIRST} and {LAST}; stop other shops that are running."
            )

    def release(self) -> None:
        """Let others have the ports."""
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def _take(self, first: int, count: int) -> None:
        lock = _locked(first)
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


def _locked(first: int) -> int | None:
    folder = Path(tempfile.gettempdir()) / f"shop-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(first), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
