"""Replicas that follow demand in a trial: how they are changed, what is recorded, and what is computed from it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.analysis.following import bill, demand_in, elasticity_in, timeline
from loadtests.analysis.raw import RawTrial, Usage
from loadtests.analysis.validity import reasons_to_void
from loadtests.experiments.curves import spike
from loadtests.experiments.experiment import ExperimentError, load, parse
from loadtests.load.arrivals import Phase as LoadPhase
from loadtests.load.arrivals import schedule
from loadtests.planning.phases import PlannedPhase
from loadtests.planning.plan import plan
from loadtests.planning.trials import Trial
from loadtests.report import following as report
from loadtests.report.estimates import DASH
from loadtests.rig.following import Follower, most_replicas
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.shape import shaped
from loadtests.tests.made_up import TEXT, request, steady, trial
from loadtests.tests.test_actions import PHASE
from microservices.launcher import MONOLITH, SPLIT, Fleet
from microservices.tests.conftest import stub_topology, wait_until

HOT = "GET /api/products/{sku}/recommendations"
DEMAND = {"persona": "searcher", "endpoint": HOT, "capacity": "warm-up"}
POLICY = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: alpha}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: alpha}
  minReplicas: 2
  maxReplicas: 2
"""


def followed(counts: list[tuple[float, int, int]]) -> RawTrial:
    """A trial whose demand grows from one replica to four at second 3 and falls back at second 8.

    Its warm-up lasts from second 0 to 1, in which one replica answers 25 hot requests. Its quiet phase lasts from
    second 1 to 11 with ten searchers per second, and ten times as many from second 3 to 8.
    """
    facts: dict[str, Any] = {
        "following": {"service": "monolith", "plan": [[0.0, 1]], "demand": DEMAND},
        "followed": {"service": "monolith", "counts": counts, "decisions": [], "failed": []},
    }
    served = [request(n / 25, 20, phase=0, route=HOT) for n in range(25)]
    second = Usage([4.0, 5.0, 11.0], [0.0, 0.7, 1.3], [0, 50_000_000, 50_000_000])
    times = [0.0, 1.0, 4.0, 5.0, 11.0]
    found = trial(
        requests=[*served, *(request(1.05 + n / 10, 20) for n in range(99))],
        usage={
            "monolith-1": Usage(times, [0.0, 0.1, 0.4, 0.5, 1.1], [100_000_000] * 5),
            "gateway": Usage(times, [0.0] * 5, [30_000_000] * 5),
            "monolith-2": second,
        },
        **facts,
    )
    curve = spike(10, 10, 0.2, 0.7)
    return replace(found, phases=[found.phases[0], replace(found.phases[1], follow=True, curve=curve)])


def test_the_demand_comes_from_what_one_replica_served_at_most() -> None:
    found = followed([(0.5, 1, 1)])
    assert found.served_by_one_replica == 25
    demand = demand_in(found, 1)
    assert demand
    assert [demand(at) for at in (1, 2.9, 3.1, 7.9, 8.1)] == [1, 1, 4, 4, 1]


def test_the_bill_has_replicas_memory_and_the_time_until_one_more_was_ready() -> None:
    found = bill(followed([(0.5, 1, 1), (4.1, 1, 2), (5.3, 2, 2)]), 1)
    # The second replica exists from second 5 at the latest, and half of the second before is counted.
    assert found["replica_seconds"] == pytest.approx(10 + 6.5, abs=0.01)
    assert found["memory_seconds"] == pytest.approx(10 * 0.13 + 6.5 * 0.05, abs=0.001)
    assert found["first_replica_seconds"] == pytest.approx(2.3, abs=0.11)


def test_a_trial_in_which_no_replica_came_has_no_time_for_it() -> None:
    assert bill(followed([(0.5, 1, 1)]), 1)["first_replica_seconds"] is None


def test_a_phase_that_follows_nothing_has_no_bill_and_no_elasticity() -> None:
    found = followed([(0.5, 1, 1)])
    assert bill(found, 0) == {}
    assert elasticity_in(found, 0) is None
    assert bill(trial(), 1) == {}


def test_elasticity_is_that_of_ready_replicas() -> None:
    found = elasticity_in(followed([(0.5, 1, 1), (4.1, 1, 4), (5.0, 4, 4)]), 1)
    assert found
    assert found["missing"] == pytest.approx(3 * 2 / 10, abs=0.04)
    assert found["idle"] == pytest.approx(3 * 3 / 10, abs=0.04)


def test_the_timeline_begins_with_the_first_recorded_phase() -> None:
    found = timeline(followed([(0.5, 1, 1), (5.0, 4, 4)]), 1, zero=1.0)
    assert found["demand"] == [(0.0, 1), (2.0, 4), (7.0, 1)]
    assert found["ready"] == [(0.0, 1), (4.0, 4)]


def test_a_replica_that_starts_may_use_more_than_its_slice() -> None:
    found = followed([(0.5, 1, 1)])
    found = replace(found, usage={**found.usage, "monolith-2": steady(0.7)})
    cores = {name: usage.cores([found.window(1)]) for name, usage in found.usage.items()}
    assert not [why for why in reasons_to_void(found, [1], found.requests, cores) if "slice" in why]
    fixed = replace(found, phases=[found.phases[0], replace(found.phases[1], follow=False)])
    assert [why for why in reasons_to_void(fixed, [1], fixed.requests, cores) if "slice" in why]


