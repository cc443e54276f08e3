"""Visits follow the curve, in number and in rate at every time. Mistakes in a CSV file are named by line."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.experiments import curves
from loadtests.experiments.curves import (
    CurveError,
    Point,
    clip,
    double_wave,
    expected_visits,
    offsets,
    read_csv,
    spike,
    steps,
)
from loadtests.experiments.experiment import Experiment, ExperimentError, load, parse
from loadtests.load.arrivals import Phase, schedule
from loadtests.planning.plan import plan
from loadtests.tests.made_up import TEXT

lengths = st.floats(min_value=1, max_value=60)
rates = st.floats(min_value=0.5, max_value=50)
multiples = st.floats(min_value=0, max_value=10)
seeds = st.integers()
shares = st.tuples(st.floats(min_value=0, max_value=1), st.floats(min_value=0, max_value=1)).map(sorted)


def recorded(gaps: list[tuple[float, float]]) -> tuple[Point, ...]:
    """Points with these gaps of time between them, as in a user's file."""
    times = [sum(gap for gap, _ in gaps[: n + 1]) for n in range(len(gaps))]
    return tuple((at, multiple) for at, (_, multiple) in zip(times, gaps, strict=True))


@st.composite
def lines(draw: st.DrawFn) -> tuple[tuple[Point, ...], float]:
    """Any curve, and the length of the phase that follows it."""
    length = draw(lengths)
    low, high = sorted((draw(multiples), draw(multiples)))
    begin, end = draw(shares)
    gap = st.one_of(st.just(0.0), st.floats(min_value=0.01, max_value=20))
    kinds = (
        st.lists(multiples, min_size=1, max_size=6).map(lambda each: steps(length, each)),
        st.just(spike(length, high, begin, end)),
        st.just(double_wave(length, low, high)),
        st.lists(st.tuples(gap, multiples), min_size=1, max_size=8).map(recorded),
    )
    return draw(st.one_of(kinds)), length


@given(lines(), rates, seeds, st.booleans())
def test_visits_start_inside_the_phase_and_in_order(
    line: tuple[tuple[Point, ...], float], rate: float, seed: int, fixed: bool
) -> None:
    points, length = line
    planned = list(offsets(points, rate, length, fixed=fixed, rng=random.Random(seed)))
    assert planned == sorted(planned)
    assert all(0 <= at < length for at in planned)


@given(lines(), rates, seeds, shares)
def test_evenly_spread_visits_follow_the_rate_in_every_window(
    line: tuple[tuple[Point, ...], float], rate: float, seed: int, window: list[float]
) -> None:
    points, length = line
    begin, end = (share * length for share in window)
    planned = list(offsets(points, rate, length, fixed=True, rng=random.Random(seed)))
    inside = sum(begin <= at < end for at in planned)
    wanted = expected_visits(points, rate, end) - expected_visits(points, rate, begin)
    assert abs(inside - wanted) <= 1 + 1e-3


@given(lines(), rates, seeds)
def test_no_visit_starts_while_the_rate_is_zero(
    line: tuple[tuple[Point, ...], float], rate: float, seed: int
) -> None:
    points, length = line
    planned = list(offsets(points, rate, length, fixed=False, rng=random.Random(seed)))
    for (t0, m0), (t1, m1) in pairwise(clip(points, length)):
        if m0 == m1 == 0:
            assert not any(t0 + 1e-6 < at < t1 - 1e-6 for at in planned)


@pytest.mark.parametrize(
    "points",
    [steps(20, [1, 4, 2]), spike(20, 10, 0.4, 0.6), double_wave(20, 0.2, 3), ((5.0, 0.5), (15.0, 2.5))],
    ids=["steps", "spike", "double wave", "file"],
)
def test_random_visits_have_the_mean_and_the_variance_of_poisson(points: tuple[Point, ...]) -> None:
    tries = 400
    for begin, end in ((0, 20), (0, 7), (9, 11)):
        wanted = expected_visits(points, 2.0, end) - expected_visits(points, 2.0, begin)
        counts = [
            sum(begin <= at < end for at in offsets(points, 2.0, 20, fixed=False, rng=random.Random(n)))
            for n in range(tries)
        ]
        mean = sum(counts) / tries
        variance = sum((count - mean) ** 2 for count in counts) / (tries - 1)
        assert mean == pytest.approx(wanted, abs=4 * (wanted / tries) ** 0.5)
        assert variance == pytest.approx(wanted, rel=0.35)


