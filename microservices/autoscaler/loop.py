"""The control loop: looks at the replicas of a fleet every few seconds, decides, and scales.

    with Fleet(SPLIT, data_dir=data) as fleet, Autoscaler(fleet, read_policies(file)):
        ...

A change is carried out by a thread of its own, so that the loop goes on deciding while replicas start or drain, as the
controller of a cluster does.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from microservices.autoscaler.decision import Decision, decide
from microservices.autoscaler.limits import History
from microservices.autoscaler.policy import Policy, PolicyError
from microservices.autoscaler.replica_count import Pod
from microservices.autoscaler.usage import UsageMeter
from microservices.launcher.errors import LauncherError
from microservices.launcher.fleet import Fleet
from microservices.launcher.replica import Phase, Replica
from microservices.topology import Topology

SYNC_SECONDS = 15.0
"""The controller's default."""
LONGEST_CHANGE_SECONDS = 10.0
"""How long the end of the loop waits for a change that has begun."""
DECISIONS_FILE = "autoscaler.jsonl"


class Autoscaler:
    """Follows the policies as long as the block runs; a context manager.

    `request` is the CPU request of a replica in millicores; without it, the file's Deployment or the topology says it.
    Each decision is appended to
    autoscaler.jsonl in the folder of the run, with the time in Unix seconds. Raises PolicyError.
    """

    def __init__(
        self,
        fleet: Fleet,
        policies: Sequence[Policy],
        *,
        sync_seconds: float = SYNC_SECONDS,
        request: int | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._fleet, self._sync_seconds, self._say = fleet, sync_seconds, say
        self._policies = [prepared(policy, fleet.topology, request) for policy in policies]
        self._histories = {policy.target: History() for policy in policies}
        self._last: dict[str, Decision] = {}
        self._meter = UsageMeter()
        self._ending = threading.Event()
        self._loop = threading.Thread(target=self._run, name="autoscaler", daemon=True)
        self._changes: list[threading.Thread] = []
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self._file = self.decisions_file.open("w", encoding="utf-8")
        self._loop.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._loop.join()
        for change in self._changes:
            change.join(LONGEST_CHANGE_SECONDS)
        if self._file is not None:
            self._file.close()

    @property
    def decisions_file(self) -> Path:
        """Where the decisions are written, one JSON object on each line."""
        return self._fleet.folder.path / DECISIONS_FILE

    def report(self) -> list[str]:
        """A sentence for each policy: its newest decision."""
        newest = [(policy, self._last.get(policy.target)) for policy in self._policies]
        return [
            sentence(policy, decision) if decision else f"{policy.target}: nothing measured yet."
            for policy, decision in newest
        ]

    def _run(self) -> None:
        due = time.monotonic()
        self._measure(due)
        while not self._ending.wait(max(0.0, due + self._sync_seconds - time.monotonic())):
            due = time.monotonic()
            measured = self._measure(due)
            for policy in self._policies:
                self._follow(policy, measured[policy.target], due)

    def _measure(self, now: float) -> dict[str, list[Pod]]:
        replicas = {policy.target: self._fleet.replicas(policy.target) for policy in self._policies}
        pods = {name: [self._pod(replica, now) for replica in found] for name, found in replicas.items()}
        self._meter.keep_only(replica.label for found in replicas.values() for replica in found)
        return pods

    def _pod(self, replica: Replica, now: float) -> Pod:
        child = replica.child
        return Pod(
            replica.label,
            self._meter.read(replica.label, replica.pid, replica.pids(), now),
            ready=replica.phase is Phase.READY,
            started_at=child.started if child else now,
            ready_changed_at=replica.phase_changed_at,
            leaving=replica.phase in {Phase.DRAINING, Phase.FAILED},
            pending=child is None,
        )

    def _follow(self, policy: Policy, pods: list[Pod], now: float) -> None:
        current = self._fleet.wanted(policy.target)
        decision = decide(policy, self._histories[policy.target], pods, current, now)
        self._last[policy.target] = decision
        self._write(decision)
        if decision.desired != current:
            self._say(sentence(policy, decision))
            self._change(policy.target, decision.desired)

    def _change(self, name: str, count: int) -> None:
        """Scale in a thread of its own: replicas start and drain while the loop goes on."""
        self._changes = [change for change in self._changes if change.is_alive()]
        change = threading.Thread(target=self._scale, args=(name, count), name=f"scale {name}", daemon=True)
        self._changes.append(change)
        change.start()

    def _scale(self, name: str, count: int) -> None:
        try:
            self._fleet.scale(name, count)
        except LauncherError as error:
            self._say(f"The autoscaler could not change {name} to {count} replicas: {error}")

    def _write(self, decision: Decision) -> None:
        assert self._file is not None
        self._file.write(json.dumps(asdict(decision) | {"at": time.time()}) + "\n")
        self._file.flush()


def prepared(policy: Policy, topology: Topology, request: int | None) -> Policy:
    """The policy with its request; raises PolicyError when this topology cannot follow it."""
    names = [service.name for service in topology.services]
    if policy.target not in names:
        raise PolicyError(f"The policy scales {policy.target}; the services are {', '.join(names)}.")
    if error := topology.scale_error(policy.target, policy.maximum):
        raise PolicyError(f"maxReplicas is {policy.maximum}: {error}")
    asked = request or policy.request or topology.service(policy.target).cpu_request
    return replace(policy, request=asked)


def sentence(policy: Policy, decision: Decision) -> str:
    """The decision for people."""
    unit = "%" if policy.utilization is not None else "m"
    target = policy.utilization if policy.utilization is not None else policy.average_value
    seen = (
        "no measurement"
        if decision.measured is None
        else f"CPU at {decision.measured}{unit} of {target}{unit}"
    )
    return (
        f"{decision.target}: {decision.current} → {decision.desired} replicas "
        f"({seen}, {decision.ready} ready; {decision.reason})."
    )
