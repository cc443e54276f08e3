"""The protocol between commands and a running launcher: one JSON line each way over a Unix domain socket."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from microservices.launcher import state
from microservices.launcher.errors import LauncherError, NotRunning, WrongScale
from microservices.launcher.fleet import Fleet
from microservices.launcher.folder import RunFolder
from microservices.launcher.process import cpu_seconds, created
from microservices.launcher.replica import Replica

MAX_PATH_BYTES = 100  # macOS allows 104 with the closing zero, Linux 108
CPU_SAMPLE_SECONDS = 0.3
ACCEPT_SECONDS = 0.2
Json = dict[str, Any]


class ControlServer:
    """Receives commands for a fleet; a context manager. `notes` gives sentences that `status` shows too."""

    def __init__(self, fleet: Fleet, notes: Callable[[], list[str]] = list) -> None:
        self._fleet, self._notes = fleet, notes
        self._path = fleet.folder.path / "control.sock"
        self._temporary: str | None = None
        if len(os.fsencode(self._path)) > MAX_PATH_BYTES:
            self._temporary = tempfile.mkdtemp(prefix="shop-")
            self._path = Path(self._temporary) / "control.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def __enter__(self) -> None:
        self._path.unlink(missing_ok=True)
        self._socket.bind(str(self._path))
        self._path.chmod(0o600)
        self._socket.listen()
        self._socket.settimeout(ACCEPT_SECONDS)
        self._fleet.record_control_socket(str(self._path))
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._socket.close()
        self._path.unlink(missing_ok=True)
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _serve(self) -> None:
        while not self._ending.is_set():
            # accept() needs a timeout, because closing the socket does not wake it on every system.
            with contextlib.suppress(TimeoutError):
                connection, _ = self._socket.accept()
                # Not a daemon thread: the answer to `down` must be sent before the launcher ends.
                threading.Thread(target=self._handle, args=(connection,), name="command").start()

    def _handle(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream, contextlib.suppress(OSError):
            connection.settimeout(5.0)
            try:
                reply: Json = {"result": self._execute(json.loads(stream.readline()))}
            except LauncherError as error:
                reply = {"error": str(error), "wrong_scale": isinstance(error, WrongScale)}
            except (ValueError, KeyError, TypeError) as error:
                reply = {"error": f"The launcher does not understand this command ({error})."}
            stream.write(json.dumps(reply).encode() + b"\n")

    def _execute(self, request: Json) -> Any:
        match request["command"]:
            case "status":
                members = describe(self._fleet.members())
                return {"url": self._fleet.url, "members": members, "notes": self._notes()}
            case "scale":
                return [replica.label for replica in self._fleet.scale(request["name"], request["count"])]
            case "restart":
                return [replica.label for replica in self._fleet.restart(request["name"])]
            case "down":
                self._fleet.stop()
                return None
            case command:
                raise ValueError(command)


def send_command(home: Path, topology: str, request: Json, timeout: float = 120.0) -> Any:
    """Send a command to the launcher of `home`; returns its result, raises NotRunning when no launcher runs."""
    written = state.read(RunFolder(home, topology).state_file)
    if written is None:
        raise NotRunning(f"No shop is running from {home}; start one with: microservices up")
    try:
        reply = _exchange(written.control, request, timeout)
    except (OSError, ValueError) as error:
        if written.launcher_created != created(written.launcher_pid):
            raise NotRunning(
                f"The launcher of {home} was killed; end what it left behind with: microservices down"
            ) from error
        raise LauncherError(
            f"The launcher (pid {written.launcher_pid}) does not answer: the shop is starting or stopping."
        ) from error
    if "error" in reply:
        raise WrongScale(reply["error"]) if reply.get("wrong_scale") else LauncherError(reply["error"])
    return reply["result"]


def _exchange(path: str, request: Json, timeout: float) -> Json:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as stream:
            reply: Json = json.loads(stream.readline())
    return reply


def describe(members: list[Replica]) -> list[Json]:
    """What `status` shows of each member. CPU is measured over 0.3 s."""
    before = {member.label: cpu_seconds(member.pids()) for member in members}
    started = time.monotonic()
    time.sleep(CPU_SAMPLE_SECONDS)
    took = time.monotonic() - started
    return [
        {
            "label": member.label,
            "phase": member.phase,
            "pid": member.pid,
            "port": member.port,
            "uptime": round(member.uptime(), 1),
            "restarts": member.restarts,
            "uss_bytes": sum(_memory(pid) for pid in member.pids()),
            "cpu_percent": round(max(0.0, cpu_seconds(member.pids()) - before[member.label]) / took * 100, 1),
        }
        for member in members
    ]


def _memory(pid: int) -> int:
    """Bytes that ending the process would free (USS), or its resident size where the system hides that."""
    try:
        process = psutil.Process(pid)
        with contextlib.suppress(psutil.AccessDenied):
            return int(process.memory_full_info().uss)
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
