"""The time that is left: a range for searches, true for any shop, and never a total that grows."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.planning.capacity import Bracket, Probe, Search
from loadtests.planning.remaining import Span, probes_left
from loadtests.running.pace import Pace

SEARCH = Search(start=24.0, width=0.15, least=1.0, most=2000.0)


def the_range_held(capacity: float, noise: Callable[[], float]) -> bool:
    """Whether the range was true before every trial of a search. `noise` multiplies the rate of each trial."""
    history, ranges = list[Probe](), list[tuple[int, int]]()
    while not isinstance(rate := SEARCH.next_rate(history), Bracket):
        ranges.append(probes_left(SEARCH, tuple(history)))
        history.append(Probe(rate, rate * noise() <= capacity))
    assert probes_left(SEARCH, tuple(history)) == (0, 0)
    return all(least <= len(history) - done <= most for done, (least, most) in enumerate(ranges))


@given(st.floats(min_value=3.0, max_value=190.0))
def test_the_range_of_a_search_holds_its_trials_from_its_first_one_on(capacity: float) -> None:
    assert the_range_held(capacity, lambda: 1.0)


def test_the_range_hardly_ever_fails_where_a_shop_keeps_the_promise_in_some_trials_only() -> None:
    rng = random.Random(1)
    held = [
        the_range_held(24.0 * 8 ** rng.uniform(-1, 1), lambda: rng.uniform(0.96, 1.04)) for _ in range(60)
    ]
    assert sum(held) >= 57


def test_the_range_narrows_as_the_bracket_closes() -> None:
    history = list[Probe]()
    least, most = probes_left(SEARCH, ())
    for _ in range(6):
        rate = SEARCH.next_rate(history)
        assert not isinstance(rate, Bracket)
        history.append(Probe(rate, rate <= 40.0))
    now = probes_left(SEARCH, tuple(history))
    assert now[1] - now[0] < most - least


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (Span(180.0, 180.0), "about 3 min"),
        (Span(170.0, 190.0), "about 3 min"),
        (Span(480.0, 1260.0), "8 to 21 min"),
        (Span(20.0, 50.0), "20 to 50 s"),
        (Span(50.0, 130.0), "50 s to 2 min"),
    ],
)
def test_a_range_reads_as_one(span: Span, words: str) -> None:
    assert str(span) == words


def test_a_slow_machine_and_void_trials_make_the_rest_longer() -> None:
    pace = Pace()
    assert pace.left(Span(10.0, 20.0)) == Span(10.0, 20.0)
    pace.add(10.0, 15.0, valid=True)
    pace.add(10.0, 15.0, valid=False)
    assert pace.left(Span(10.0, 20.0)) == Span(15.0, 52.5)
