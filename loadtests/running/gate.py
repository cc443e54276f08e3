"""Same work first: both shops answer one seeded script alike on fresh processes and data, or no number is taken.

A difference counts when it comes again. The script holds a payment card that is silent for half of a checkout's time,
so a machine that is busy elsewhere can make a shop give up earlier than it would; a shop that does other work does it
each time.
"""

from contextlib import AbstractContextManager, ExitStack
from textwrap import shorten
from typing import TYPE_CHECKING, TypedDict

from loadtests.planning.trials import Trial
from loadtests.rig.targets import KINDS, Shop
from loadtests.rig.trial import Bench

if TYPE_CHECKING:
    from loadtests.contract.parity import Difference, ParityResult


class GateError(Exception):
    """The shops do different work; the sentence says where."""


class Passed(TypedDict):
    """What a run keeps of the gate."""

    asked: int
    differences: int
    """0 at the last asking."""
    before: str | None
    """Where the shops differed when they were asked first; None when they did not."""


def same_work(bench: Bench, requests: int, seed: int) -> Passed:
    """Ask both shops the same, and ask fresh ones again where they differ; GateError when they still do."""
    first = _ask(bench, requests, seed)
    if not first.differences:
        return Passed(asked=first.asked, differences=0, before=None)
    fresh = all(target.ours for target in bench.targets.values())
    last = _ask(bench, requests, seed) if fresh else first
    if said := refusal(last, askings=2 if fresh else 1):
        raise GateError(said)
    return Passed(asked=last.asked, differences=0, before=_place(first.differences[0]))


def refusal(result: "ParityResult", askings: int = 1) -> str | None:
    """Why shops that answered so are not compared; None when they answered alike."""
    if not result.differences:
        return None
    count, first = len(result.differences), result.differences[0]
    again = ", asked twice," if askings > 1 else ","
    return (
        f"The shops do not answer alike{again} so they are not compared ({count} difference{'s' if count > 1 else ''}"
        f" in {result.asked} requests). First, {_place(first)}"
    )


def _place(difference: "Difference") -> str:
    return (
        f"at step {difference.step}: the monolith answers {difference.a}; the microservices answer {difference.b}. "
        f"The request: {shorten(difference.request, 300)}"
    )


def _ask(bench: Bench, requests: int, seed: int) -> "ParityResult":
    from loadtests.contract.parity import (
        run_parity,
    )  # the only part that needs it, and it loads a second HTTP client

    with ExitStack() as shops:
        urls = []
        for kind in KINDS:
            trial = Trial(kind, {}, kind, repeat=0)
            opened: AbstractContextManager[Shop] = bench.targets[kind].open(trial, bench.home, lambda _: None)
            urls.append(shops.enter_context(opened).url)
        return run_parity(urls[0], urls[1], seed, requests)
