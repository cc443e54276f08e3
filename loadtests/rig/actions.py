"""What is done to a running shop in the middle of a trial: faults, a rolling restart, one replica more.

Each is done to processes from outside, so it is the same thing in both shops: the service that holds the hot component
dies, hangs or gets a tenth of its CPU. In the monolith that process holds everything else too, and that is the point.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loadtests.planning.phases import PlannedAction, PlannedPhase
from loadtests.rig.slices import Slices
from loadtests.rig.targets import Shop, TargetError
from microservices.chaos.pause import paused_processes
from microservices.launcher import LauncherError, Phase, Replica

SLOW_SHARE = 0.1
"""What `slow` leaves of a slice."""
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 60.0


@dataclass
class Done:
    """What came of an action: seconds until all its replicas served again, and which replicas are new."""

    phase: int
    what: str
    service: str
    seconds: float | None = None
    fresh: list[str] = field(default_factory=list)
    failed: str = ""


class Slicing:
    """Keeps every replica of a running shop on the slice of the phase, also those that come later."""

    def __init__(self, slices: Slices, prefix: str = "") -> None:
        self.slices = slices
        self._prefix = prefix  # another shop that is up has replicas of the same names
        self._phase: PlannedPhase | None = None
        self._given: dict[str, tuple[int, float]] = {}
        self._lock = threading.RLock()

    def enter(self, phase: PlannedPhase, replicas: list[Replica]) -> None:
        """Give every replica its slice of that phase."""
        with self._lock:
            self._phase = phase
            for replica in replicas:
                self.put(replica)

    def put(self, replica: Replica, share: float = 1.0) -> None:
        """Give one replica `share` of its slice; before the first phase there is none to give."""
        with self._lock:
            if self._phase is None:
                return
            given = (replica.pid, self._phase.cores_of(replica.name) * share)
            before = self._given.get(replica.label)
            if before == given:
                return
            if before and before[0] != replica.pid:
                self.drop(replica.label)  # the one that had this name before has died
            self.slices.put(self._prefix + replica.label, *given)
            self._given[replica.label] = given

    def drop(self, label: str) -> None:
        """Let one run free."""
        with self._lock:
            if self._given.pop(label, None) is not None:
                self.slices.drop(self._prefix + label)

    def leave(self) -> None:
        """Let all run free: without its slice a loaded replica drains in a moment, with it in many seconds."""
        with self._lock:
            self._phase = None
            for label in list(self._given):
                self.drop(label)


class Actor:
    """Does what the phases of one trial ask for, each in a thread of its own so that the phases keep their time."""

    def __init__(self, shop: Shop, slicing: Slicing) -> None:
        self._shop = shop
        self._slicing = slicing
        self._done: list[Done] = []
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()
        self._ways: dict[str, Callable[[Done, threading.Event], None]] = {
            "kill": self._kill,
            "dead": self._keep_dead,
            "hang": self._hang,
            "slow": self._slow,
            "restart": self._restart,
            "add": self._add,
        }

    def next_phase(self, index: int, action: PlannedAction | None) -> None:
        """End the faults of the phase before, and begin what this one asks for."""
        self._over.set()
        if action is None:
            return
        self._over = threading.Event()
        done = Done(index, action.what, action.service)
        self._done.append(done)
        thread = threading.Thread(target=self._act, args=(action, done, self._over), name=action.what)
        self._threads.append(thread)
        thread.start()

    def finish(self) -> list[Done]:
        """End everything and say what was done."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self._done

    def _act(self, action: PlannedAction, done: Done, over: threading.Event) -> None:
        if over.wait(action.at):
            done.failed = "the phase was over before it was due"
            return
        try:
            self._ways[action.what](done, over)
        except (LauncherError, TargetError, OSError) as error:
            done.failed = str(error)

    def _replicas(self, done: Done) -> list[Replica]:
        return self._shop.replicas(done.service)

    def _kill(self, done: Done, _over: threading.Event) -> None:
        self._replace(done, lambda: self._kill_and_wait(done))

    def _kill_and_wait(self, done: Done) -> list[Replica]:
        before = {replica.label: replica.pid for replica in self._replicas(done)}
        until = time.monotonic() + PATIENCE_SECONDS
        for replica in self._replicas(done):
            _end(replica)
        while not all(_is_new(replica, before) for replica in self._replicas(done)):
            if time.monotonic() > until:
                raise TargetError(f"{done.service} did not come back in {PATIENCE_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)
        return self._replicas(done)

    def _keep_dead(self, done: Done, over: threading.Event) -> None:
        while not over.is_set():
            for replica in self._replicas(done):
                _end(replica)
            over.wait(LOOK_SECONDS)

    def _hang(self, done: Done, over: threading.Event) -> None:
        with self._free(done) as replicas, paused_processes([p for each in replicas for p in each.pids()]):
            over.wait()

    @contextlib.contextmanager
    def _free(self, done: Done) -> Iterator[list[Replica]]:
        """Replicas without a slice: a slice that is kept by pausing and resuming would wake them up."""
        replicas = self._replicas(done)
        for replica in replicas:
            self._slicing.drop(replica.label)
        yield replicas
        for replica in replicas:
            self._slicing.put(replica)

    def _slow(self, done: Done, over: threading.Event) -> None:
        for replica in self._replicas(done):
            self._slicing.put(replica, SLOW_SHARE)
        over.wait()
        for replica in self._replicas(done):
            self._slicing.put(replica)

    def _restart(self, done: Done, _over: threading.Event) -> None:
        self._replace(done, lambda: self._shop.restart(done.service))

    def _add(self, done: Done, _over: threading.Event) -> None:
        count = len(self._replicas(done)) + 1
        self._replace(done, lambda: self._shop.scale(done.service, count))

    def _replace(self, done: Done, change: Callable[[], list[Replica]]) -> None:
        before = {replica.label: replica.pid for replica in self._replicas(done)}
        began = time.monotonic()
        after = change()
        done.seconds = time.monotonic() - began
        done.fresh = [replica.label for replica in after if before.get(replica.label) != replica.pid]


def _is_new(replica: Replica, before: dict[str, int]) -> bool:
    return replica.phase is Phase.READY and replica.pid != before.get(replica.label)


def _end(replica: Replica) -> None:
    # A dead one's number may belong to somebody else by now.
    if replica.phase in {Phase.STARTING, Phase.READY}:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(replica.pid, signal.SIGKILL)
