"""How fast the number of replicas may change: stabilization windows and limits per period, with their memory.

Source: "Configurable scaling behavior" in the Kubernetes documentation of the HorizontalPodAutoscaler.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from microservices.autoscaler.policy import DOWN_WINDOW_SECONDS, Limit, Policy, Rules

FASTEST_FACTOR, FASTEST_LEAST = 2, 4
"""Without `behavior`, one step goes to twice the replicas, or to 4."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A number of replicas at a time: a recommendation, or how many were added or taken away."""

    at: float
    replicas: int


@dataclass(slots=True)
class History:
    """What the limits remember of one policy."""

    recommendations: list[Moment] = field(default_factory=list)
    added: list[Moment] = field(default_factory=list)
    removed: list[Moment] = field(default_factory=list)

    def scaled(self, before: int, after: int, now: float) -> None:
        """Remember a change that was carried out."""
        (self.added if after > before else self.removed).append(Moment(now, abs(after - before)))

    def forget(self, policy: Policy, now: float) -> None:
        """Drop what no window and no period of the policy reaches any more."""
        windows, periods = [DOWN_WINDOW_SECONDS], [0]
        for rules in (policy.behavior.up, policy.behavior.down) if policy.behavior else ():
            windows.append(rules.window_seconds)
            periods += [limit.period_seconds for limit in rules.limits]
        self.recommendations = _since(self.recommendations, now - max(windows))
        self.added, self.removed = (
            _since(moments, now - max(periods)) for moments in (self.added, self.removed)
        )


def limited(policy: Policy, history: History, current: int, asked: int, now: float) -> tuple[int, str]:
    """The replicas that are allowed now when a metric asks for `asked`, and the limit that decided ("": none).

    The recommendation is remembered.
    """
    if policy.behavior is None:
        stable = max([asked, *_within(history.recommendations, DOWN_WINDOW_SECONDS, now)])
        highest = min(policy.maximum, max(FASTEST_FACTOR * current, FASTEST_LEAST))
        allowed = max(policy.minimum, min(stable, highest))
    else:
        up, down = policy.behavior.up, policy.behavior.down
        lowest_recent = min([asked, *_within(history.recommendations, up.window_seconds, now)])
        highest_recent = max([asked, *_within(history.recommendations, down.window_seconds, now)])
        stable = min(max(current, lowest_recent), highest_recent)
        if stable > current:
            allowed = min(stable, policy.maximum, max(current, _ceiling(up, history, current, now)))
        elif stable < current:
            allowed = max(stable, policy.minimum, min(current, _floor(down, history, current, now)))
        else:
            allowed = stable
    history.recommendations.append(Moment(now, asked))
    if stable != asked:
        return allowed, "the stabilization window"
    return allowed, _name_of_limit(policy, asked, allowed)


def _name_of_limit(policy: Policy, asked: int, allowed: int) -> str:
    if allowed == asked:
        return ""
    if allowed == policy.maximum and asked > allowed:
        return "maxReplicas"
    if allowed == policy.minimum and asked < allowed:
        return "minReplicas"
    return "the limit per period"


def _ceiling(rules: Rules, history: History, current: int, now: float) -> int:
    if rules.select == "Disabled":
        return current
    proposals = [
        start + limit.value if limit.kind == "Pods" else math.ceil(start * (1 + limit.value / 100))
        for limit, start in _starts(rules.limits, history, current, now)
    ]
    return min(proposals) if rules.select == "Min" else max(proposals)


def _floor(rules: Rules, history: History, current: int, now: float) -> int:
    if rules.select == "Disabled":
        return current
    proposals = [
        start - limit.value if limit.kind == "Pods" else int(start * (1 - limit.value / 100))
        for limit, start in _starts(rules.limits, history, current, now)
    ]
    # The smallest change leaves most replicas.
    return max(proposals) if rules.select == "Min" else min(proposals)


def _starts(limits: Iterable[Limit], history: History, current: int, now: float) -> list[tuple[Limit, int]]:
    """Each limit with the replicas that there were when its period began."""
    return [
        (
            limit,
            current
            - sum(_within(history.added, limit.period_seconds, now))
            + sum(_within(history.removed, limit.period_seconds, now)),
        )
        for limit in limits
    ]


def _within(moments: Iterable[Moment], seconds: float, now: float) -> list[int]:
    return [moment.replicas for moment in moments if moment.at > now - seconds]


def _since(moments: Iterable[Moment], at: float) -> list[Moment]:
    return [moment for moment in moments if moment.at > at]