@given(rates, lengths, seeds)
def test_a_flat_curve_is_a_constant_rate(rate: float, length: float, seed: int) -> None:
    level = Phase("level", length, {"buyer": rate}, "fixed", curve=steps(length, [1]))
    plain = Phase("plain", length, {"buyer": rate}, "fixed")
    followed, constant = (
        [arrival.at for arrival in schedule([phase], str(seed))][:-1] for phase in (level, plain)
    )
    shorter = min(len(followed), len(constant))  # rounding may move the last one over the end
    assert followed[:shorter] == pytest.approx(constant[:shorter])
    assert abs(len(followed) - len(constant)) <= 1


def test_a_double_wave_has_two_peaks() -> None:
    points = dict(double_wave(60, 1, 5))
    assert points[0.0] == points[30.0] == points[60.0] == pytest.approx(1)
    assert points[15.0] == points[45.0] == pytest.approx(5)


def test_a_file_gives_the_amount_and_the_rates_the_mix() -> None:
    points = read_csv(["time,rate", "0,20", "10,20"], "day.csv", total=4.0)
    phase = Phase("day", 10, {"buyer": 1, "searcher": 3}, "fixed", curve=points)
    planned = schedule([phase], "1")
    assert sum(each.persona == "buyer" for each in planned) == pytest.approx(50, abs=1)
    assert sum(each.persona == "searcher" for each in planned) == pytest.approx(150, abs=1)


