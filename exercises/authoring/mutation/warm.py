"""Starts Python processes as forks of one that has loaded the libraries: a shop then starts with a quarter of the CPU.

Nearly all CPU time of a mutant goes into starting a dozen processes, and most of each start into importing Flask and
SQLAlchemy, which no mutant changes. `forked` lets `subprocess` fork such a process instead. The fork becomes a child
of the process that asked (PR_SET_CHILD_SUBREAPER), so waiting for it and killing it work as usual. That is possible on
Linux only; elsewhere, and for programs that must load their libraries themselves, processes start as always.

This file is also the program that forks. It is sealed like a process of a workspace, so it cannot import the course.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

PR_SET_CHILD_SUBREAPER = 36
MAX_MESSAGE = 1 << 17
LIBRARIES = (
    "argon2",
    "click",
    "concurrent.futures.thread",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "flask",
    "granian.server.mp",
    "http.server",
    "jwt",
    "prometheus_client",
    "pydantic",
    "requests",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
    "werkzeug.serving",
)
STARTED_AS_ALWAYS = ("pytest", "locust", "gevent")
"""Programs that change or watch how libraries are loaded."""
KNOWN_SETTINGS = {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
"""Settings of Python that a fork can follow."""


@dataclass(frozen=True, slots=True)
class Job:
    """A program to be."""

    args: list[str]
    """What follows the interpreter."""
    env: dict[str, str]
    folder: str
    new_session: bool


# ---- in the process that wants others


@contextmanager
def forked(seal: str) -> Iterator[None]:
    """In the block `subprocess` forks Python processes where it can. `seal` is the folder of sitecustomize.py."""
    if not sys.platform.startswith("linux"):
        yield
        return
    own = set(psutil.Process().children())
    _adopt_orphans(True)
    WarmPopen.asks, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    WarmPopen.seal = seal
    usual = subprocess.Popen
    with asked:
        forking = usual(
            [sys.executable, __file__, str(asked.fileno())],
            env={**os.environ, "PYTHONPATH": seal},
            cwd=tempfile.gettempdir(),  # no workspace
            pass_fds=[asked.fileno()],
        )
    subprocess.Popen = WarmPopen  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = usual  # type: ignore[misc]
        WarmPopen.asks.close()  # then it ends
        forking.wait()
        _adopt_orphans(False)
        _reap_all_but(own)


def _adopt_orphans(adopts: bool) -> None:
    """Whether this process becomes the parent of its descendants whose parent has ended."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(adopts), 0, 0, 0)


def _reap_all_but(own: set[psutil.Process]) -> None:
    """Wait for what has ended; the system's first process would have done that for orphans."""
    for process in set(psutil.Process().children()) - own:
        with contextlib.suppress(psutil.Error, ChildProcessError):
            if process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)


class WarmPopen(subprocess.Popen):  # type: ignore[type-arg]
    """A Popen that lets the process with the libraries fork, instead of starting Python anew."""

    asks: socket.socket
    seal: str
    lock = threading.Lock()

    def _execute_child(self, *given: Any) -> None:
        """Replaces what starts a program in Popen. The arguments are the same in Python 3.11 to 3.13."""
        args, executable, preexec_fn, _, pass_fds, cwd, env, _, _, shell, *more = given
        pipes, new_session = more[:6], more[-2]
        if executable or preexec_fn or pass_fds or shell or not can_be_forked(args, env, self.seal):
            super()._execute_child(*given)  # type: ignore[misc]
            return
        job = Job([str(each) for each in args[1:]], dict(env), str(cwd or Path.cwd()), bool(new_session))
        stdin, _, _, stdout, _, stderr = pipes
        with Path(os.devnull).open("rb") as nothing, self.lock:
            own = (nothing.fileno(), 1, 2)
            fds = [
                mine if each == -1 else each for each, mine in zip((stdin, stdout, stderr), own, strict=True)
            ]
            socket.send_fds(self.asks, [json.dumps(asdict(job)).encode()], fds)
            answer = self.asks.recv(MAX_MESSAGE)
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
        if not answer:
            raise RuntimeError("The process that has loaded the libraries has ended.")
        self.pid = int(answer)
        self._child_created = True


def can_be_forked(args: Any, env: Mapping[str, str] | None, seal: str) -> bool:
    """Whether it is Python in a workspace, with settings that a fork can follow."""
    if isinstance(args, str | bytes) or env is None or args[0] != sys.executable or len(args) < 2:
        return False
    settings = {name for name in env if name.startswith("PYTHON")}
    is_plain = args[1] in {"-m", "-c"} or not str(args[1]).startswith("-")
    said = " ".join(map(str, args[1:]))
    return (
        is_plain
        and settings <= KNOWN_SETTINGS
        and env.get("PYTHONPATH", "").split(os.pathsep)[0] == seal
        and not any(word in said for word in STARTED_AS_ALWAYS)
    )


# ---- the process that has the libraries


def main(descriptor: int) -> None:
    """Fork whenever asked, until nobody can ask any more. Each fork goes on in `become`."""
    sys.path.pop(0)  # the folder of this file
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    asked = socket.socket(fileno=descriptor)
    while True:
        message, fds, _, _ = socket.recv_fds(asked, MAX_MESSAGE, 3)
        if not message:
            return
        job = Job(**json.loads(message))
        pid = _fork_for_the_asker(job.new_session)
        if pid == 0:
            asked.close()
            become(job, fds)
            return
        for each in fds:
            os.close(each)
        asked.send(str(pid).encode())


def _fork_for_the_asker(new_session: bool) -> int:
    """The pid of a fork whose parent has ended, so that it is now a child of the asker; 0 in the fork itself."""
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        parent = os.getpid()
        if os.fork() > 0:
            os._exit(0)
        while os.getppid() == parent:
            time.sleep(0.0005)
        if new_session:
            os.setsid()
        os.write(write, str(os.getpid()).encode())
        os.close(read)
        os.close(write)
        return 0
    os.close(write)
    os.waitpid(middle, 0)
    pid = int(os.read(read, 32))
    os.close(read)
    return pid


def become(job: Job, fds: list[int]) -> None:
    """Be the program of the job, as Python would start it."""
    for target, each in enumerate(fds):
        os.dup2(each, target)
    for each in fds:
        os.close(each)
    os.chdir(job.folder)
    os.environ.clear()
    os.environ.update(job.env)
    unbuffered = bool(job.env.get("PYTHONUNBUFFERED"))
    sys.stdout.reconfigure(write_through=unbuffered)  # type: ignore[union-attr]
    sys.dont_write_bytecode = bool(job.env.get("PYTHONDONTWRITEBYTECODE"))
    random.seed()
    kind, *rest = job.args
    sys.orig_argv = [sys.executable, *job.args]
    first = (
        str(Path(kind).absolute().parent) if kind not in {"-m", "-c"} else job.folder if kind == "-m" else ""
    )
    sys.path[:0] = [first, *job.env["PYTHONPATH"].split(os.pathsep)[1:]]
    sys.modules["_shop_twice_seal"].tell_what_was_loaded()
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        if kind == "-m":
            sys.argv = ["-m", *rest[1:]]
            runpy._run_module_as_main(rest[0])  # type: ignore[attr-defined]  # noqa: SLF001 -- as Python does for -m
        elif kind == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), sys.modules["__main__"].__dict__)  # noqa: S102 -- as for -c
        else:
            sys.argv = job.args
            runpy.run_path(kind, run_name="__main__")
    except Exception as error:  # noqa: BLE001 -- whatever the program did not catch
        trace = error.__traceback__
        traceback.print_exception(error.with_traceback(trace.tb_next if trace else None))
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
