"""Windows and limits per period: examples, and properties that no series of measurements breaks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from microservices.autoscaler.decision import decide
from microservices.autoscaler.limits import History, limited
from microservices.autoscaler.policy import Behavior, Limit, Policy, Rules
from microservices.autoscaler.replica_count import Pod, Usage

SYNC = 15.0


def policy(up=None, down=None, maximum=100, minimum=1):
    behavior = Behavior(up or Behavior().up, down or Behavior().down)
    return Policy("hot", minimum, maximum, utilization=50, behavior=behavior, request=1000)


def run(rules, *asked, start=1, sync=SYNC):
    """The replicas after each of the recommendations, one for each sync."""
    history, current, seen = History(), start, []
    for step, wanted in enumerate(asked):
        now = 1000.0 + step * sync
        allowed, _ = limited(rules, history, current, wanted, now)
        if allowed != current:
            history.scaled(current, allowed, now)
        current = allowed
        seen.append(current)
    return seen


def test_by_default_replicas_double_or_grow_by_four_whichever_is_more():
    assert run(policy(), 100, 100, 100, 100) == [5, 10, 20, 40]


def test_without_behavior_a_step_goes_to_twice_the_replicas_or_to_four():
    assert run(Policy("hot", 1, 100, utilization=50, request=1000), 100, 100, 100) == [4, 8, 16]


def test_the_scale_down_waits_for_the_highest_recommendation_of_the_window_to_pass():
    down = Rules(30, (Limit("Percent", 100, 15),))
    assert run(policy(down=down), 8, 2, 2, 2, start=8) == [8, 8, 2, 2]


def test_the_scale_up_can_wait_for_the_lowest_recommendation_of_a_window():
    up = Rules(30, (Limit("Percent", 900, 15),))
    assert run(policy(up=up), 1, 6, 6, 6) == [1, 1, 6, 6]


def test_min_takes_the_limit_that_changes_least():
    up = Rules(0, (Limit("Pods", 1, 15), Limit("Percent", 100, 15)), "Min")
    assert run(policy(up=up), 100, 100, start=4) == [5, 6]


def test_disabled_allows_no_change_in_this_direction():
    down = Rules(0, (Limit("Percent", 100, 15),), "Disabled")
    assert run(policy(down=down), 1, 9, start=4) == [4, 8]


def test_a_limit_counts_what_was_added_within_its_period():
    up = Rules(0, (Limit("Pods", 3, 60),))
    assert run(policy(up=up), 100, 100, 100, 100, 100) == [4, 4, 4, 4, 7]


def test_the_least_and_the_most_replicas_hold():
    assert run(policy(maximum=3, down=Rules(0, (Limit("Percent", 100, 15),))), 50, 50) == [3, 3]
    assert run(policy(minimum=2, down=Rules(0, (Limit("Percent", 100, 15),))), 1, start=9) == [2]


some_rules = some.builds(
    Rules,
    some.integers(0, 120),
    some.lists(
        some.builds(
            Limit, some.sampled_from(["Pods", "Percent"]), some.integers(1, 200), some.integers(1, 90)
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    some.sampled_from(["Max", "Min", "Disabled"]),
)
some_policies = some.builds(
    Policy,
    some.just("hot"),
    some.integers(1, 4),
    some.integers(4, 12),
    some.integers(10, 200),
    behavior=some.none() | some.builds(Behavior, some_rules, some_rules),
    request=some.integers(50, 1000),
)
some_usages = some.lists(some.none() | some.integers(0, 4000), min_size=1, max_size=12)


def simulate(rules, looks, start):
    """The decisions for a series of measurements of as many replicas as there are."""
    history, current = History(), start
    for step, usages in enumerate(looks):
        now = 10_000.0 + step * SYNC
        pods = [
            Pod(f"hot-{n}", None if used is None else Usage(used, now, SYNC), True, 0.0, 0.0)
            for n, used in enumerate((usages * current)[:current])
        ]
        decision = decide(rules, history, pods, current, now)
        yield decision
        current = decision.desired


@given(some_policies, some.lists(some_usages, min_size=1, max_size=20), some.integers(1, 12))
def test_the_number_stays_between_min_and_max_after_the_first_decision(rules, looks, start):
    for decision in simulate(rules, looks, start):
        assert rules.minimum <= decision.desired <= rules.maximum


@given(some_policies, some.lists(some_usages, min_size=1, max_size=20), some.integers(1, 12))
def test_without_a_measurement_the_number_does_not_change(rules, looks, start):
    start = min(max(start, rules.minimum), rules.maximum)
    for decision in simulate(rules, looks, start):
        if decision.asked is None:
            assert decision.desired == decision.current


@given(some_policies, some.lists(some_usages, min_size=2, max_size=30), some.integers(1, 12))
def test_replicas_are_not_taken_away_while_a_recommendation_of_the_window_wants_them(rules, looks, start):
    start = min(max(start, rules.minimum), rules.maximum)
    window = rules.behavior.down.window_seconds if rules.behavior else 300
    seen = []
    for decision in simulate(rules, looks, start):
        if decision.asked is not None:
            seen.append((decision.at, decision.asked))
        if decision.desired < decision.current:
            recent = [asked for at, asked in seen if at > decision.at - window]
            assert decision.desired >= min(max(recent), rules.maximum)
