"""Two runs side by side: a change is found, everything else is called noise."""

import io
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadtests.analysis.change import change, significant
from loadtests.analysis.results import measure_all, results_of
from loadtests.experiments.experiment import parse
from loadtests.report import compare
from loadtests.report.compare import CHANGED, NOISE, UNKNOWN, Side
from loadtests.tests.made_up import MACHINE, NOTES, TEXT, request, toy, trial

TRIES = 200
numbers = st.lists(st.floats(min_value=1e-3, max_value=1e6), min_size=2, max_size=10)
chances = st.lists(st.none() | st.floats(min_value=0, max_value=1), max_size=30)


def side(
    seed: int, *, repeats: int = 5, slower: float = 1.0, name: str = "one", text: str = TEXT, **machine: Any
) -> Side:
    """A run of the toy experiment with 5 % noise; `slower` multiplies the split's latency."""
    rng = random.Random(seed)
    trials = [
        trial(system, repeat, latency_ms=latency * math.exp(rng.gauss(0, 0.05)))
        for repeat in range(1, repeats + 1)
        for system, latency in (("monolith", 20.0), ("microservices", 40.0 * slower))
    ]
    experiment, measured = parse(text, "toy.toml"), measure_all(trials)
    results = results_of({**MACHINE, **machine}, [experiment], measured)
    return Side({**NOTES, "id": name}, [experiment], results, measured)


def shown(before: Side, after: Side, width: int = 80, *, everything: bool = False) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(compare.terminal(before, after, everything=everything))
    return capture.get()


def answers(before: Side, after: Side) -> dict[str, str]:
    return {f"{row.what} ({row.detail})": row.answer for row in compare.compare(before, after)}


def test_a_run_compared_with_itself_has_not_changed() -> None:
    assert set(answers(side(1), side(1)).values()) == {NOISE}
    assert "None of 8 numbers changed beyond noise." in " ".join(shown(side(1), side(1)).split())


def test_a_latency_that_grew_by_half_is_found_and_nothing_else() -> None:
    found = answers(side(1), side(2, slower=1.5))
    changed = {what for what, answer in found.items() if answer == CHANGED}
    assert changed == {
        "Latency (not supported)",
        "median latency, GET /search, quiet (microservices by 2, ms)",
    }


def test_with_one_repeat_every_answer_is_unknown() -> None:
    assert set(answers(side(1, repeats=1), side(2, slower=9)).values()) == {UNKNOWN}


def test_twenty_numbers_without_a_change_are_all_noise_nineteen_times_in_twenty() -> None:
    rng = random.Random("nothing changed")
    alarms = 0
    for _ in range(TRIES):
        runs = [[[math.exp(rng.gauss(0, 0.1)) for _ in range(5)] for _ in range(20)] for _ in range(2)]
        alarms += any(significant([change(one, other).p_value for one, other in zip(*runs, strict=True)]))
    # Three standard errors of 200 tries are 4.6 %.
    assert alarms / TRIES <= 0.096


@pytest.mark.parametrize(("before", "after"), [(3, 3), (5, 5), (3, 10)])
def test_the_interval_of_a_change_holds_the_truth_about_nineteen_times_in_twenty(
    before: int, after: int
) -> None:
    rng = random.Random(f"{before} {after}")
    hits = sum(
        change(
            [math.exp(rng.gauss(0, 0.1)) for _ in range(before)],
            [1.25 * math.exp(rng.gauss(0, 0.2)) for _ in range(after)],
        ).ratio.covers(1.25)
        for _ in range(TRIES)
    )
    assert hits / TRIES >= 0.904


@given(numbers, numbers)
def test_swapping_before_and_after_inverts_the_change(before: list[float], after: list[float]) -> None:
    there, back = change(before, after), change(after, before)
    assert there.ratio.value == pytest.approx(1 / back.ratio.value)
    assert there.p_value == pytest.approx(back.p_value)


@given(chances)
def test_a_smaller_chance_is_never_noise_where_a_larger_one_is_not(found: list[float | None]) -> None:
    called = significant(found)
    assert len(called) == len(found)
    kept = [chance for chance, changed in zip(found, called, strict=True) if changed and chance is not None]
    left = [
        chance for chance, changed in zip(found, called, strict=True) if not changed and chance is not None
    ]
    assert all(chance <= 0.05 for chance in kept)
    assert not kept or not left or max(kept) < min(left)


def test_other_differences_are_doubts() -> None:
    other_text = TEXT.replace("rates = { searcher = 10 }", "rates = { searcher = 11 }")
    after = side(2, text=other_text, cpu_model="Other CPU", slice_backend="governor")
    after = replace(after, notes={**after.notes, "form": "demo"})
    assert compare.doubts(side(1), after) == [
        "The processor differs: Example CPU, then Other CPU.",
        "The way of slicing CPU differs: cgroup2, then governor.",
        "The form differs: full, then demo.",
        "The text of toy differs: its numbers may mean something else.",
    ]


def test_an_experiment_in_only_one_run_is_named_and_not_compared() -> None:
    empty = replace(side(2), experiments=(), results={**side(2).results, "experiments": []})
    assert compare.doubts(side(1), empty) == ["toy is only in the first run."]
    assert compare.doubts(empty, side(1)) == ["toy is only in the second run."]
    assert compare.compare(side(1), empty) == []
    assert "None of 0 numbers changed" in shown(side(1), empty)


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_claims_and_what_changed(width: int) -> None:
    text = shown(side(1), side(2, slower=1.5), width)
    assert max(map(len, text.splitlines())) <= width
    assert "! changed" in text
    assert "= noise" in text
    assert "5 other measurements are not shown (--all)" in " ".join(text.split())
    everything = shown(side(1), side(2, slower=1.5), width, everything=True)
    assert len(everything.splitlines()) > len(text.splitlines())


def test_markdown_has_every_row_side_by_side() -> None:
    before, after = side(1, name="monday"), side(2, slower=1.5, name="tuesday")
    text = compare.markdown(before, after)
    assert text.startswith("# Before: monday. After: tuesday.\n")
    assert text.count("\n| toy |") == len(compare.compare(before, after)) == 8
    assert "| **changed** |" in text


def test_names_in_the_toy_are_those_of_its_systems(tmp_path: Path) -> None:
    assert {row.detail for row in compare.compare(side(1), side(1)) if not row.claim} >= {
        f"{system.label}, ms" for system in toy().systems
    }


def test_a_run_of_an_older_version_is_named_and_read_by_todays_rules() -> None:
    old = side(1)
    old = replace(old, notes={key: value for key, value in old.notes.items() if key != "schema"})
    (doubt,) = compare.doubts(old, side(2))
    assert doubt.startswith("The first run was made by an older version. Its numbers were computed again")


def test_two_bounds_have_no_change() -> None:
    failed = [request(1.05 + n / 10, 20, ok=False, status=503) for n in range(99)]
    trials = [
        trial(system, repeat, requests=failed if system == "microservices" else None)
        for repeat in (1, 2, 3)
        for system in ("monolith", "microservices")
    ]
    measured = measure_all(trials)
    silent = Side({**NOTES, "id": "silent"}, [toy()], results_of(MACHINE, [toy()], measured), measured)
    rows = {f"{row.what} ({row.detail})": row for row in compare.compare(side(1), silent)}
    latency = rows["median latency, GET /search, quiet (microservices by 2, ms)"]
    assert latency.answer == UNKNOWN
    assert latency.after.startswith("≥ ")
    assert latency.cells[3] == "unknown"