def test_only_the_named_personas_follow_a_curve() -> None:
    phase = LoadPhase(
        "toy", 100.0, {"buyer": 2.0, "searcher": 2.0}, curve=spike(100, 10, 0.0, 1.0), curve_of=("searcher",)
    )
    visits = [arrival.persona for arrival in schedule([phase], "seed")]
    assert 140 < visits.count("buyer") < 260
    assert 1800 < visits.count("searcher") < 2200


@pytest.mark.parametrize(
    ("following", "complaint"),
    [
        ('{ service = "monolith" }', "expected either policy or plan"),
        ('{ service = "monolith", policy = "none.yaml" }', "none.yaml"),
        ('{ service = "monolith", plan = [[0.2, 1]] }', "the first of them 0"),
        (
            '{ service = "monolith", plan = [[0.0, 1]] }',
            "expected [demand], and a phase that says follow = true",
        ),
    ],
)
def test_a_following_that_cannot_work_is_refused(following: str, complaint: str, tmp_path: Path) -> None:
    text = TEXT.replace('system = "monolith"\n', f'system = "monolith"\nfollowing = {following}\n', 1)
    with pytest.raises(ExperimentError) as error:
        parse(text, "toy.toml", tmp_path)
    assert complaint in str(error.value)


def test_every_policy_of_the_experiment_can_be_followed_by_its_shop() -> None:
    topologies = {"microservices": SPLIT, "monolith": MONOLITH}
    experiment = load("autoscale")
    for kind, topology in topologies.items():
        assert ManagedTarget(kind, topology).refusal(experiment) is None  # type: ignore[arg-type]
    for each in {one.id: one for one in plan([experiment], share=False)}.values():
        (service,) = most_replicas(each)
        assert each.following
        assert service == each.following["service"]
        slots = {one.name: one.slots for one in shaped(topologies[each.system], each).services}
        assert slots[service] == most_replicas(each)[service]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    (tmp_path / "openapi.yaml").write_text("openapi: 3.1.0\n")
    with Fleet(stub_topology(tmp_path / "openapi.yaml"), data_dir=tmp_path, home=tmp_path) as fleet:
        yield fleet


def following_trial(**rule: Any) -> Trial:
    return Trial("microservices", {}, "toy", 1, following={"service": "alpha", "demand": DEMAND, **rule})


def recorded(follower: Follower) -> list[tuple[int, int]]:
    """Ready and existing replicas, after each change so far."""
    return [(ready, existing) for _, ready, existing in follower.followed.counts] if follower.followed else []


FOLLOW: PlannedPhase = replace(PHASE, follow=True)


@pytest.mark.processes
def test_replicas_keep_to_a_plan_and_each_change_is_recorded(fleet: Fleet) -> None:
    follower = Follower(fleet, following_trial(plan=[[0.0, 2], [0.01, 1]]))
    follower.phase_begins(PHASE)  # this one does not follow
    follower.phase_begins(FOLLOW)
    wait_until(lambda: fleet.wanted("alpha") == 2)
    wait_until(lambda: recorded(follower)[-1:] == [(1, 1)] and (2, 2) in recorded(follower))
    found = follower.finish()
    assert found
    assert not found.failed


@pytest.mark.processes
def test_the_autoscaler_of_a_trial_follows_its_policy_and_its_decisions_are_kept(fleet: Fleet) -> None:
    follower = Follower(fleet, following_trial(policy=POLICY, every_seconds=0.2))
    follower.phase_begins(FOLLOW)
    wait_until(lambda: len(fleet.replicas("alpha")) == 2)
    wait_until(lambda: recorded(follower)[-1:] == [(2, 2)])
    found = follower.finish()
    assert found
    assert found.decisions[0]["desired"] == 2
    since = found.since(epoch=found.decisions[0]["at"] - 5)
    assert since["decisions"][0]["at"] == 5
    assert since["counts"][-1][1] == 2
    assert follower.finish() is found


def test_a_trial_with_fixed_replicas_records_nothing(fleet: Fleet) -> None:
    follower = Follower(fleet, Trial("microservices", {}, "toy", 1))
    follower.phase_begins(FOLLOW)
    assert follower.finish() is None


def test_the_table_has_the_mean_and_the_ends_of_valid_repeats() -> None:
    experiment = load("autoscale")
    facts = {"system": "microservices", "id": "split", "replicas": {}, "phase": "spike", "valid": True}
    low = {"missing": 0.5, "idle": 0, "missing_share": 0.25, "idle_share": 0, "instability": 0.1}
    trials = [
        {**facts, "elasticity": low},
        {**facts, "elasticity": {**low, "missing": 1.5}},
        {**facts, "elasticity": {**low, "missing": 9}, "valid": False},
        facts,
    ]
    ((system, phase, missing, *_, instability),) = report.rows(experiment, trials)
    assert (system, phase) == ("split, the part follows", "spike")
    assert missing == f"1.00 (0.50 {DASH} 1.50)"
    assert instability == f"10 % (10 % {DASH} 10 %)"
