"""One load from several processes: Locust's master and workers carry the messages, and each worker makes its part.

Every worker plans all visits from the same seed and makes the ones of its part. So together they make the visits of one
process, each at the same time and with the same choices; only the limit of visits under way is divided among them.
Workers send their rows when the load has ended, because sending them meanwhile would delay visits. Times are Unix
times: the clocks of several machines have to agree.
"""

import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
from gevent.queue import Empty, Queue
from locust.env import Environment

from loadtests.load import moments
from loadtests.load.moments import Moment
from loadtests.load.shelf import ShopNotThereError
from loadtests.load.spec import Spec

LOCAL = "127.0.0.1:0"
"""Where the master listens for workers of its own: any free port."""
CONNECTING_SECONDS = 60.0
PREPARING_SECONDS = 60.0
ENDING_SECONDS = 30.0
POLL_SECONDS = 0.05


class WorkerLostError(Exception):
    """A worker ended, or did not answer in time."""


@dataclass
class Workers:
    """The master: as a Generator, but others make the visits. `cores` is the CPU of the busiest worker."""

    spec: Spec
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    wholes: list[tuple[Any, ...]] = field(default_factory=list)
    cores: float = 0.0
    _own: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _moments: dict[str, Moment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        host, _, port = (self.spec.listen or LOCAL).rpartition(":")
        self._answers: Queue[dict[str, Any]] = Queue()
        self._runner = Environment().create_master_runner(host, int(port))
        for kind in ("prepared", "rows", "done"):
            self._runner.register_message(kind, self._hear)
        self._runner.register_message("moment", self._hear_moment)
        if not self.spec.listen:
            command = [sys.executable, "-m", "loadtests.load.worker", f"{host}:{self._runner.server.port}"]
            self._own = [subprocess.Popen(command) for _ in range(self.spec.processes)]  # noqa: S603 - ours

    def prepare(self) -> None:
        """Give each worker its part, and wait until all have signed their users in."""
        until = time.monotonic() + CONNECTING_SECONDS
        while len(self._runner.clients) < self.spec.processes:
            self._check(until, "connect")
            gevent.sleep(POLL_SECONDS)
        for number, worker in enumerate(list(self._runner.clients.all)[: self.spec.processes]):
            part = replace(self.spec, part=(number, self.spec.processes))
            self._runner.send_message("prepare", part.to_dict(), worker.id)
        for _ in range(self.spec.processes):
            if error := self._answer(time.monotonic() + PREPARING_SECONDS, "sign its users in")["error"]:
                raise ShopNotThereError(error)

    def run(self, epoch: float) -> None:
        """Let all workers start at `epoch`, and collect their rows."""
        self._runner.send_message("run", {"epoch": epoch})
        seconds = sum(phase.seconds for phase in self.spec.phases) + self.spec.drain_seconds
        until = time.monotonic() + max(0.0, epoch - time.time()) + seconds + ENDING_SECONDS
        at_work = self.spec.processes
        while at_work:
            answer = self._answer(until, "send its rows")
            self.rows += map(tuple, answer.get("rows", ()))
            self.wholes += map(tuple, answer.get("wholes", ()))
            if "cores" in answer:
                self.cores = max(self.cores, answer["cores"])
                at_work -= 1

    def close(self) -> None:
        """End the workers."""
        self._runner.quit()
        for worker in self._own:
            worker.kill()
            worker.wait()

    def _answer(self, until: float, what: str) -> dict[str, Any]:
        """The next message of a worker."""
        while True:
            with suppress(Empty):
                return dict(self._answers.get(timeout=POLL_SECONDS))
            self._check(until, what)

    def _check(self, until: float, what: str) -> None:
        ended = [worker for worker in self._own if worker.poll() is not None]
        if ended or time.monotonic() > until:
            raise WorkerLostError(f"A worker of the load generator did not {what}; run the load again.")

    def _hear(self, msg: Any, **_: Any) -> None:
        self._answers.put(msg.data)

    def _hear_moment(self, msg: Any, **_: Any) -> None:
        """Once all workers have told their last five seconds, append a line for all together."""
        self._moments[msg.node_id] = Moment(**msg.data)
        if len(self._moments) == self.spec.processes:
            moments.append(self.spec.out.parent, moments.together(list(self._moments.values())))
            self._moments.clear()
