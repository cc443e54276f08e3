"""Elasticity of made-up supplies whose numbers can be worked out by hand."""

import pytest

from loadtests.analysis.elasticity import Steps, demand_of, elasticity, replicas_for, value_at
from loadtests.experiments.curves import spike


def demand(at: float) -> int:
    """One replica, and four from second 10 to 20."""
    return 4 if 10 <= at < 20 else 1


@pytest.mark.parametrize(
    ("supply", "missing", "idle", "missing_share", "idle_share", "instability"),
    [
        ([(0, 1), (10, 4), (20, 1)], 0, 0, 0, 0, 0),  # an oracle
        ([(0, 1)], 1, 0, 1 / 3, 0, 1 / 30),  # never acts: three are missing for ten of thirty seconds
        ([(0, 4)], 0, 2, 0, 2 / 3, 1 / 30),  # fixed at the peak: three are idle for twenty seconds
        (
            [(0, 1), (13, 4), (25, 1)],
            0.3,
            0.5,
            0.1,
            1 / 6,
            2 / 30,
        ),  # three seconds late, five seconds slow to let go
        (
            [(0, 1), (2, 2), (4, 1), (10, 4), (20, 1)],
            0,
            2 / 30,
            0,
            2 / 30,
            1 / 30,
        ),  # flaps once before the rise
    ],
)
def test_elasticity_of_a_supply(
    supply: Steps,
    missing: float,
    idle: float,
    missing_share: float,
    idle_share: float,
    instability: float,
) -> None:
    found = elasticity(demand, supply, 0, 30)
    assert found.missing == pytest.approx(missing, abs=0.011)
    assert found.idle == pytest.approx(idle, abs=0.011)
    assert found.missing_share == pytest.approx(missing_share, abs=0.004)
    assert found.idle_share == pytest.approx(idle_share, abs=0.004)
    assert found.instability == pytest.approx(instability, abs=0.001)


def test_the_demand_is_the_smallest_number_of_replicas_that_serve_the_visits() -> None:
    assert [replicas_for(visits, 23) for visits in (0, 8, 23, 23.1, 80)] == [1, 1, 1, 2, 4]
    needed = demand_of(8, spike(60, 10, 0.2, 0.7), begin=5, capacity=23)
    assert [needed(at) for at in (5, 16.9, 17.1, 46.9, 47.1)] == [1, 1, 4, 4, 1]


def test_supply_before_its_first_record_is_the_first_one() -> None:
    assert [value_at([(2, 3), (4, 5)], at) for at in (0, 2, 3.9, 4, 9)] == [3, 3, 3, 5, 5]
    assert value_at([], 1) == 0
