"""One decision of the autoscaler: a pure function of the policy, the replicas, the clock and what it remembers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from microservices.autoscaler.limits import History, Moment, limited
from microservices.autoscaler.policy import Policy
from microservices.autoscaler.replica_count import Count, Pod, replicas_for


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided at `at`, and from what."""

    at: float
    target: str
    current: int
    """Replicas wanted before."""
    ready: int
    asked: int | None
    """Replicas that the measurement asks for, before the limits; None without a usable measurement."""
    desired: int
    measured: int | None
    """Percent of the request, or millicores per replica."""
    reason: str


def decide(policy: Policy, history: History, pods: Collection[Pod], current: int, now: float) -> Decision:
    """The replicas that `policy` wants at `now`; `history` is updated, also by the change that it leads to."""
    if not history.recommendations:
        # As the controller does: nothing is taken away in the first window after the start.
        history.recommendations.append(Moment(now, current))
    count, desired, reason = _desired(policy, history, pods, current, now)
    if desired != current:
        history.scaled(current, desired, now)
    history.forget(policy, now)
    ready = sum(pod.ready and not pod.leaving for pod in pods)
    return Decision(now, policy.target, current, ready, count.desired, desired, count.measured, reason)


def _desired(
    policy: Policy, history: History, pods: Collection[Pod], current: int, now: float
) -> tuple[Count, int, str]:
    nothing = Count(None, None, None, "")
    if current == 0:
        return nothing, 0, "it was set to no replica by hand, which switches the policy off"
    if current > policy.maximum:
        return nothing, policy.maximum, "there were more than maxReplicas"
    if current < policy.minimum:
        return nothing, policy.minimum, "there were fewer than minReplicas"
    count = replicas_for(policy, pods, current, now)
    if count.desired is None:
        return count, current, count.reason
    desired, limit = limited(policy, history, current, count.desired, now)
    return count, desired, f"{count.reason}, held by {limit}" if limit else count.reason
