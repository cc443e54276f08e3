"""Shops that take turns: which shop has load when, and what counts."""

from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.analysis.measure import measure
from loadtests.analysis.raw import RawTrial, Usage
from loadtests.analysis.records import MACHINE_STOLEN
from loadtests.analysis.results import per_repeat
from loadtests.experiments.experiment import Experiment, ExperimentError, load, parse
from loadtests.planning.plan import plan
from loadtests.planning.trials import Trial
from loadtests.tests.made_up import TEXT, request, steady, toy, trial

TURNS = '[turns]\nphase = "quiet"\nseconds = 2.5\nlead_seconds = 0.5\ngroups = [["one", "two"]]\n\n[limits]'


def in_turns(**changes: Any) -> Experiment:
    return parse(TEXT.replace("[limits]", TURNS), "toy.toml").model_copy(update=changes)


def stretches(one: Trial) -> list[tuple[float, float, str]]:
    """Begin, end and name of each phase of the trial that is not idle."""
    found, at = [], 0.0
    for phase in one.phases:
        if not phase.idle:
            found.append((at, at + phase.seconds, phase.name))
        at += phase.seconds
    return found


@given(st.integers(min_value=2, max_value=12), st.integers())
def test_one_shop_at_a_time_has_load_and_each_gets_all_its_seconds(rounds: int, seed: int) -> None:
    experiment = load("scale-hot").model_copy(update={"seed": seed, "repeats": 1})
    assert experiment.turns is not None
    turns = experiment.turns.model_copy(update={"seconds": 4.0 / rounds})
    trials = plan([experiment.model_copy(update={"turns": turns})], share=False)
    for _, group in groupby(trials, key=lambda trial: trial.group):
        members = list(group)
        assert [member.seat for member in members] == list(range(len(members)))
        assert len(members) == 5
        assert len({round(sum(phase.seconds for phase in member.phases), 6) for member in members}) == 1
        busy = sorted(stretch for member in members for stretch in stretches(member))
        assert all(before[1] <= after[0] + 1e-9 for before, after in pairwise(busy))
        for member in members:
            own = [phase for phase in member.phases if phase.record]
            assert len(own) == rounds
            assert sum(phase.seconds for phase in own) == pytest.approx(4.0)


def test_every_turn_follows_an_unrecorded_lead_with_the_same_load() -> None:
    for one in plan([in_turns(repeats=1)], share=False):
        names = [name for _, _, name in stretches(one)]
        assert names == ["warm-up"] + ["lead", "quiet"] * 4
        leads = [phase for phase in one.phases if phase.name == "lead"]
        assert all(phase.rates == {"searcher": 10} and not phase.record for phase in leads)


def test_each_round_of_turns_has_a_newly_drawn_order() -> None:
    first, second = plan([in_turns(repeats=1, seed=3)], share=False)
    turns = sorted(
        (begin, one.id) for one in (first, second) for begin, _, name in stretches(one) if name == "quiet"
    )
    rounds = [tuple(name for _, name in turns[at : at + 2]) for at in range(0, 8, 2)]
    assert set(rounds) == {("one", "two"), ("two", "one")}


def test_a_system_that_no_group_names_runs_alone() -> None:
    experiment = load("scale-hot")
    assert experiment.turns is not None
    turns = experiment.turns.model_copy(update={"groups": (("monolith-1", "monolith-4"),)})
    trials = plan([experiment.model_copy(update={"turns": turns, "repeats": 1})], share=False)
    assert {one.id for one in trials if one.group} == {"monolith-1", "monolith-4"}
    assert all(len(one.phases) == 2 for one in trials if not one.group)


def test_only_requests_and_cpu_of_a_shops_own_turns_count() -> None:
    whole = trial()
    (result,) = measure(halved(whole, other_cores=1.5))
    (alone,) = measure(whole)
    assert result.metrics["all"]["achieved_rps"] == pytest.approx(
        alone.metrics["all"]["achieved_rps"], rel=0.05
    )
    assert result.cpu_us_per_request == pytest.approx(alone.cpu_us_per_request or 0.0, rel=0.05)
    assert result.seconds == 10


def halved(whole: RawTrial, other_cores: float) -> RawTrial:
    """The same work in two turns. In the five seconds between them the shop's process used `other_cores`."""
    plain = whole.phases[1]
    half = replace(plain, seconds=5.0)
    pause = replace(plain, name="others", seconds=5.0, record=False, idle=True)
    requests = [request(1.05 + n / 10, 20.0) for n in range(49)]
    requests += [request(11.05 + n / 10, 20.0, phase=3) for n in range(49)]
    usage = {
        name: Usage([0.0, 16.0], [0.0, own.cpu[-1] / 11 * 16], own.uss[:2])
        for name, own in whole.usage.items()
    }
    usage["monolith-1"] = Usage(
        [0.0, 6.0, 11.0, 16.0], [0.0, 1.2, 1.2 + 5 * other_cores, 2.2 + 5 * other_cores], [50 * 2**20] * 4
    )
    return RawTrial(whole.facts, [whole.phases[0], half, pause, half], requests, usage)


def test_a_ratio_compares_shops_that_took_turns_with_each_other() -> None:
    def attempt(number: int, latency_ms: float, **facts: Any) -> list[RawTrial]:
        shared: dict[str, Any] = {"group": "toy:one:1", "attempt": number}
        return [
            trial("monolith", latency_ms=latency_ms, **shared),
            trial("microservices", latency_ms=2 * latency_ms, **shared, **facts),
        ]

    experiment = toy().model_copy(update={"repeats": 1})
    first = attempt(1, 20.0, usage={MACHINE_STOLEN: steady(0.2, 0)})
    trials = [*first, *attempt(2, 60.0)]
    ratios, _ = per_repeat(experiment, [result for each in trials for result in measure(each)])
    assert [each.value for each in ratios[0]] == [pytest.approx(2.0)]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"one", "two"]]', '"one", "three"]]', "turns.groups: expected systems of this file, each once"),
        ('"one", "two"]]', '"one", "one"]]', "turns.groups: expected systems of this file, each once"),
        ('"one", "two"]]', '"one"]]', "turns.groups.0"),
        ('phase = "quiet"\nseconds', 'phase = "warm-up"\nseconds', "turns.phase: expected the last phase"),
        ("record = false\n", "", "turns.phase: expected the last phase"),
        ("seconds = 2.5", "seconds = 0", "turns.seconds"),
    ],
)
def test_a_mistake_in_turns_is_named(old: str, new: str, complaint: str) -> None:
    text = TEXT.replace("[limits]", TURNS)
    assert old in text
    with pytest.raises(ExperimentError) as error:
        parse(text.replace(old, new), "toy.toml")
    assert complaint in str(error.value)