@pytest.mark.parametrize(
    "text", ["time;rate\n0;0,5\n1,5;20", "time\trate\n0\t0.5\n1,5\t20", '"time","rate"\n"0","0.5"\n1.5,20']
)
def test_what_spreadsheets_write_is_read(text: str) -> None:
    assert read_csv(text.splitlines(), "day.csv", 1.0) == ((0, 0.5), (1.5, 20))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    text = with_curve('{ csv = "my-day.csv" }').replace('name = "toy"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(text, encoding=encoding)
    (tmp_path / "my-day.csv").write_text("time;rate\n0;2,5\n", encoding=encoding)
    experiment = load(str(tmp_path / "mine.toml"))
    assert experiment.phases[1].points == ((0.0, 0.25),)
    assert not any(text.startswith("\ufeff") for text in experiment.texts.values())


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    text = with_curve('{ csv = "my-day.csv" }').replace('name = "toy"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    (tmp_path / "my-day.csv").write_text("time,rate\n0,1\n", encoding="utf-16")
    with pytest.raises(
        ExperimentError, match=r"my-day.csv: expected UTF-8, not ff fe at its start; save it as UTF-8"
    ):
        load(str(tmp_path / "mine.toml"))


def test_more_visits_than_the_bound_are_refused_before_they_are_planned() -> None:
    with pytest.raises(
        CurveError, match=r"day.csv, line 2: expected at most 5000 visits per second, not 1e\+09"
    ):
        read_csv(["time,rate", "0,1e9"], "day.csv", 1.0)
    with pytest.raises(ExperimentError, match="at most 5000 visits per second at any time, not 10000"):
        parse(with_curve("{ spike = 1000 }"), "toy.toml")
    with pytest.raises(ValueError, match=r"day: expected at most 5000 .*, not 1e\+09"):
        Phase("day", 10, {"buyer": 1e9})


def test_two_rows_at_one_time_are_a_step_and_blank_lines_are_nothing() -> None:
    text = ["Time, Rate", "0,1", "", "5,1", "5,9"]
    assert read_csv(text, "day.csv", 1.0) == ((0, 1), (5, 1), (5, 9))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", 'day.csv, line 1: expected the header "time,rate"'),
        ("seconds,rate\n0,1", 'day.csv, line 1: expected the header "time,rate"'),
        ("time,rate\n", "day.csv: expected at least one row"),
        ("time,rate\n0,1\n5,many", 'day.csv, line 3: expected two numbers, time and rate, not "5,many"'),
        ("time,rate\n0,1,2", "day.csv, line 2: expected two numbers"),
        (
            "time,rate\n0,5,20,5",
            'day.csv, line 2: expected two numbers, time and rate, not "0,5,20,5"; with decimal commas, separate',
        ),
        ("time;rate\n1,5,2", 'day.csv, line 2: expected two numbers, time and rate, not "1,5,2"'),
        ("time,rate\n0,1\n\n5,-1", "day.csv, line 4: expected a time and a rate of 0 or more"),
        ("time,rate\n0,inf", "day.csv, line 2: expected a time and a rate of 0 or more"),
        ("time,rate\n10,1\n5,1", "day.csv, line 3: expected a time of 10 or later, not 5"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_line_and_what_was_expected(text: str, complaint: str) -> None:
    with pytest.raises(CurveError) as caught:
        read_csv(text.splitlines(), "day.csv", 1.0)
    assert str(caught.value).startswith(complaint)


def with_curve(curve: str) -> str:
    """The toy experiment, its recorded phase along a curve."""
    return TEXT.replace(
        "seconds = 10\nrates = { searcher = 10 }",
        f"seconds = 10\nrates = {{ searcher = 10 }}\ncurve = {curve}",
    )


@pytest.mark.parametrize(
    ("curve", "most"),
    [
        ("{ steps = [1, 2, 3] }", 3.0),
        ("{ spike = 8, begin = 0.5, end = 0.75 }", 8.0),
        ("{ double_wave = [0.5, 2] }", 2.0),
    ],
)
def test_the_plan_follows_the_curve_in_the_full_and_in_the_short_form(curve: str, most: float) -> None:
    experiment = parse(with_curve(curve), "toy.toml")
    for form, length in ((experiment, 10.0), (experiment.short(), 2.0)):
        points = plan([form], share=False)[0].phases[1].curve
        assert points[-1][0] == pytest.approx(length)
        assert max(multiple for _, multiple in points) == pytest.approx(most)


def own(folder: Path, csv: str) -> Experiment:
    """A user's own experiment with its own curve, read from a folder."""
    (folder / "toy.toml").write_text(with_curve('{ csv = "day.csv" }'))
    (folder / "day.csv").write_text(csv)
    return load(str(folder / "toy.toml"))


def test_a_users_own_file_and_its_curve_are_read_from_one_folder(tmp_path: Path) -> None:
    experiment = own(tmp_path, "time,rate\n0,10\n10,30\n")
    assert experiment.phases[1].points == ((0, 1), (10, 3))
    assert experiment.short().phases[1].points == ((0, 1), (10, 3))
    assert set(experiment.texts) == {"toy.toml", "day.csv"}


@pytest.mark.parametrize(
    ("curve", "complaint"),
    [
        ("{ csv = 'none.csv' }", "toy.toml: phases.1: none.csv: expected a file beside this one"),
        ("{ csv = '../day.csv' }", 'toy.toml: phases.1: expected a file beside this one, not "../day.csv"'),
        ("{ csv = 'bad.csv' }", "toy.toml: phases.1: bad.csv, line 2: expected two numbers"),
        ("{ steps = [1], spike = 2 }", "toy.toml: phases.1.curve: expected exactly one of steps, spike"),
        ("{}", "toy.toml: phases.1.curve: expected exactly one of steps, spike"),
        ("{ spike = 2, begin = 0.7 }", "toy.toml: phases.1.curve: expected begin before end"),
        ("{ steps = [] }", "toy.toml: phases.1.curve.steps: "),
    ],
)
def test_a_mistake_in_a_curve_is_named_with_file_key_and_what_was_expected(
    curve: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_text("time,rate\nnoon,3\n")
    with pytest.raises(ExperimentError) as caught:
        parse(with_curve(curve), "toy.toml", tmp_path)
    assert str(caught.value).startswith(complaint)


def test_a_missing_file_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"none\.toml cannot be read"):
        load(str(tmp_path / "none.toml"))


def test_a_curve_that_ends_early_keeps_its_last_rate() -> None:
    assert curves.clip(((2.0, 3.0), (4.0, 5.0)), 10) == [(0.0, 3.0), (2.0, 3.0), (4.0, 5.0), (10, 5.0)]
    assert curves.clip(((0.0, 1.0), (10.0, 3.0)), 5) == [(0.0, 1.0), (5, 2.0)]
