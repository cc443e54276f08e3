"""Trends with a known truth: what leaks is found, and what only moves is not."""

from __future__ import annotations

import random
from dataclasses import replace

from loadtests.analysis.raw import RawTrial, Usage
from loadtests.analysis.trends import Trend, growing, trend
from loadtests.planning.phases import PlannedPhase
from loadtests.tests import made_up

MB = 1_000_000
SECONDS = 600
AT = [float(second) for second in range(SECONDS + 1)]


def noise(seed: int, size: float) -> list[float]:
    """Noise in which each value is near the one before, as in memory."""
    rng, level, found = random.Random(seed), 0.0, []
    for _ in AT:
        level = 0.9 * level + rng.gauss(0, size)
        found.append(level)
    return found


def trends(leak: float) -> list[Trend]:
    """The trends of a hundred noisy series that grow by `leak` from 100."""
    found = []
    for seed in range(100):
        pairs = zip(AT, noise(seed, 0.5), strict=True)
        one = trend(AT, [100 + leak * at / SECONDS + each for at, each in pairs])
        assert one is not None
        found.append(one)
    return found


def test_what_stays_as_it_is_hardly_ever_has_a_trend():
    assert sum(each.low > 0 for each in trends(0)) <= 3


def test_a_leak_of_a_tenth_is_always_found_and_its_size_nearly_always_in_the_interval():
    found = trends(10)
    assert all(each.low > 0 for each in found)
    assert sum(each.low <= 10 <= each.high for each in found) >= 97


def test_a_saw_tooth_of_a_garbage_collector_is_no_trend():
    found = trend(AT, [100 + (at % 37) / 4 for at in AT])
    assert found is not None
    assert not (found.low > 0 and found.grown >= 5)


def test_a_few_samples_say_nothing():
    assert trend(AT[:10], AT[:10]) is None


def soaked(usage: Usage, seconds: float = SECONDS) -> RawTrial:
    trial = made_up.trial()
    phases: list[PlannedPhase] = [replace(trial.phases[0], seconds=seconds)]
    return replace(trial, phases=phases, usage={"orders-1": usage})


def steady(**changes: list[int]) -> Usage:
    kept = {"handles": [40] * len(AT), "threads": [9] * len(AT), **changes}
    memory = kept.pop("memory", [90 * MB] * len(AT))
    return Usage(AT, [0.0] * len(AT), memory, {}, kept)


def test_a_process_that_leaks_is_named_with_what_and_how_much():
    leak = steady(handles=[40 + int(at // 30) for at in AT])
    assert list(growing(soaked(leak), [0])) == [
        "the handles of orders-1 grew by 120 an hour all through the phase"
    ]
    memory = steady(memory=[int(90 * MB + at * 20_000) for at in AT])
    assert list(growing(soaked(memory), [0])) == [
        "the memory of orders-1 grew by 72.0 MB an hour all through the phase"
    ]


def test_a_process_that_only_warms_up_is_not_named():
    warming = steady(memory=[int(90 * MB + min(at, 60) * 200_000) for at in AT])
    assert list(growing(soaked(warming), [0])) == []


def test_a_steady_process_and_a_short_phase_have_no_remark():
    assert list(growing(soaked(steady()), [0])) == []
    leak = steady(handles=[40 + int(at) for at in AT])
    assert list(growing(soaked(leak, seconds=120), [0])) == []
