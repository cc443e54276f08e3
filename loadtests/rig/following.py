"""Replicas that change during a trial, by the launcher's autoscaler or by a timetable, and the record of them."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from loadtests.planning.phases import PlannedPhase
from loadtests.planning.trials import Trial
from loadtests.rig.shop import Shop
from microservices.autoscaler.loop import Autoscaler
from microservices.autoscaler.policy import Policy, parse_policies
from microservices.launcher import Fleet, LauncherError, Phase

POLL_SECONDS = 0.05
POLICY = "the policy of this system"
"""Its name in messages."""


@dataclass
class Followed:
    """What happened. Times are Unix times.

    `counts` has a row for each change: time, replicas that are ready, processes that exist. `decisions` are the
    autoscaler's, `failed` the changes that could not be made.
    """

    service: str
    counts: list[tuple[float, int, int]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def since(self, epoch: float) -> dict[str, Any]:
        """As trial.json has it, with times in seconds after the trial's start."""
        return {
            "service": self.service,
            "counts": [[round(at - epoch, 3), ready, existing] for at, ready, existing in self.counts],
            "decisions": [{**each, "at": round(each["at"] - epoch, 3)} for each in self.decisions],
            "failed": self.failed,
        }


class Follower:
    """Changes the replicas of a trial that has `following`, from the first phase that follows demand on.

    `followed` is what has happened so far; None for a trial without `following`.
    """

    def __init__(self, shop: Shop, trial: Trial) -> None:
        self._shop = shop
        self._rule = trial.following
        self.followed = Followed(self._rule["service"]) if self._rule else None
        self._scaler: Autoscaler | None = None
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def phase_begins(self, phase: PlannedPhase) -> None:
        """Start what changes the replicas, if the phase follows demand."""
        if self._rule is None or not phase.follow:
            return
        if not self._threads:
            self._start(self._count)
        if plan := self._rule.get("plan"):
            self._start(lambda: self._keep_to_plan(plan, phase.seconds))
        elif self._scaler is None:
            self._scaler = self._autoscaler(phase)
            self._scaler.__enter__()

    def finish(self) -> Followed | None:
        """End the changes; returns what happened, or None for a trial without `following`."""
        self._ended.set()
        if self._scaler is not None:
            self._scaler.__exit__(None, None, None)
        for thread in self._threads:
            thread.join()
        if self.followed and self._scaler is not None:
            lines = self._scaler.decisions_file.read_text(encoding="utf-8").splitlines()
            self.followed.decisions = [json.loads(line) for line in lines]
            self._scaler = None
        return self.followed

    def _autoscaler(self, phase: PlannedPhase) -> Autoscaler:
        assert self._rule
        assert self.followed
        assert isinstance(self._shop, Fleet)
        return Autoscaler(
            self._shop,
            policies_of(self._rule["policy"]),
            sync_seconds=self._rule["every_seconds"],
            request=round(phase.cores_of(self.followed.service) * 1000),
        )

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="following", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _count(self) -> None:
        assert self.followed
        counts = self.followed.counts
        while not self._ended.wait(POLL_SECONDS):
            replicas = self._shop.replicas(self.followed.service)
            now = (sum(each.phase is Phase.READY for each in replicas), len(replicas))
            if not counts or counts[-1][1:] != now:
                counts.append((time.time(), *now))

    def _keep_to_plan(self, plan: list[tuple[float, int]], seconds: float) -> None:
        assert self.followed
        began = time.monotonic()
        for share, count in plan:
            if self._ended.wait(max(0.0, began + share * seconds - time.monotonic())):
                return
            try:
                self._shop.scale(self.followed.service, count)
            except LauncherError as error:
                self.followed.failed.append(str(error))


def most_replicas(trial: Trial) -> dict[str, int]:
    """The service that changes, and the most replicas that it may have; empty for a trial whose replicas are fixed."""
    rule = trial.following
    if rule is None:
        return {}
    if "plan" in rule:
        return {rule["service"]: max(count for _, count in rule["plan"])}
    return {policy.target: policy.maximum for policy in policies_of(rule["policy"])}


def policies_of(text: str) -> list[Policy]:
    """The autoscaler's policies in the text of a policy file; raises PolicyError."""
    return parse_policies(text, POLICY)
