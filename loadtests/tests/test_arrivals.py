"""The schedule of visits, checked by properties."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.experiments.kinds import Shape
from loadtests.load.arrivals import Phase, offsets, schedule

rates = st.floats(min_value=0.5, max_value=200)
seconds = st.floats(min_value=0.1, max_value=20)
shapes: st.SearchStrategy[Shape] = st.sampled_from(["poisson", "fixed"])


@given(rates, seconds, shapes, st.integers())
def test_visits_start_inside_their_phase_and_in_order(
    rate: float, length: float, shape: Shape, seed: int
) -> None:
    planned = list(offsets(rate, length, shape, random.Random(seed)))
    assert planned == sorted(planned)
    assert all(0 <= offset < length for offset in planned)


@given(rates, seconds, st.integers())
def test_a_fixed_rate_gives_the_expected_number_up_to_one(rate: float, length: float, seed: int) -> None:
    planned = list(offsets(rate, length, "fixed", random.Random(seed)))
    assert abs(len(planned) - rate * length) <= 1 + 1e-6


def test_poisson_arrivals_have_their_rate_and_no_regular_gaps() -> None:
    planned = list(offsets(50, 400, "poisson", random.Random(1)))
    gaps = [after - before for before, after in pairwise(planned)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert len(planned) == pytest.approx(20000, rel=0.02)
    assert deviation == pytest.approx(mean, rel=0.05)


def test_a_persona_with_a_constant_rate_has_the_same_offsets_in_the_spike() -> None:
    quiet = Phase("quiet", 5, {"buyer": 4, "recommendation-widget": 3})
    spike = Phase("spike", 5, {"buyer": 4, "recommendation-widget": 30})
    planned = schedule([quiet, spike], "1:0")
    buyers = [[a.at - 5 * n for a in planned if a.phase == n and a.persona == "buyer"] for n in (0, 1)]
    assert buyers[0] == pytest.approx(buyers[1])
    assert len(buyers[0]) > 5


def test_the_seed_fixes_the_schedule() -> None:
    phases = [Phase("quiet", 3, {"buyer": 9})]
    assert schedule(phases, "1:0") == schedule(phases, "1:0")
    assert schedule(phases, "1:0") != schedule(phases, "1:1")


def test_two_personas_do_not_arrive_at_the_same_times() -> None:
    planned = schedule([Phase("quiet", 3, {"buyer": 5, "searcher": 5})], "1")
    times = [arrival.at for arrival in planned]
    assert len(set(times)) == len(times)


def test_a_rate_of_zero_means_no_visits() -> None:
    assert schedule([Phase("quiet", 3, {"buyer": 0})], "1") == []


def test_the_next_turn_of_a_phase_continues_with_new_visits() -> None:
    turn, pause = Phase("overload", 2, {"buyer": 30}), Phase("others", 3, {})
    planned = schedule([turn, pause, turn], "1")
    first, second = ([a for a in planned if a.phase == index] for index in (0, 2))
    assert [a.number for a in first + second] == list(range(len(planned)))
    assert [round(a.at, 6) for a in first] != [round(a.at - 5, 6) for a in second]
