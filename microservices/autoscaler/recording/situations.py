"""The situations in which the controller of Kubernetes is watched: policies, pods and what the pods use.

The pods of a situation stay as they are, whatever is decided. So the measurement alone says how many replicas are asked
for, and each look of a situation can ask for another number. Windows and periods have an odd number of seconds, because
the controller looks every two: no look then falls on the end of one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
REQUEST = 1000
"""Millicores that a pod asks for, unless a situation says otherwise."""
LONG_AGO, LONGER_AGO = -900, -1000
BOTH_WINDOWS = (
    "Both windows hold at the same time; 1.20 looked only at the one of the direction that is asked for, "
    "and could take replicas away because of the window for adding them."
)
LOOKS = 8
"""So many looks has a situation of windows or limits: sixteen seconds."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A pod. Times are seconds before (negative) the start of the situation."""

    ready: bool = True
    started: int = LONGER_AGO
    ready_changed: int = LONG_AGO
    phase: str = "Running"
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """A policy (the `spec` of a HorizontalPodAutoscaler without its target), pods, and their usage at each look."""

    name: str
    spec: Json
    pods: Sequence[Facts]
    looks: Sequence[Sequence[int | None]]
    """For each look the millicores of each pod; None: the metrics API knows nothing of this pod."""
    replicas: int = 1
    """Replicas that the Deployment wants at the start."""
    request: int = REQUEST
    later: str = ""
    """What versions after the recorded one do differently here, if they do."""


def all_situations() -> list[Situation]:
    """All of them, always the same ones."""
    rng = random.Random("kube-controller-manager")  # noqa: S311 -- seeded, so that a recording can be repeated
    return [
        *_measurements(),
        *_pods(),
        *_bounds(),
        *_changes(),
        *_changed_later(),
        *(_any_pods(rng, number) for number in range(60)),
        *(_any_rules(rng, number) for number in range(30)),
    ]


