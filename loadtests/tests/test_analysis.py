"""From trials to estimates and verdicts."""

from dataclasses import replace
from typing import Any

import pytest

from loadtests.analysis.raw import RawTrial
from loadtests.analysis.results import analyse, is_valid
from loadtests.tests.made_up import MACHINE, request, three_repeats, toy, trial


def test_results_have_the_documented_shape() -> None:
    results = analyse(MACHINE, [toy()], three_repeats())
    assert set(results) == {"schema", "machine", "experiments"}
    assert results["schema"] == 2
    assert set(results["machine"]) == {
        *("cpu_model", "cores", "memory_bytes", "os", "python", "versions", "slice_backend")
    }
    (experiment,) = results["experiments"]
    assert set(experiment) == {"name", "question", "seed", "trials", "estimates", "verdicts"}
    assert set(experiment["estimates"][0]) == {
        *("metric", "endpoint", "phase", "name"),
        *("id", "system", "replicas", "value", "low", "high", "unit"),
    }
    assert set(experiment["verdicts"][0]) == {"claim", "statement", "ratio", "low", "high", "verdict"}


def test_a_shop_that_was_made_twice_as_slow_has_a_ratio_of_two() -> None:
    latency, cpu = analyse(MACHINE, [toy()], three_repeats())["experiments"][0]["verdicts"]
    assert latency["ratio"] == pytest.approx(2.1, rel=0.05)
    assert latency["low"] < 2.1 < latency["high"]
    assert latency["verdict"] == "supported"
    assert "2.1" in latency["statement"]
    assert cpu["verdict"] == "supported"


def test_the_same_shop_twice_has_no_winner() -> None:
    trials = [
        trial(system, repeat, latency_ms=20 * factor)
        for repeat, (one, other) in enumerate([(1.0, 1.02), (1.05, 0.98), (0.97, 1.0)], start=1)
        for system, factor in (("monolith", one), ("microservices", other))
    ]
    assert analyse(MACHINE, [toy()], trials)["experiments"][0]["verdicts"][0]["verdict"] == "no winner"


def test_a_void_trial_is_listed_and_not_counted() -> None:
    trials = three_repeats()
    results = analyse(MACHINE, [toy()], trials)["experiments"][0]
    assert [each["valid"] for each in results["trials"]] == [True] * 6 + [False]
    assert results == analyse(MACHINE, [toy()], trials[:-1])["experiments"][0] | {"trials": results["trials"]}


def test_a_repeat_that_lacks_one_side_is_left_out() -> None:
    trials = three_repeats()[:5]
    verdict = analyse(MACHINE, [toy()], trials)["experiments"][0]["verdicts"][0]
    two = analyse(MACHINE, [toy()], trials[:4])["experiments"][0]["verdicts"][0]
    assert verdict == two


def test_without_valid_trials_everything_is_inconclusive() -> None:
    results = analyse(MACHINE, [toy()], [trial(died=["monolith-1: SIGKILL"])])["experiments"][0]
    assert results["estimates"] == []
    assert {each["verdict"] for each in results["verdicts"]} == {"inconclusive"}
    assert results["verdicts"][0]["statement"] == "A search takes ? times as long."


def overloaded(raw: RawTrial) -> RawTrial:
    raw.phases[1] = replace(raw.phases[1], overload=True)
    return raw


def failing(repeat: int, share: float) -> RawTrial:
    """A trial of the second shop in which the first `share` of the requests failed fast."""
    requests = [
        request(1.05 + n / 10, 20, ok=n >= 99 * share, status=200 if n >= 99 * share else 503)
        for n in range(99)
    ]
    return overloaded(trial("microservices", repeat, requests=requests))


def verdicts(trials: list[RawTrial]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = analyse(MACHINE, [toy()], trials)["experiments"][0]["verdicts"]
    return found


def test_a_shop_without_any_success_loses_and_is_not_left_out() -> None:
    trials = [
        each for repeat in (1, 2, 3) for each in (overloaded(trial("monolith", repeat)), failing(repeat, 1.0))
    ]
    latency, cpu = verdicts(trials)
    assert latency["ratio"] == pytest.approx(500)
    assert latency["verdict"] == "supported"
    assert latency["high"] is None
    assert latency["statement"] == "A search takes at least 500.00 times as long."
    assert cpu["verdict"] == "not supported"


def test_a_ratio_of_two_bounds_is_inconclusive() -> None:
    all_failed = [failing(repeat, 1.0) for repeat in (1, 2, 3)]
    others = [replace(raw, facts={**raw.facts, "system": "monolith", "replicas": {}}) for raw in all_failed]
    latency = verdicts(all_failed + others)[0]
    assert (latency["low"], latency["high"], latency["verdict"]) == (None, None, "inconclusive")


def test_a_repeat_without_requests_on_one_side_makes_the_claim_inconclusive_and_says_so() -> None:
    trials = three_repeats()[:6]
    without = overloaded(
        trial(
            "microservices", 3, requests=[request(1.05 + n / 10, 20, route="GET /other") for n in range(99)]
        )
    )
    latency = verdicts([*trials[:5], without])[0]
    assert latency["verdict"] == "inconclusive"
    assert latency["statement"].endswith(
        "In one repeat one side had no such request, so this run cannot tell."
    )


def test_a_trial_without_a_reason_to_void_it_is_valid() -> None:
    assert is_valid(trial())
    assert not is_valid(trial(died=["monolith-1: exit status 1"]))
