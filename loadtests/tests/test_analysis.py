"""From trials to estimates and verdicts."""

from dataclasses import replace
from typing import Any

import pytest

from loadtests.analysis.raw import RawTrial
from loadtests.analysis.records import MACHINE_STOLEN
from loadtests.analysis.results import analyse, is_valid
from loadtests.experiments.experiment import parse
from loadtests.tests.made_up import MACHINE, TEXT, request, steady, three_repeats, toy, trial

WITHOUT_BAR = TEXT.replace("at_most = 1.5\n", "")


def test_results_have_the_documented_shape() -> None:
    results = analyse(MACHINE, [toy()], three_repeats())
    assert set(results) == {"schema", "machine", "experiments"}
    assert results["schema"] == 3
    assert set(results["machine"]) == {
        *("cpu_model", "cores", "memory_bytes", "os", "python", "versions", "slice_backend")
    }
    (experiment,) = results["experiments"]
    assert set(experiment) == {*("name", "question", "seed", "trials", "estimates", "verdicts"), "timelines"}
    assert set(experiment["estimates"][0]) == {
        *("metric", "endpoint", "phase", "name"),
        *("id", "system", "replicas", "value", "low", "high", "bound", "unit"),
    }
    assert set(experiment["verdicts"][0]) == {
        *("claim", "statement", "ratio", "low", "high", "bound", "verdict", "primary")
    }


def test_a_shop_that_was_made_twice_as_slow_has_a_ratio_of_two() -> None:
    latency, cpu = analyse(MACHINE, [toy()], three_repeats())["experiments"][0]["verdicts"]
    assert latency["ratio"] == pytest.approx(2.1, rel=0.05)
    assert latency["low"] < 2.1 < latency["high"]
    assert latency["verdict"] == "not supported"  # it is judged by its bar of 1.5
    assert "2.1" in latency["statement"]
    assert cpu["verdict"] == "supported"


def test_the_same_shop_twice_has_no_winner() -> None:
    trials = [
        trial(system, repeat, latency_ms=20 * factor)
        for repeat, (one, other) in enumerate([(1.0, 1.02), (1.05, 0.98), (0.97, 1.0)], start=1)
        for system, factor in (("monolith", one), ("microservices", other))
    ]
    verdict = analyse(MACHINE, [parse(WITHOUT_BAR, "toy.toml")], trials)["experiments"][0]["verdicts"][0]
    assert verdict["verdict"] == "no winner"
    assert verdict["statement"].endswith(" The two are less than 1.5 times apart.")


def test_a_void_trial_is_listed_and_not_counted() -> None:
    trials = three_repeats()
    results = analyse(MACHINE, [toy()], trials)["experiments"][0]
    assert [each["valid"] for each in results["trials"]] == [True] * 6 + [False]
    without = analyse(MACHINE, [toy()], trials[:-1])["experiments"][0]
    assert results["estimates"] == without["estimates"]
    assert results["verdicts"] == without["verdicts"]


def test_each_verdict_is_given_with_nothing_left_out_too() -> None:
    slow = trial("microservices", 1, latency_ms=400, usage={MACHINE_STOLEN: steady(0.2, 0)})
    latency = analyse(MACHINE, [toy()], [slow, *three_repeats()[:6]])["experiments"][0]["verdicts"][0]
    assert latency["ratio"] == pytest.approx(2.1, rel=0.05)
    assert latency["with_void"]["ratio"] > 4
    assert latency["with_void"]["verdict"] == "inconclusive"


def test_a_repeat_that_lacks_one_side_is_left_out() -> None:
    trials = three_repeats()[:5]
    verdict = analyse(MACHINE, [toy()], trials)["experiments"][0]["verdicts"][0]
    two = analyse(MACHINE, [toy()], trials[:4])["experiments"][0]["verdicts"][0]
    assert verdict == two


def test_without_valid_trials_everything_is_inconclusive() -> None:
    void = trial(usage={MACHINE_STOLEN: steady(0.2, 0)})
    results = analyse(MACHINE, [toy()], [void])["experiments"][0]
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
    assert latency["verdict"] == "not supported"
    assert (latency["high"], latency["bound"]) == (None, "at least")
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
    assert is_valid(trial(died=["monolith-1: exit status 1"]))
    assert not is_valid(trial(usage={MACHINE_STOLEN: steady(0.2, 0)}))


def test_the_sentence_says_the_bound_that_the_data_support() -> None:
    factors = (1.0, 4.0, 0.3)
    trials = [
        each
        for repeat, factor in enumerate(factors, start=1)
        for each in (overloaded(trial("monolith", repeat, latency_ms=20 * factor)), failing(repeat, 1.0))
    ]
    latency = verdicts(trials)[0]
    assert latency["ratio"] > 400
    assert latency["low"] < 30
    assert f"at least {latency['low']:.2f} times" in latency["statement"]


PRIMARY = """
[[claims]]
side = "price"
claim = "Latency {number}"
primary = true
statement = "{{ratio}} times."
metric = "p50_ms"
of = ["two/quiet"]
over = ["one/quiet"]
"""


def in_common(count: int, ratios: tuple[float, ...]) -> list[dict[str, Any]]:
    """The verdicts of `count` equal primary claims, each with these ratios in its repeats."""
    head, _, rest = TEXT.partition("[[claims]]")
    charts = "[[charts]]" + rest.partition("[[charts]]")[2]
    text = head + "".join(PRIMARY.format(number=number) for number in range(count)) + charts
    trials = [
        trial(system, repeat, latency_ms=20 * (ratio if system == "microservices" else 1.0))
        for repeat, ratio in enumerate(ratios, start=1)
        for system in ("monolith", "microservices")
    ]
    found: list[dict[str, Any]] = analyse(MACHINE, [parse(text, "toy.toml")], trials)["experiments"][0][
        "verdicts"
    ]
    return found


def test_primary_claims_are_corrected_for_their_number() -> None:
    ratios = (1.3, 1.75, 1.4, 2.3)
    (alone,) = in_common(1, ratios)
    both = in_common(4, ratios)
    assert alone["verdict"] == "supported"
    assert {each["verdict"] for each in both} == {"inconclusive"}
    assert "Alone it would be supported; corrected for 4 primary claims it is not." in both[0]["statement"]
    assert (both[0]["low"], both[0]["high"]) == (alone["low"], alone["high"])


def test_a_primary_claim_that_is_decided_leaves_the_others_more_room() -> None:
    head, _, rest = TEXT.partition("[[claims]]")
    charts = "[[charts]]" + rest.partition("[[charts]]")[2]
    clear = PRIMARY.format(number=2).replace('"p50_ms"', '"uss_bytes"')
    text = head + PRIMARY.format(number=1) + clear + charts
    trials = [
        trial(system, repeat, latency_ms=20 * ratio, usage={"gateway": steady(0.05, memory)})
        for repeat, ratio in enumerate((1.3, 1.75, 1.4, 2.3), start=1)
        for system, memory, ratio in (("monolith", 1, 1.0), ("microservices", 2**30, ratio))
    ]
    found = analyse(MACHINE, [parse(text, "toy.toml")], trials)["experiments"][0]["verdicts"]
    assert [each["verdict"] for each in found] == ["supported", "supported"]
    assert in_common(2, (1.3, 1.75, 1.4, 2.3))[0]["verdict"] == "inconclusive"
