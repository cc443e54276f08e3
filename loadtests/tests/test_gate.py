"""The same-work gate: a difference counts when it comes again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

from loadtests.contract import parity
from loadtests.contract.parity import Difference, ParityResult
from loadtests.experiments.kinds import Kind
from loadtests.report.page import about
from loadtests.rig import slices
from loadtests.rig.targets import KINDS, Running, Started, Target
from loadtests.rig.trial import Bench
from loadtests.running.gate import GateError, same_work
from loadtests.tests.made_up import MACHINE, NOTES
from microservices.launcher import MONOLITH

LATE = Difference(
    42, "curl -X POST /api/orders", "body.type 'payment-timed-out'", "body.type 'upstream-timeout'"
)
OTHER = Difference(7, "curl /api/products", "status: 200", "status: 404")
FRESH: Mapping[Kind, Target] = {kind: Started(kind, MONOLITH) for kind in KINDS}


class Nothing:
    """A shop that need not run, because nobody is going to ask it."""

    url = "http://127.0.0.1:9"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    monkeypatch.setattr(Started, "open", lambda *_: Nothing())
    return Bench(tmp_path, FRESH, slices.NoSlices())


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[list[Difference]]:
    """What the shops differ in at each asking, to be filled in; an asking takes the next of them."""
    askings: list[list[Difference]] = []
    monkeypatch.setattr(
        parity, "run_parity", lambda _a, _b, _seed, requests: ParityResult(requests, askings.pop(0))
    )
    return askings


def test_shops_that_answer_alike_are_asked_once(bench: Bench, found: list[list[Difference]]) -> None:
    found += [[]]
    assert same_work(bench, 200, 1) == {"asked": 200, "differences": 0, "before": None}


def test_a_difference_that_does_not_come_again_lets_them_pass_and_is_told(
    bench: Bench, found: list[list[Difference]]
) -> None:
    found += [[LATE], []]
    passed = same_work(bench, 200, 1)
    said = about({"machine": MACHINE}, {**NOTES, "gate": passed})
    assert "200 requests alike, at the second asking" in said
    assert f"at step 42: the monolith answers {LATE.a}; the microservices answer {LATE.b}" in said


def test_a_difference_that_comes_again_is_refused_with_its_place(
    bench: Bench, found: list[list[Difference]]
) -> None:
    found += [[LATE], [LATE, OTHER]]
    with pytest.raises(GateError, match=r"alike, asked twice, .*2 differences in 200 requests.* at step 42"):
        same_work(bench, 200, 1)


def test_another_difference_at_the_second_asking_is_refused_too(
    bench: Bench, found: list[list[Difference]]
) -> None:
    found += [[LATE], [OTHER]]
    with pytest.raises(GateError, match="at step 7"):
        same_work(bench, 200, 1)


def test_a_shop_that_keeps_what_it_was_told_is_asked_once(
    bench: Bench, found: list[list[Difference]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Running, "open", lambda *_: Nothing())
    kept = Bench(bench.home, {**FRESH, "monolith": Running("monolith", Nothing.url)}, bench.slices)
    found += [[LATE]]
    with pytest.raises(GateError, match="do not answer alike, so they are not compared"):
        same_work(kept, 200, 1)
