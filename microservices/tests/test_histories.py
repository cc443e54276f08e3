"""Five hundred random histories of each shop (forty in `make test`); the invariants are checked after every step."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from microservices.tests.histories import MEANWHILE, RAISED, Histories, Tally
from microservices.tests.shops import InProcessShop, shop_in_process

STEPS = 30
PARTS = 5
MAX_REPEATS = 3
DEPTH = {"split": 28, "monolith": 4}


@pytest.fixture(scope="module", params=["split", "monolith"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessShop]:
    with shop_in_process(request.param, tmp_path_factory.mktemp(request.param)) as shop:
        yield shop


def run_histories(shop: InProcessShop, number: int, tally: Tally, seed: int | None = None) -> None:
    """Run `number` histories and add them to the tally; without a seed always the same ones."""
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
    run_histories(shop, 40, tally)
    assert tally.answers[201] > 25
    assert tally.faults["crash"] > 3


@pytest.mark.full
@pytest.mark.parametrize("part", range(PARTS))
def test_five_hundred_random_histories_break_nothing(shop, part, request, record_property):
    """In parts, which the test workers share, because most of the time is spent waiting.

    By chance a part may have too few faults of one kind; then it runs more histories.
    """
    kinds = [*RAISED, *MEANWHILE]
    if shop.name == "monolith":  # it makes no calls, so none can be lost or late
        kinds = [kind for kind in kinds if kind not in {"lost", "late"}]
    tally, first = Tally(), request.config.getoption("randomly_seed", 0)
    for repeat in range(MAX_REPEATS):
        run_histories(shop, 500 // PARTS, tally, seed=PARTS * (MAX_REPEATS * first + repeat) + part)
        if enough := min(tally.faults[kind] for kind in kinds) > 50 // PARTS:
            break
    record_property("tally", str(tally))
    assert tally.histories >= 500 // PARTS
    assert enough, tally
