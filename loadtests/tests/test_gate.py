"""The same-work gate: only a difference in two rounds counts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

from loadtests.contract import parity
from loadtests.contract.parity import Difference, ParityResult
from loadtests.experiments.kinds import Kind
from loadtests.report.page import about
from loadtests.rig import slices
from loadtests.rig.external import ExternalTarget
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.targets import KINDS, Target
from loadtests.rig.trial import Rig
from loadtests.running.gate import GateError, same_work
from loadtests.tests.made_up import MACHINE, NOTES
from microservices.launcher import MONOLITH

LATE = Difference(
    42, "curl -X POST /api/orders", "body.type 'payment-timed-out'", "body.type 'upstream-timeout'"
)
OTHER = Difference(7, "curl /api/products", "status: 200", "status: 404")
FRESH: Mapping[Kind, Target] = {kind: ManagedTarget(kind, MONOLITH) for kind in KINDS}


class NoShop:
    """In place of a running shop, because no request is sent."""

    url = "http://127.0.0.1:9"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rig:
    monkeypatch.setattr(ManagedTarget, "open", lambda *_: NoShop())
    return Rig(tmp_path, FRESH, slices.NoSlices())


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[list[Difference]]:
    """The differences of each round, filled in by the test."""
    rounds: list[list[Difference]] = []
    monkeypatch.setattr(
        parity, "run_parity", lambda _a, _b, _seed, requests, *, odd: ParityResult(requests, rounds.pop(0))
    )
    return rounds


def test_shops_with_equal_answers_are_asked_once(rig: Rig, found: list[list[Difference]]) -> None:
    found += [[]]
    assert same_work(rig, 200, 1) == {"asked": 200, "differences": 0, "before": None}


def test_a_difference_in_the_first_round_only_passes_and_is_reported(
    rig: Rig, found: list[list[Difference]]
) -> None:
    found += [[LATE], []]
    passed = same_work(rig, 200, 1)
    text = about({"machine": MACHINE}, {**NOTES, "gate": passed})
    assert "200 requests, in the second round" in text
    assert f"at step 42: the monolith answers {LATE.a}; the microservices answer {LATE.b}" in text


def test_a_difference_in_two_rounds_is_refused_with_its_place(
    rig: Rig, found: list[list[Difference]]
) -> None:
    found += [[LATE], [LATE, OTHER]]
    with pytest.raises(
        GateError, match=r"answers in two rounds, .*2 differences in 200 requests.* at step 42"
    ):
        same_work(rig, 200, 1)


def test_another_difference_in_the_second_round_is_refused_too(
    rig: Rig, found: list[list[Difference]]
) -> None:
    found += [[LATE], [OTHER]]
    with pytest.raises(GateError, match="at step 7"):
        same_work(rig, 200, 1)


def test_an_external_shop_keeps_its_data_so_it_is_asked_once(
    rig: Rig, found: list[list[Difference]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExternalTarget, "open", lambda *_: NoShop())
    kept = Rig(rig.home, {**FRESH, "monolith": ExternalTarget("monolith", NoShop.url)}, rig.slices)
    found += [[LATE]]
    with pytest.raises(
        GateError, match=r"give different answers, so they are not compared.*seed both afresh"
    ):
        same_work(kept, 200, 1)


def test_a_shop_that_keeps_its_data_gets_another_script_in_each_run(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows the customers of the last script, so their ids would differ."""
    seeds: list[int] = []

    def run(_a: str, _b: str, seed: int, requests: int, *, odd: bool) -> ParityResult:
        seeds.append(seed)
        return ParityResult(requests, [])

    monkeypatch.setattr(parity, "run_parity", run)
    monkeypatch.setattr(ExternalTarget, "open", lambda *_: NoShop())
    kept = Rig(rig.home, {**FRESH, "monolith": ExternalTarget("monolith", NoShop.url)}, rig.slices)
    for each in (rig, rig, kept, kept):
        same_work(each, 200, 1)
    assert seeds[:2] == [1, 1]
    assert len({*seeds}) == 3
