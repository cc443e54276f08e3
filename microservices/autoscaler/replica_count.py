"""How many replicas a CPU metric asks for: the calculation of Kubernetes' HorizontalPodAutoscaler, step by step.

Source: "Algorithm details" in the Kubernetes documentation of the HorizontalPodAutoscaler, and the replica calculator
of kube-controller-manager. Percentages are whole numbers, cut off and not rounded, as they are there.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from microservices.autoscaler.policy import TOLERANCE, Policy

INITIALIZATION_SECONDS = 300
"""After its start, a replica's CPU counts only while it is ready, and only from a whole window in which it was."""
INITIAL_READINESS_SECONDS = 30
"""A replica that became unready within this time after its start counts as one that was never ready."""


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU that a replica used: the average of the `window_seconds` that end at `at`."""

    millicores: int
    at: float
    window_seconds: float


@dataclass(frozen=True, slots=True)
class Pod:
    """One replica at one moment. Times are seconds on one clock."""

    name: str
    usage: Usage | None
    """None: no measurement."""
    ready: bool
    started_at: float
    ready_changed_at: float
    """When it last became ready or unready."""
    leaving: bool = False
    """It drains, or it failed."""
    pending: bool = False
    """Its process has not started yet."""


@dataclass(frozen=True, slots=True)
class Count:
    """Replicas that the metric asks for, and the measurement behind it; `desired` is None when nothing can be said."""

    desired: int | None
    measured: int | None
    """Percent of the request, or millicores per replica: the unit of the policy's target."""
    ratio: float | None
    reason: str


def replicas_for(policy: Policy, pods: Collection[Pod], current: int, now: float) -> Count:
    """What the measurements of `pods` ask for, when `current` replicas are wanted so far; before all limits."""
    unready, missing = _unready(pods, now), _missing(pods)
    skipped = unready | missing | {pod.name for pod in pods if pod.leaving}
    usage = {
        pod.name: pod.usage.millicores for pod in pods if pod.usage is not None and pod.name not in skipped
    }
    if not usage:
        return Count(None, None, None, "there is no measurement of a ready replica")
    measured, ratio = _ratio(policy, usage)
    grow_with_unready = bool(unready) and ratio > 1
    if not grow_with_unready and not missing:
        if _within_tolerance(policy, ratio):
            return Count(current, measured, ratio, "the measurement is close to the target")
        return Count(math.ceil(ratio * len(usage)), measured, ratio, _direction(ratio))
    # A measurement that is missing must not make the change larger than what is known would.
    if missing and not (policy.utilization is not None and ratio == 1):
        usage |= dict.fromkeys(missing, _assumed(policy, ratio))
    if grow_with_unready:
        usage |= dict.fromkeys(unready, 0)
    _, careful = _ratio(policy, usage)
    turned = (ratio < 1 < careful) or (careful < 1 < ratio)
    if _within_tolerance(policy, careful) or turned:
        return Count(current, measured, ratio, "replicas without a measurement could turn the result")
    desired = math.ceil(careful * len(usage))
    if (careful < 1 and desired > current) or (careful > 1 and desired < current):
        return Count(current, measured, ratio, "replicas without a measurement could turn the result")
    return Count(desired, measured, ratio, _direction(careful))


def _unready(pods: Collection[Pod], now: float) -> set[str]:
    """Replicas whose CPU says nothing about demand: not started, or not ready for a whole window yet."""
    return {pod.name for pod in pods if not pod.leaving and (pod.pending or _starting(pod, now))}


def _starting(pod: Pod, now: float) -> bool:
    if pod.usage is None:
        return False
    if pod.started_at + INITIALIZATION_SECONDS > now:
        return not pod.ready or pod.usage.at < pod.ready_changed_at + pod.usage.window_seconds
    return not pod.ready and pod.started_at + INITIAL_READINESS_SECONDS > pod.ready_changed_at


def _missing(pods: Collection[Pod]) -> set[str]:
    return {pod.name for pod in pods if pod.usage is None and not pod.leaving and not pod.pending}


def _ratio(policy: Policy, usage: Mapping[str, int]) -> tuple[int, float]:
    """The measurement in the unit of the target, and its ratio to the target."""
    total = sum(usage.values())
    if policy.utilization is not None:
        assert policy.request is not None
        measured = total * 100 // (policy.request * len(usage))
        return measured, measured / policy.utilization
    assert policy.average_value is not None
    measured = total // len(usage)
    return measured, measured / policy.average_value


def _assumed(policy: Policy, ratio: float) -> int:
    """Millicores for a replica without a measurement: 0 when replicas are added, all that it may use otherwise."""
    if policy.utilization is not None:
        assert policy.request is not None
        if ratio < 1:
            return policy.request * max(100, policy.utilization) // 100
        return 0
    assert policy.average_value is not None
    return policy.average_value if ratio < 1 else 0


def _within_tolerance(policy: Policy, ratio: float) -> bool:
    up = policy.behavior.up.tolerance if policy.behavior else TOLERANCE
    down = policy.behavior.down.tolerance if policy.behavior else TOLERANCE
    return 1 - down <= ratio <= 1 + up


def _direction(ratio: float) -> str:
    return "the measurement is above the target" if ratio > 1 else "the measurement is below the target"
