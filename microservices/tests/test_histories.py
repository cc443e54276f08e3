"""Five hundred random histories of each shop (forty in `make test`), and the invariants after every step."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from microservices.tests.histories import MEANWHILE, RAISED, Histories, Tally
from microservices.tests.shops import InProcess, opened

STEPS = 30
PARTS = 5
MAX_TIMES = 3
DEPTH = {"split": 28, "monolith": 4}


@pytest.fixture(scope="module", params=["split", "monolith"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with opened(request.param, tmp_path_factory.mktemp(request.param)) as shop:
        yield shop


def live_through(shop: InProcess, number: int, tally: Tally, seed: int | None = None) -> None:
    """Run so many histories and add them to the tally; without a seed always the same ones."""
    machine = type(
        f"{shop.name.title()}Histories",
        (Histories,),
        {"shop": shop, "depth": DEPTH[shop.name], "tally": tally},
    )
    run_state_machine_as_test(
        machine if seed is None else hypothesis.seed(seed)(machine),
        settings=settings(
            max_examples=number,
            stateful_step_count=STEPS,
            derandomize=seed is None,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_few_random_histories_break_nothing(shop):
    tally = Tally()
    live_through(shop, 40, tally)
    assert tally.answers[201] > 25
    assert tally.struck["crash"] > 3


@pytest.mark.full
@pytest.mark.parametrize("part", range(PARTS))
def test_five_hundred_random_histories_break_nothing(shop, part, request, record_property):
    """In parts, because most of the time is waited: workers share them.

    What is random may leave one kind of fault out of a part nearly altogether; then the part has more histories.
    """
    kinds = [*RAISED, *MEANWHILE]
    if shop.name == "monolith":  # it makes no calls that could be lost
        kinds = [kind for kind in kinds if kind not in {"lost", "late"}]
    tally, first = Tally(), request.config.getoption("randomly_seed", 0)
    for again in range(MAX_TIMES):
        live_through(shop, 500 // PARTS, tally, seed=PARTS * (MAX_TIMES * first + again) + part)
        if seen_enough := min(tally.struck[kind] for kind in kinds) > 50 // PARTS:
            break
    record_property("tally", str(tally))
    assert tally.histories >= 500 // PARTS
    assert seen_enough, tally
