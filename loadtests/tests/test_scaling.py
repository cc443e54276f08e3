"""The fit finds the law that made the data, and its intervals contain the truth as often as they should."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loadtests.analysis import student
from loadtests.analysis.scaling import Law, SuperlinearError, efficiency, fit, superlinear

SIZES = (1, 2, 4, 8)
TRIES = 100

gammas = st.floats(min_value=1, max_value=1e4)
alphas = st.floats(min_value=0, max_value=0.5)
betas = st.floats(min_value=0, max_value=0.05)


def measured(
    law: Law, repeats: int, noise: float, seed: str, sizes: Sequence[int] = SIZES
) -> dict[int, list[float]]:
    """Capacities that follow the law, each with random noise."""
    rng = random.Random(seed)
    return {n: [law.capacity(n) * math.exp(rng.gauss(0, noise)) for _ in range(repeats)] for n in sizes}


@settings(max_examples=40)
@given(gammas, alphas, betas)
def test_without_noise_the_law_is_found_exactly(gamma: float, alpha: float, beta: float) -> None:
    found = fit(measured(Law(gamma, alpha, beta), 2, 0.0, "exact")).law
    assert found.gamma == pytest.approx(gamma, rel=1e-6)
    assert found.alpha == pytest.approx(alpha, abs=1e-6)
    assert found.beta == pytest.approx(beta, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(gammas, alphas, betas, st.integers())
def test_no_parameter_is_negative_and_intervals_contain_their_value(
    gamma: float, alpha: float, beta: float, seed: int
) -> None:
    capacities = measured(Law(gamma, alpha, beta), 3, 0.2, str(seed))
    assume(not superlinear(capacities))
    found = fit(capacities)
    for each in (found.gamma, found.alpha, found.beta):
        assert each.low is not None
        assert each.high is not None
        assert 0 <= each.low <= each.value <= each.high


@pytest.mark.parametrize("repeats", [3, 5, 10])
def test_the_intervals_contain_the_truth_about_nineteen_times_in_twenty(repeats: int) -> None:
    law = Law(100, 0.05, 0.01)
    hits = {"gamma": 0, "alpha": 0, "beta": 0}
    for n in range(TRIES):
        found = fit(measured(law, repeats, 0.03, f"coverage {repeats} {n}"), seed=n)
        for name in hits:
            hits[name] += getattr(found, name).covers(getattr(law, name))
    # Three standard errors of 100 tries are 6.5 %.
    assert min(hits.values()) / TRIES >= 0.885, hits


def test_perfect_scaling_shows_no_contention() -> None:
    found = fit(measured(Law(30, 0, 0), 5, 0.02, "perfect"))
    assert found.alpha.covers(0)
    assert found.beta.covers(0)
    assert found.law.capacity(8) == pytest.approx(240, rel=0.05)


def test_capacity_falls_beyond_the_peak() -> None:
    law = Law(10, 0.0, 0.01)
    assert law.peak == pytest.approx(10)
    assert law.capacity(10) > law.capacity(9)
    assert law.capacity(10) > law.capacity(11)
    assert Law(10, 0.1, 0.0).peak is None


def test_one_repeat_has_a_law_and_no_intervals() -> None:
    found = fit(measured(Law(10, 0.1, 0.0), 1, 0.0, "one"))
    assert found.alpha.low is None
    assert "contention 0.1," in str(found)


@pytest.mark.parametrize("capacities", [{1: [1.0], 2: [2.0]}, {1: [1.0], 2: [2.0], 4: [4.0, 4.1]}])
def test_a_fit_of_too_few_capacities_is_refused(capacities: dict[int, list[float]]) -> None:
    with pytest.raises(ValueError, match="3 numbers of replicas with equally many repeats"):
        fit(capacities)


def test_efficiency_is_one_when_every_replica_adds_its_full_capacity() -> None:
    full = efficiency({1: [10.0, 11.0, 12.0], 8: [80.0, 88.0, 96.0]}, 8)
    assert full.value == pytest.approx(1)
    assert full.low == pytest.approx(1)
    half = efficiency({1: [10.0, 11.0, 12.0], 8: [40.0, 45.0, 47.0]}, 8)
    assert half.value == pytest.approx(0.5, rel=0.05)
    assert not half.covers(1)


@pytest.mark.parametrize(
    ("freedom", "t"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (6, 2.447), (10, 2.228), (30, 2.042), (1000, 1.962)],
)
def test_students_t_agrees_with_the_tables(freedom: int, t: float) -> None:
    assert student.critical_value(freedom) == pytest.approx(t, abs=6e-4)
    assert student.p_value(t, freedom) == pytest.approx(0.05, abs=5e-5)


def test_an_impossible_t_is_refused() -> None:
    with pytest.raises(ValueError, match="degree of freedom"):
        student.p_value(1.0, 0)


def test_superlinear_capacities_are_refused_and_not_called_free_of_contention() -> None:
    with pytest.raises(SuperlinearError, match=r"8 replicas did 1\.\d\d times 8 times the work of one"):
        fit(measured(Law(30, -0.02, 0), 5, 0.02, "superlinear"))
