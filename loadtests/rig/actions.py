"""What is done to a running shop during a trial: faults, a rolling restart, one replica more.

Each action is done to processes from outside, so it is the same in both shops: the service that holds the hot
component dies, hangs or gets a tenth of its CPU. In the monolith that process holds everything else too, and this is
what the experiments compare.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from loadtests.planning.phases import PlannedAction
from loadtests.rig.phase_slices import PhaseSlices
from loadtests.rig.shop import Shop, ShopReplica, TargetError
from microservices.chaos.pause import paused_processes
from microservices.launcher import LauncherError, Phase

SLOW_SHARE = 0.1
"""The part of its slice that a slowed replica keeps."""
POLL_SECONDS = 0.02
RETURN_TIMEOUT_SECONDS = 60.0


@dataclass
class ActionResult:
    """The result of an action: seconds until all replicas served again, and the labels of the new replicas.

    `failed` says why the action could not be done, and is empty when it was done.
    """

    phase: int
    what: str
    service: str
    seconds: float | None = None
    fresh: list[str] = field(default_factory=list)
    failed: str = ""


class ActionRunner:
    """Carries out the actions of one trial, each in its own thread, so that no action delays a phase."""

    def __init__(self, shop: Shop, slices: PhaseSlices) -> None:
        self._shop = shop
        self._slices = slices
        self._results: list[ActionResult] = []
        self._threads: list[threading.Thread] = []
        self._phase_ended = threading.Event()
        self._actions: dict[str, Callable[[ActionResult, threading.Event], None]] = {
            "kill": self._kill,
            "dead": self._keep_dead,
            "hang": self._hang,
            "slow": self._slow,
            "restart": self._restart,
            "add": self._add,
        }

    def next_phase(self, index: int, action: PlannedAction | None) -> None:
        """End the faults of the previous phase and start the action of this one."""
        self._phase_ended.set()
        if action is None:
            return
        self._phase_ended = threading.Event()
        result = ActionResult(index, action.what, action.service)
        self._results.append(result)
        thread = threading.Thread(
            target=self._act, args=(action, result, self._phase_ended), name=action.what
        )
        self._threads.append(thread)
        thread.start()

    def finish(self) -> list[ActionResult]:
        """End all faults, wait for all actions and return their results."""
        self._phase_ended.set()
        for thread in self._threads:
            thread.join()
        return self._results

    def _act(self, action: PlannedAction, result: ActionResult, phase_ended: threading.Event) -> None:
        if phase_ended.wait(action.at):
            result.failed = "the phase ended before the action was due"
            return
        try:
            self._actions[action.what](result, phase_ended)
        except (LauncherError, TargetError, OSError) as error:
            result.failed = str(error)

    def _replicas(self, result: ActionResult) -> Sequence[ShopReplica]:
        return self._shop.replicas(result.service)

    def _kill(self, result: ActionResult, _phase_ended: threading.Event) -> None:
        self._replace(result, lambda: self._kill_and_wait(result))

    def _kill_and_wait(self, result: ActionResult) -> Sequence[ShopReplica]:
        before = {replica.label: replica.pid for replica in self._replicas(result)}
        until = time.monotonic() + RETURN_TIMEOUT_SECONDS
        for replica in self._replicas(result):
            _end(replica)
        while not all(_is_new(replica, before) for replica in self._replicas(result)):
            if time.monotonic() > until:
                raise TargetError(f"{result.service} did not come back in {RETURN_TIMEOUT_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
        return self._replicas(result)

    def _keep_dead(self, result: ActionResult, phase_ended: threading.Event) -> None:
        while not phase_ended.is_set():
            for replica in self._replicas(result):
                _end(replica)
            phase_ended.wait(POLL_SECONDS)

    def _hang(self, result: ActionResult, phase_ended: threading.Event) -> None:
        with (
            self._without_slices(result) as replicas,
            paused_processes([p for r in replicas for p in r.pids()]),
        ):
            phase_ended.wait()

    @contextlib.contextmanager
    def _without_slices(self, result: ActionResult) -> Iterator[Sequence[ShopReplica]]:
        """The replicas, without slices meanwhile: a slice kept by pausing and resuming would resume them."""
        replicas = self._replicas(result)
        for replica in replicas:
            self._slices.remove(replica.label)
        yield replicas
        for replica in replicas:
            self._slices.apply(replica)

    def _slow(self, result: ActionResult, phase_ended: threading.Event) -> None:
        for replica in self._replicas(result):
            self._slices.apply(replica, SLOW_SHARE)
        phase_ended.wait()
        for replica in self._replicas(result):
            self._slices.apply(replica)

    def _restart(self, result: ActionResult, _phase_ended: threading.Event) -> None:
        self._replace(result, lambda: self._shop.restart(result.service))

    def _add(self, result: ActionResult, _phase_ended: threading.Event) -> None:
        count = len(self._replicas(result)) + 1
        self._replace(result, lambda: self._shop.scale(result.service, count))

    def _replace(self, result: ActionResult, change: Callable[[], Sequence[ShopReplica]]) -> None:
        """Make the change, and note how long it took and which replicas are new."""
        before = {replica.label: replica.pid for replica in self._replicas(result)}
        began = time.monotonic()
        after = change()
        result.seconds = time.monotonic() - began
        result.fresh = [replica.label for replica in after if before.get(replica.label) != replica.pid]


def _is_new(replica: ShopReplica, before: dict[str, int]) -> bool:
    return replica.phase is Phase.READY and replica.pid != before.get(replica.label)


def _end(replica: ShopReplica) -> None:
    # Only a replica that runs: after its death another process may have got its pid. Group 0 would be our own.
    if replica.pid and replica.phase in {Phase.STARTING, Phase.READY}:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(replica.pid, signal.SIGKILL)
