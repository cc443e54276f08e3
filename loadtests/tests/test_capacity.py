"""The search for capacity on simulated shops: some exact, some whose capacity differs between trials."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.planning.capacity import Bracket, Probe, Promise, Search, shifted_start

Shop = Callable[[float], bool]
capacities = st.floats(min_value=2, max_value=4000)
starts = st.floats(min_value=1, max_value=5000)


def find(search: Search, shop: Shop, history: list[Probe]) -> Bracket:
    """Follow the search to its end. `history` collects the probes."""
    for _ in range(search.max_trials + 1):
        step = search.next_rate(history)
        if isinstance(step, Bracket):
            return step
        history.append(Probe(step, shop(step)))
    raise AssertionError("the search did not end")


def noisy(capacity: float, noise: float, seed: int) -> Shop:
    """A shop whose capacity differs a little between trials."""
    rng = random.Random(seed)
    return lambda rate: rate <= capacity * math.exp(rng.gauss(0, noise))


@given(capacities, starts)
def test_the_bracket_of_an_exact_shop_is_as_narrow_as_asked(capacity: float, start: float) -> None:
    found = find(Search(start), lambda rate: rate <= capacity, [])
    assert found.high is not None
    assert found.low <= capacity < found.high <= found.low * 1.05 * (1 + 1e-9)


@given(capacities, starts, st.integers())
def test_the_bracket_of_a_noisy_shop_is_right_up_to_the_noise(
    capacity: float, start: float, seed: int
) -> None:
    found = find(Search(start), noisy(capacity, 0.03, seed), [])
    assert found.high is not None
    assert found.low < found.high
    # Four standard deviations of one trial; two agreeing trials stray less.
    assert found.low <= capacity * math.exp(0.12)
    assert found.high >= capacity * math.exp(-0.12)


@given(capacities, starts, st.integers(), st.integers(min_value=0, max_value=30))
def test_an_interrupted_search_continues_as_if_it_had_not_been_interrupted(
    capacity: float, start: float, seed: int, cut: int
) -> None:
    history: list[Probe] = []
    whole = find(Search(start), noisy(capacity, 0.05, seed), history)
    replay = iter(history[cut:])
    again = find(Search(start), lambda rate: next(replay).kept, history[:cut])
    assert again == whole


@given(st.integers(), st.integers(min_value=1, max_value=12))
def test_no_search_takes_more_trials_than_allowed(seed: int, trials: int) -> None:
    rng = random.Random(seed)
    history: list[Probe] = []
    find(Search(10, max_trials=trials), lambda _rate: rng.random() < 0.5, history)
    assert len(history) <= trials


def test_one_broken_promise_decides_nothing() -> None:
    search = Search(100)
    assert search.next_rate([Probe(100, False)]) == 100
    assert search.next_rate([Probe(100, False), Probe(100, True)]) == 100
    assert search.next_rate([Probe(100, False), Probe(100, True), Probe(100, True)]) == 200


def test_a_shop_that_never_breaks_has_no_upper_end() -> None:
    found = find(Search(100, most=1000), lambda _rate: True, [])
    assert found == Bracket(1000, None)
    assert str(found) == "at least 1000"
    assert found.contains(5000)


def test_a_shop_that_never_keeps_its_promise_has_no_lower_end() -> None:
    found = find(Search(100), lambda _rate: False, [])
    assert found == Bracket(0.0, 1.0)
    assert found.contains(0.5)
    assert not found.contains(2)


@pytest.mark.parametrize("wrong", [{"start": 0}, {"start": 10, "least": 20}, {"start": 10, "width": 0}])
def test_a_search_with_wrong_limits_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="least ≤ start ≤ most"):
        Search(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("p95_ms", "errors", "achieved", "kept"),
    [
        (250.0, 0.001, 0.99, True),
        (251.0, 0.0, 1.0, False),
        (100.0, 0.002, 1.0, False),
        (100.0, 0.0, 0.98, False),
        (None, 0.0, 0.0, False),
    ],
)
def test_a_promise_is_kept_as_a_whole(
    p95_ms: float | None, errors: float, achieved: float, kept: bool
) -> None:
    assert Promise().kept(p95_ms, errors, achieved) is kept


@given(st.text(max_size=9), starts)
def test_a_shifted_start_is_near_the_start_and_always_the_same(seed: str, start: float) -> None:
    shifted = shifted_start(start, 1.0, 5000.0, seed)
    assert shifted == shifted_start(start, 1.0, 5000.0, seed)
    assert max(1.0, start / 2**0.5) <= shifted * (1 + 1e-9)
    assert shifted <= min(5000.0, start * 2**0.5) * (1 + 1e-9)


def test_searches_with_shifted_starts_end_in_different_brackets() -> None:
    found = {
        find(Search(shifted_start(24, 1, 2000, f"{n}"), 0.15), lambda rate: rate <= 100, []).low
        for n in range(8)
    }
    assert len(found) == 8