def utilization(percent: int) -> list[Json]:
    """The metric of a policy that wants the pods to use `percent` of their CPU request."""
    target = {"type": "Utilization", "averageUtilization": percent}
    return [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def average(millicores: int) -> list[Json]:
    """The metric of a policy that wants each pod to use so much CPU."""
    target = {"type": "AverageValue", "averageValue": f"{millicores}m"}
    return [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _spec(metrics: list[Json] | None = None, *, least: int = 1, most: int = 100, **behavior: Json) -> Json:
    spec: Json = {"minReplicas": least, "maxReplicas": most, "metrics": metrics or utilization(50)}
    return spec | ({"behavior": behavior} if behavior else {})


NOW_DOWN: Json = {"stabilizationWindowSeconds": 0}
"""Replicas may go at once: most situations are not about waiting."""


def _once(name: str, *usage: int | None, **facts: Any) -> Situation:
    """One look at pods that all run and are ready."""
    spec = facts.pop("spec", _spec(scaleDown=NOW_DOWN))
    facts = {"replicas": len(usage)} | facts
    return Situation(name, spec, [Facts()] * len(usage), [list(usage)], **facts)


def _asking(asked: Iterable[int]) -> list[list[int | None]]:
    """For one pod, whose target is 500m: usage that asks for so many replicas, look by look.

    One replica is asked for with 200m: at 500m nothing would change.
    """
    return [[200 if number == 1 else number * 500] for number in asked]


def _measurements() -> Iterator[Situation]:
    yield _once("twice the target doubles", 1000, 1000)
    yield _once("half of the target halves", 250, 250, 250, 250)
    yield _once("the result is rounded up", 600, 600, 600)
    yield _once("nothing used leaves the least", 0, 0, 0)
    for usage in (440, 449, 450, 500, 549, 560):
        yield _once(f"the tolerance at {usage}m of 500m", usage, usage, usage)
    yield _once("percentages are cut off", *[599] * 20)
    yield _once("several pods, one hot", 100, 200, 1500)
    yield _once("a target above the request", 1500, spec=_spec(utilization(150), scaleDown=NOW_DOWN))
    yield _once("a small request", 30, 40, request=50)
    for usage in (100, 180, 219, 221, 500):
        yield _once(
            f"an average of {usage}m for 200m", usage, usage, spec=_spec(average(200), scaleDown=NOW_DOWN)
        )
    yield _once("without behavior to twice or four", *[5000] * 3, spec=_spec())
    yield _once("without behavior to four from one", 5000, spec=_spec())
    yield _once("no metrics in the file means 80 %", 400, 400, spec={"minReplicas": 1, "maxReplicas": 10})
    yield _once("more replicas wanted than pods there are", 1000, replicas=3)
    yield _once("fewer replicas wanted than pods there are", 1000, 1000, 1000, replicas=2)


def _pods() -> Iterator[Situation]:
    yield _once("no measurement at all", None, None)
    yield _once("missing when replicas are added", 1000, 1000, None)
    yield _once("missing when replicas are taken away", 100, 100, None)
    yield _once("missing could turn the result", 600, None, None, None)
    yield _once("missing and exactly on target", 500, None)
    yield _once("missing with an average", 500, None, spec=_spec(average(200), scaleDown=NOW_DOWN))
    yield _once("missing with a low average", 50, None, spec=_spec(average(200), scaleDown=NOW_DOWN))
    cold = Facts(ready=False, started=-20, ready_changed=-20)
    fresh = Facts(started=-40, ready_changed=-10)
    never = Facts(ready=False, started=-900, ready_changed=-880)
    drowned = Facts(ready=False, started=-900, ready_changed=-100)
    kinds = {
        "not ready yet": cold,
        "ready for less than a window": fresh,
        "never ready": never,
        "no longer ready": drowned,
        "pending": Facts(ready=False, phase="Pending"),
        "failed": Facts(ready=False, phase="Failed"),
        "being deleted": Facts(deleted=True),
    }
    for name, kind in kinds.items():
        for usage in (1200, 100):
            yield Situation(
                f"one pod {name}, the others at {usage}m",
                _spec(scaleDown=NOW_DOWN),
                [Facts(), Facts(), kind],
                [[usage, usage, 900]],
                replicas=3,
            )
    yield Situation(
        "all pods not ready yet", _spec(scaleDown=NOW_DOWN), [cold, cold], [[900, 900]], replicas=2
    )
    yield Situation(
        "a fresh pod counts after its first window",
        _spec(scaleDown=NOW_DOWN),
        [Facts(started=-40, ready_changed=-8)],
        [[900]] * LOOKS,
    )


def _bounds() -> Iterator[Situation]:
    yield _once("the most replicas", *[2000] * 4, spec=_spec(most=6))
    yield _once("the least replicas", 0, 0, 0, 0, spec=_spec(least=2, scaleDown=NOW_DOWN))
    yield _once("more than the most at the start", 500, spec=_spec(most=4), replicas=9)
    yield _once("fewer than the least at the start", 500, spec=_spec(least=3), replicas=1)
    yield Situation("switched off by zero replicas", _spec(), [], [], replicas=0)


def _changes() -> Iterator[Situation]:
    def asking(name: str, spec: Json, *asked: int, replicas: int = 1) -> Situation:
        return Situation(name, spec, [Facts()], _asking(asked), replicas)

    def rules(window: int, *limits: tuple[str, int, int], select: str = "Max") -> Json:
        policies = [{"type": kind, "value": value, "periodSeconds": period} for kind, value, period in limits]
        made: Json = {"stabilizationWindowSeconds": window, "selectPolicy": select}
        return made | ({"policies": policies} if policies else {})

    free = ("Percent", 900, 1)
    yield asking("behavior's own limits: twice or four more", _spec(scaleUp={}), 90, 90, 90)
    yield asking("without behavior, steps of two", _spec(), 90, 90, 90, 90)
    yield asking("without behavior a lower number waits", _spec(), 2, 8, 2, 2, 2, 2)
    yield asking(
        "a scale-down waits for its window", _spec(scaleDown=rules(7)), 9, 3, 3, 3, 3, 3, 3, replicas=9
    )
    yield asking(
        "a scale-down goes to the highest of its window",
        _spec(scaleDown=rules(5)),
        *(9, 6, 7, 3, 3, 3, 3, 3),
        replicas=9,
    )
    yield asking("a scale-up waits for its window", _spec(scaleUp=rules(5, free)), 1, 9, 9, 9, 9)
    yield asking(
        "a scale-up goes to the lowest of its window", _spec(scaleUp=rules(5, free)), 1, 9, 6, 7, 8, 8, 8, 8
    )
    yield asking("pods per period", _spec(scaleUp=rules(0, ("Pods", 2, 5))), *[50] * LOOKS)
    yield asking("percent per period", _spec(scaleUp=rules(0, ("Percent", 50, 5))), *[50] * LOOKS, replicas=4)
    yield asking("percent rounds up", _spec(scaleUp=rules(0, ("Percent", 10, 1))), *[50] * LOOKS, replicas=3)
    two = (("Pods", 1, 3), ("Percent", 100, 5))
    yield asking(
        "the larger of two limits up", _spec(scaleUp=rules(0, *two)), 90, 90, 90, 90, 90, 90, replicas=2
    )
    yield asking(
        "the smaller of two limits up",
        _spec(scaleUp=rules(0, *two, select="Min")),
        *[90] * LOOKS,
        replicas=4,
    )
    yield asking("never up", _spec(scaleUp=rules(0, *two, select="Disabled")), 90, 90, replicas=4)
    yield asking("pods per period down", _spec(scaleDown=rules(0, ("Pods", 2, 5))), *[1] * LOOKS, replicas=20)
    yield asking(
        "percent per period down", _spec(scaleDown=rules(0, ("Percent", 30, 5))), *[1] * LOOKS, replicas=20
    )
    yield asking("the larger of two limits down", _spec(scaleDown=rules(0, *two)), *[1] * LOOKS, replicas=20)
    yield asking(
        "the smaller of two limits down",
        _spec(scaleDown=rules(0, ("Pods", 1, 3), ("Percent", 50, 5), select="Min")),
        *[1] * LOOKS,
        replicas=20,
    )
    yield asking(
        "never down",
        _spec(scaleDown=rules(0, ("Percent", 100, 5), select="Disabled")),
        1,
        1,
        9,
        1,
        replicas=4,
    )
    yield asking(
        "up to the most under limits", _spec(most=7, scaleUp=rules(0, ("Pods", 2, 3))), *[50] * LOOKS
    )
    yield asking(
        "down to the least under limits",
        _spec(least=3, scaleDown=rules(0, ("Pods", 2, 3))),
        *[1] * LOOKS,
        replicas=9,
    )
    yield Situation(
        "a look without a measurement changes nothing, and the window goes on",
        _spec(scaleDown=rules(5)),
        [Facts()],
        [[4500], [1000], [None], [1000], [1000], [1000]],
        replicas=9,
    )


def _changed_later() -> Iterator[Situation]:
    """What 1.20 decides in one way and later versions in another."""
    yield _once(
        "the tolerance at 550m of 500m",
        *(550, 550, 550),
        later="A ratio of 1.1 is within the tolerance; 1.20 compared 1.1 - 1 with 0.1, which is larger by a rounding.",
    )
    wait = {"stabilizationWindowSeconds": 7}
    yield Situation(
        "up and down windows together",
        _spec(scaleUp=wait, scaleDown={"stabilizationWindowSeconds": 9}),
        [Facts()],
        _asking((6, 2, 9, 9, 9)),
        replicas=6,
        later=BOTH_WINDOWS,
    )
    one_each = {"policies": [{"type": "Pods", "value": 3, "periodSeconds": 31}]}
    yield Situation(
        "up and down within one period",
        _spec(scaleUp=one_each, scaleDown=NOW_DOWN | one_each),
        [Facts()],
        _asking((9, 1, 9, 1, 9)),
        replicas=5,
        later="A limit counts from the replicas at the begin of its period, whatever was added and removed in it; "
        "1.20 forgot the changes in the other direction.",
    )
    yield _once(
        "missing with a target above the request",
        *(1000, None, None),
        spec=_spec(utilization(150), scaleDown=NOW_DOWN),
        later="A pod without a measurement counts as busy as the target; 1.20 took 100 % also for a higher target.",
    )


@dataclass(slots=True)
class _Mix:
    """Pods that a seeded generator put together, with what they use."""

    pods: list[Facts] = field(default_factory=list)
    usage: list[int | None] = field(default_factory=list)


def _any_pods(rng: random.Random, number: int) -> Situation:
    """One look at a mix of pods in all states."""
    mix = _Mix()
    level = rng.choice([0.1, 0.4, 0.6, 1.0, 2.0])
    request = rng.choice([50, 200, 1000])
    for _ in range(rng.randint(1, 9)):
        started = rng.choice([-30, -200, -1000])
        facts = Facts(
            ready=rng.random() < 0.8,
            started=started,
            ready_changed=started + rng.choice([5, 25, 180] if started < -180 else [5, 25]),
            phase=rng.choices(["Running", "Pending", "Failed"], [12, 1, 1])[0],
            deleted=rng.random() < 0.05,
        )
        mix.pods.append(facts)
        mix.usage.append(None if rng.random() < 0.15 else int(request * level * rng.uniform(0.5, 1.5)))
    target = (
        utilization(rng.choice([30, 50, 80, 100]))
        if rng.random() < 0.6
        else average(request * rng.choice([30, 50, 80]) // 100)
    )
    replicas = max(1, len(mix.pods) + rng.choice([-1, 0, 0, 0, 1]))
    spec = _spec(target, least=rng.randint(1, 2), most=rng.randint(9, 30), scaleDown=NOW_DOWN)
    return Situation(f"a mix of pods {number}", spec, mix.pods, [mix.usage], replicas, request)


def _any_rules(rng: random.Random, number: int) -> Situation:
    """Demand that moves in one direction, under windows and limits of any kind.

    In one direction only, because 1.20 and later versions differ where both meet; see `_changed_later`.
    """

    def rules() -> Json:
        limits = [
            {
                "type": rng.choice(["Pods", "Percent"]),
                "value": rng.choice([1, 2, 3, 5, 20, 50, 100]),
                "periodSeconds": rng.choice([1, 3, 5, 9]),
            }
            for _ in range(rng.randint(1, 3))
        ]
        select = rng.choices(["Max", "Min", "Disabled"], [5, 4, 1])[0]
        return {
            "stabilizationWindowSeconds": rng.choice([0, 3, 5, 9]),
            "policies": limits,
            "selectPolicy": select,
        }

    asked = sorted(rng.randint(1, 40) for _ in range(LOOKS))
    grows = rng.random() < 0.5
    if not grows:
        asked.reverse()
    spec = _spec(least=rng.randint(1, 3), most=rng.randint(20, 45))
    spec["behavior"] = {"scaleUp" if grows else "scaleDown": rules()}
    replicas = rng.randint(3, asked[0]) if grows and asked[0] > 3 else max(3, min(asked[0], 20))
    # In these two, demand begins below the replicas there are.
    later = BOTH_WINDOWS if number in {0, 13} else ""
    return Situation(f"rules {number}", spec, [Facts()], _asking(asked), replicas, later=later)
