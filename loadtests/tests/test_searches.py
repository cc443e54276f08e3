"""Searches within a run: which rate is probed next, and what stands for the answer."""

from collections.abc import Callable
from typing import Any

import pytest

from loadtests.analysis.numbers import Number
from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.results import results_of
from loadtests.analysis.searches import found_capacity, kept, next_probe
from loadtests.experiments.experiment import Experiment, ExperimentError, parse
from loadtests.planning.plan import plan
from loadtests.planning.trials import Trial
from loadtests.tests.made_up import MACHINE, TEXT

PROBE = """
[[phases]]
name = "probe"
seconds = 5
overload = true
rates = { searcher = 3 }

[search]
phase = "probe"
start = 16
width = 0.1
"""
CLAIM = """
[[claims]]
side = "price"
claim = "Capacity"
statement = "{ratio} times the visits."
metric = "capacity_rps"
of = ["two/probe"]
over = ["one/probe"]
"""


def searching() -> Experiment:
    """The toy experiment with a search added."""
    before, claims, after = TEXT.partition("[[claims]]")
    return parse(before + PROBE + CLAIM + claims + after, "toy.toml")


def probe(trial: Trial, p95_ms: float, failed: int = 0) -> PhaseResult:
    """What a probe measured."""
    measured: dict[str, Any] = {
        "p95_ms": p95_ms,
        "count": 200,
        "succeeded": 200 - failed,
        "errors": failed,
        "not_started": 0,
        "highest": {},
    }
    return PhaseResult(
        *(
            "toy",
            trial.system,
            trial.replicas,
            trial.id,
            None,
            trial.rate,
            "probe",
            5.0,
            trial.repeat,
            trial.order,
        ),
        metrics={"all": measured},
        processes=[],
        cpu_us_per_request=None,
        uss_bytes=0,
        of_shop={},
        doubts=[],
    )


def search(capacity: Callable[[Trial], float], first: Trial) -> list[PhaseResult]:
    """Probe after probe of a shop that keeps the promise up to its capacity."""
    experiment, trial, found = searching(), first, list[PhaseResult]()
    while len(found) < 50:
        rate = trial.rate or 0.0
        found.append(probe(trial, 100.0 if rate <= capacity(trial) else 900.0))
        following = next_probe(experiment, trial, found)
        if following is None:
            break
        trial = following
    return found


def first_probe(system: str = "one") -> Trial:
    return next(each for each in plan([searching()], share=False) if each.probe == 1 and each.id == system)


def test_a_search_adds_trials_that_only_warm_up_and_probe() -> None:
    trials = plan([searching()], share=False)
    probes = [trial for trial in trials if trial.probe]
    others = [trial for trial in trials if not trial.probe]
    assert len(probes) == len(others) == 6
    assert {tuple(phase.name for phase in trial.phases) for trial in probes} == {("warm-up", "probe")}
    assert {tuple(phase.name for phase in trial.phases) for trial in others} == {("warm-up", "quiet")}
    starts = {trial.phases[1].rates["searcher"] for trial in probes}
    assert len(starts) == 6
    assert all(16 / 2**0.5 <= start <= 16 * 2**0.5 for start in starts)


def test_the_rates_of_the_searched_phase_are_its_mix() -> None:
    text = PROBE.replace("{ searcher = 3 }", "{ searcher = 3, buyer = 1 }")
    before, claims, after = TEXT.replace(
        "users = { searcher = 2 }", "users = { searcher = 2, buyer = 2 }"
    ).partition("[[claims]]")
    trials = plan([parse(before + text + claims + after, "toy.toml")], share=False)
    probe_of = next(trial for trial in trials if trial.probe)
    rates = probe_of.phases[1].rates
    assert rates["searcher"] == pytest.approx(3 * rates["buyer"])
    assert sum(rates.values()) == pytest.approx(probe_of.rate)
    assert probe_of.phases[0].rates == {"searcher": 10.0}


def test_the_bracket_closes_around_the_capacity() -> None:
    found = found_capacity(searching(), search(lambda _trial: 41.0, first_probe()))
    assert found is not None
    bracket = found.capacity
    assert bracket is not None
    assert bracket.contains(41.0)
    assert bracket.high is not None
    assert bracket.high <= bracket.low * 1.1
    assert found.number("capacity_rps", "all") == Number.between(bracket.low, bracket.high)
    assert found.rate == bracket.low


def test_a_probe_has_a_name_of_its_own() -> None:
    names = [trial.name for trial in (first_probe(), first_probe().at_rate(searching(), 32.0))]
    assert names == ["one-r1-p01", "one-r1-p02"]


@pytest.mark.parametrize("failed", [1, 3])
def test_errors_break_the_promise(failed: int) -> None:
    first = first_probe()
    tried = [probe(first, 10.0, failed), probe(first, 10.0, failed)]
    following = next_probe(searching(), first, tried)
    assert following is not None
    assert following.rate == pytest.approx((first.rate or 0.0) / 2)


def test_a_search_that_is_not_over_has_no_answer() -> None:
    assert found_capacity(searching(), search(lambda _trial: 41.0, first_probe())[:-1]) is None


def test_capacities_are_compared_repeat_by_repeat() -> None:
    capacities = {"one": 20.0, "two": 80.0}
    measured = [
        result
        for trial in plan([searching()], share=False)
        if trial.probe
        for result in search(lambda each: capacities[each.id], trial)
    ]
    verdict = results_of(MACHINE, [searching()], measured)["experiments"][0]["verdicts"][0]
    assert verdict["ratio"] == pytest.approx(4.0, rel=0.05)
    assert verdict["low"] <= 4.0 <= verdict["high"]
    assert verdict["verdict"] == "supported"


def test_a_search_of_a_phase_that_is_not_there_is_refused() -> None:
    with pytest.raises(ExperimentError, match=r'search\.phase: expected a phase of this file, not "prob"'):
        parse(TEXT + PROBE.replace('phase = "probe"', 'phase = "prob"'), "toy.toml")


def test_a_search_in_which_no_rate_was_kept_is_a_bound_and_not_missing() -> None:
    capacities = {"one": 0.5, "two": 41.0}
    measured = [
        result
        for trial in plan([searching()], share=False)
        if trial.probe
        for result in search(lambda each: capacities[each.id], trial)
    ]
    results = results_of(MACHINE, [searching()], measured)["experiments"][0]
    verdict = results["verdicts"][0]
    assert verdict["bound"] == "at least"
    assert verdict["high"] is None
    assert 30 < verdict["low"] < 82
    assert verdict["verdict"] == "supported"
    assert verdict["statement"].startswith("at least ")


@pytest.mark.parametrize(
    ("highest", "kept_it"), [({}, True), ({"p95_ms": None}, False), ({"p95_ms": 251.0}, False)]
)
def test_a_p95_that_is_only_a_bound_keeps_no_promise(highest: dict[str, float | None], kept_it: bool) -> None:
    found = probe(first_probe(), 100.0)
    found.metrics["all"]["highest"] = highest
    spec = searching().search
    assert spec is not None
    assert kept(spec, found) is kept_it
