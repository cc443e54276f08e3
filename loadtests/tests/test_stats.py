"""The statistics are checked by properties, and the interval by how often it contains the truth."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from loadtests.analysis import stats
from loadtests.analysis.numbers import Number, product, quotient
from loadtests.analysis.shares import design_effect, share
from loadtests.analysis.stats import SMALLEST_DIFFERENCE, Interval, Verdict, judge_bar, judge_direction
from loadtests.analysis.summaries import percentile
from loadtests.experiments.bar import Bar
from loadtests.experiments.metrics import METRICS

positive = st.floats(min_value=1e-3, max_value=1e6)
samples = st.lists(positive, min_size=1, max_size=40)
repeats = st.lists(positive, min_size=2, max_size=12)


@given(samples, st.floats(min_value=0, max_value=1))
def test_a_percentile_lies_between_the_smallest_and_the_largest(values: list[float], share: float) -> None:
    slack = 1e-9 * max(values)
    assert min(values) - slack <= percentile(values, share) <= max(values) + slack


@given(samples, st.floats(min_value=0, max_value=1), st.floats(min_value=0, max_value=1))
def test_percentiles_rise_with_their_share(values: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert percentile(values, low) <= percentile(values, high) * (1 + 1e-12)


def test_a_percentile_between_two_values_is_interpolated() -> None:
    assert percentile([10, 20, 30, 40], 0.5) == 25
    assert percentile([10, 20], 0.95) == pytest.approx(19.5)


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        percentile([], 0.5)


@given(repeats)
def test_an_interval_contains_its_own_value(values: list[float]) -> None:
    result = stats.interval(values)
    assert result.low is not None
    assert result.high is not None
    assert result.low <= result.value <= result.high


@given(repeats)
def test_the_inverse_ratio_has_the_inverse_interval(values: list[float]) -> None:
    ones = [1.0] * len(values)
    there, back = stats.ratio(values, ones), stats.ratio(ones, values)
    assert there.value == pytest.approx(1 / back.value)
    if back.high is not None:
        assert there.low == pytest.approx(1 / back.high, rel=1e-6)


@given(repeats, st.floats(min_value=0.01, max_value=100))
def test_the_unit_does_not_change_a_ratio(values: list[float], factor: float) -> None:
    other = list(reversed(values))
    plain = stats.ratio(values, other)
    scaled = stats.ratio([v * factor for v in values], [v * factor for v in other])
    assert plain.value == pytest.approx(scaled.value)


@given(positive, st.integers(min_value=2, max_value=12))
def test_equal_repeats_have_an_interval_without_width(value: float, count: int) -> None:
    result = stats.interval([value] * count)
    assert result.low == pytest.approx(value)
    assert result.high == pytest.approx(value)


def test_one_repeat_has_a_value_and_no_interval() -> None:
    assert stats.interval([4.0]) == Interval(pytest.approx(4.0), None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [[], [0.0], [-1.0], [math.nan], [math.inf]])
def test_numbers_without_a_logarithm_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="positive number"):
        stats.interval(bad)


@pytest.mark.parametrize("count", [3, 5, 8, 10, 20])
def test_the_interval_contains_the_truth_about_nineteen_times_in_twenty(count: int) -> None:
    rng = random.Random(f"coverage {count}")
    tries = 400
    hits = sum(
        stats.interval([2.0 * math.exp(rng.gauss(0, 0.2)) for _ in range(count)]).covers(2.0)
        for _ in range(tries)
    )
    assert hits / tries > 0.92, "three standard errors of 400 tries are 3 %"


@given(st.floats(min_value=0.1, max_value=10), st.floats(min_value=1.0, max_value=3.0))
def test_a_winner_needs_an_interval_that_excludes_one_and_a_minimal_difference(
    value: float, reach: float
) -> None:
    result = Interval(value, value / reach, value * reach)
    winner = judge_direction(result, claims_more=True) in {Verdict.SUPPORTED, Verdict.NOT_SUPPORTED}
    assert winner == (value / reach > SMALLEST_DIFFERENCE or value * reach < 1 / SMALLEST_DIFFERENCE)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.95, 1.05, Verdict.NO_WINNER),
        (0.68, 1.0, Verdict.NO_WINNER),
        (0.7, 1.49, Verdict.NO_WINNER),
        (1.001, 1.08, Verdict.NO_WINNER),
        (0.93, 0.99, Verdict.NO_WINNER),
        (0.9, 1.51, Verdict.INCONCLUSIVE),
        (0.66, 1.1, Verdict.INCONCLUSIVE),
        (0.6, 4.8, Verdict.INCONCLUSIVE),
        (None, 1.2, Verdict.INCONCLUSIVE),
        (1.0001, 1.104, Verdict.NO_WINNER),
        (1.02, 1.8, Verdict.INCONCLUSIVE),
        (1.051, 1.4, Verdict.SUPPORTED),
        (0.7, 0.951, Verdict.NOT_SUPPORTED),
    ],
)
def test_no_winner_needs_an_interval_that_excludes_the_margin(
    low: float | None, high: float, verdict: Verdict
) -> None:
    assert judge_direction(Interval(geometric(low, high), low, high), claims_more=True) is verdict


@pytest.mark.parametrize(("margin", "verdict"), [(1.5, Verdict.NO_WINNER), (1.1, Verdict.INCONCLUSIVE)])
def test_a_claim_has_its_own_margin(margin: float, verdict: Verdict) -> None:
    assert judge_direction(Interval(1.0, 0.92, 1.2), claims_more=True, margin=margin) is verdict


def test_throughput_and_cpu_have_a_narrower_margin_than_latency() -> None:
    margins = {name: METRICS[name].margin for name in ("throughput_rps", "cpu_us_per_request", "p50_ms")}
    assert margins == {"throughput_rps": 1.1, "cpu_us_per_request": 1.1, "p50_ms": 1.5}


def geometric(low: float | None, high: float) -> float:
    """The middle of an interval of ratios; 1 where an end is open."""
    return math.sqrt(low * high) if low else 1.0


def test_the_direction_decides_who_wins() -> None:
    faster = Interval(2.0, 1.5, 2.5)
    assert judge_direction(faster, claims_more=True) is Verdict.SUPPORTED
    assert judge_direction(faster, claims_more=False) is Verdict.NOT_SUPPORTED
    assert judge_direction(Interval(2.0, None, None), claims_more=True) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (Interval(1.05, 1.00, 1.10), Verdict.SUPPORTED),
        (Interval(1.60, 1.30, 1.90), Verdict.NOT_SUPPORTED),
        (Interval(1.20, 1.00, 1.40), Verdict.INCONCLUSIVE),
        (Interval(1.05, None, None), Verdict.INCONCLUSIVE),
    ],
)
def test_a_bar_is_kept_only_by_the_whole_interval(result: Interval, verdict: Verdict) -> None:
    assert judge_bar(result, Bar(at_most=1.25)) is verdict


def test_a_bar_is_printed_with_its_sign() -> None:
    assert str(Bar(at_least=3.6)) == "≥ 3.6"
    assert str(Bar(at_most=1.25)) == "≤ 1.25"
    assert Bar(at_least=3.6).holds(3.6)
    assert not Bar(at_least=3.6).holds(3.59)


def test_a_share_without_a_failure_does_not_prove_certainty() -> None:
    found = share([(20, 20), (20, 20), (20, 20)])
    assert found.value == 1.0
    assert found.low == pytest.approx(0.940, abs=0.001)
    assert found.high == 1.0


def test_repeats_that_disagree_widen_the_interval_of_a_share() -> None:
    alike, apart = share([(50, 100)] * 3), share([(20, 100), (50, 100), (80, 100)])
    assert alike.value == apart.value == 0.5
    assert alike.low is not None
    assert apart.low is not None
    assert apart.low < alike.low


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(1, 50)).filter(lambda pair: pair[0] <= pair[1]),
        min_size=1,
        max_size=6,
    )
)
def test_a_share_lies_within_its_interval(counts: list[tuple[int, int]]) -> None:
    found = share(counts)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one try"):
        share([(0, 0)])


def test_a_share_of_independent_tries_has_wilsons_interval() -> None:
    found = share([(100, 100)])
    known = binomtest(100, 100).proportion_ci(method="wilson")
    assert [found.low, found.high] == pytest.approx([known.low, 1.0])
    alike = share([(30, 60), (31, 60), (29, 60)])
    known = binomtest(90, 180).proportion_ci(method="wilson")
    assert [alike.low, alike.high] == pytest.approx([known.low, known.high])


def test_the_design_effect_is_that_of_trials_that_agree_or_differ_completely() -> None:
    assert design_effect([(10, 20), (10, 20)]) == 1.0
    assert design_effect([(20, 20), (20, 20)]) == 1.0
    assert design_effect([(0, 20), (20, 20), (0, 20), (20, 20)]) == pytest.approx(20 * 4 / 3)


@pytest.mark.parametrize("differ", [0.0, 0.3, 0.6])
def test_the_interval_of_a_share_contains_the_truth_where_trials_differ(differ: float) -> None:
    rng = random.Random(f"shares {differ}")
    tries, hits = 400, 0
    for _ in range(tries):
        counts = []
        for _ in range(5):
            chance = 0.5 + differ * (rng.random() - 0.5)
            counts.append((sum(rng.random() < chance for _ in range(50)), 50))
        hits += share(counts).covers(0.5)
    assert hits / tries > 0.92


def test_a_ratio_of_bounds_is_a_bound_in_the_right_direction() -> None:
    low, exact, high = Number.at_most(2.0), Number.exact(4.0), Number.at_least(8.0)
    assert quotient(high, exact) == Number.at_least(2.0)
    assert quotient(exact, high) == Number.at_most(0.5)
    assert quotient(exact, low) == Number.at_least(2.0)
    assert product([high, exact]) == Number.at_least(32.0)
    assert quotient(high, high) == Number(1.0, 0.0, math.inf)


def test_repeats_that_agree_on_a_bracket_are_not_more_precise_than_it() -> None:
    found = stats.interval_of_numbers([Number.between(100, 109)] * 4)
    assert [found.low, found.high] == pytest.approx([100, 109])
    assert found.bound is None


def test_an_interval_of_bounds_is_open_and_says_what_it_is() -> None:
    found = stats.interval_of_numbers([Number.exact(10.0), Number.at_least(12.0), Number.exact(11.0)])
    assert (found.high, found.bound) == (None, stats.Bound.AT_LEAST)
    assert found.low is not None
    assert 0 < found.low < 11
