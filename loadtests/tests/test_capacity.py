"""The search for capacity, against shops that are simulated: some exact, some with good and bad days."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.planning.capacity import Bracket, Promise, Search, Tried

Shop = Callable[[float], bool]
capacities = st.floats(min_value=2, max_value=4000)
starts = st.floats(min_value=1, max_value=5000)


def find(search: Search, shop: Shop, history: list[Tried]) -> Bracket:
    """Follow the search to its end; `history` grows with what was tried."""
    for _ in range(search.trials + 1):
        step = search.next_rate(history)
        if isinstance(step, Bracket):
            return step
        history.append(Tried(step, shop(step)))
    raise AssertionError("the search did not end")


def moody(capacity: float, noise: float, seed: int) -> Shop:
    """A shop whose capacity is a little different in each trial."""
    rng = random.Random(seed)
    return lambda rate: rate <= capacity * math.exp(rng.gauss(0, noise))


@given(capacities, starts)
def test_an_exact_shop_is_bracketed_as_narrowly_as_asked(capacity: float, start: float) -> None:
    found = find(Search(start), lambda rate: rate <= capacity, [])
    assert found.high is not None
    assert found.low <= capacity < found.high <= found.low * 1.05 * (1 + 1e-9)


@given(capacities, starts, st.integers())
def test_a_moody_shop_is_bracketed_up_to_its_moods(capacity: float, start: float, seed: int) -> None:
    found = find(Search(start), moody(capacity, 0.03, seed), [])
    assert found.high is not None
    assert found.low < found.high
    # Four standard deviations of one trial; two agreeing trials stray less.
    assert found.low <= capacity * math.exp(0.12)
    assert found.high >= capacity * math.exp(-0.12)


@given(capacities, starts, st.integers(), st.integers(min_value=0, max_value=30))
def test_a_search_that_was_interrupted_goes_on_as_if_it_had_not(
    capacity: float, start: float, seed: int, cut: int
) -> None:
    history: list[Tried] = []
    whole = find(Search(start), moody(capacity, 0.05, seed), history)
    replay = iter(history[cut:])
    again = find(Search(start), lambda rate: next(replay).kept, history[:cut])
    assert again == whole


@given(st.integers(), st.integers(min_value=1, max_value=12))
def test_no_search_takes_more_trials_than_it_may(seed: int, trials: int) -> None:
    rng = random.Random(seed)
    history: list[Tried] = []
    find(Search(10, trials=trials), lambda _rate: rng.random() < 0.5, history)
    assert len(history) <= trials


def test_one_bad_day_decides_nothing() -> None:
    search = Search(100)
    assert search.next_rate([Tried(100, False)]) == 100
    assert search.next_rate([Tried(100, False), Tried(100, True)]) == 100
    assert search.next_rate([Tried(100, False), Tried(100, True), Tried(100, True)]) == 200


def test_a_shop_that_never_breaks_has_no_upper_end() -> None:
    found = find(Search(100, most=1000), lambda _rate: True, [])
    assert found == Bracket(1000, None)
    assert str(found) == "at least 1000"
    assert found.holds(5000)


def test_a_shop_that_never_keeps_its_promise_has_no_lower_end() -> None:
    found = find(Search(100), lambda _rate: False, [])
    assert found == Bracket(0.0, 1.0)
    assert found.holds(0.5)
    assert not found.holds(2)


@pytest.mark.parametrize("wrong", [{"start": 0}, {"start": 10, "least": 20}, {"start": 10, "width": 0}])
def test_a_search_without_room_is_refused(wrong: dict[str, float]) -> None:
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
