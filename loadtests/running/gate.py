"""The same-work gate: both shops must give the same answers to one seeded script before anything is measured.

They are asked on fresh processes and fresh data. Only a difference in two rounds counts. The script contains a
payment card that does not answer for half of a checkout's time, so on a busy machine a shop can give up too early in
one round. A shop that does different work does it in every round.
"""

import secrets
from contextlib import AbstractContextManager, ExitStack
from textwrap import shorten
from typing import TYPE_CHECKING, TypedDict

from loadtests.planning.trials import Trial
from loadtests.rig.managed import ManagedTarget
from loadtests.rig.shop import Shop
from loadtests.rig.targets import KINDS
from loadtests.rig.trial import Rig

if TYPE_CHECKING:
    from loadtests.contract.parity import Difference, ParityResult


MAX_SEED = 10**9
KEPT = "Each shop keeps the data of earlier runs, and it may be this that differs: seed both afresh, then run again."


class GateError(Exception):
    """The shops do different work; the message says where they differ."""


class GateResult(TypedDict):
    """The `gate` object of run.json."""

    asked: int
    """Requests in a round."""
    differences: int
    """In the last round; always 0, because other runs end here."""
    before: str | None
    """The first difference of an earlier round; None when the first round had none."""


def same_work(rig: Rig, requests: int, seed: int) -> GateResult:
    """Send both shops the same script, and a second time to fresh shops if they differ.

    Raises GateError when they differ in both rounds. Shops that keep their data get one round only, and another script
    in each run: they know the customers of the last one.
    """
    fresh = all(target.managed for target in rig.targets.values())
    first = _round(rig, requests, seed if fresh else secrets.randbelow(MAX_SEED))
    if not first.differences:
        return GateResult(asked=first.asked, differences=0, before=None)
    last = _round(rig, requests, seed) if fresh else first
    if reason := refusal(last, rounds=2 if fresh else 1):
        raise GateError(reason if fresh else f"{reason} {KEPT}")
    return GateResult(asked=last.asked, differences=0, before=_described(first.differences[0]))


def refusal(result: "ParityResult", rounds: int = 1) -> str | None:
    """Why the shops are not compared, from their last round; None when all answers were the same."""
    if not result.differences:
        return None
    count, first = len(result.differences), result.differences[0]
    again = " in two rounds," if rounds > 1 else ","
    return (
        f"The shops give different answers{again} so they are not compared ({count} difference"
        f"{'s' if count > 1 else ''} in {result.asked} requests). The first is {_described(first)}"
    )


def _described(difference: "Difference") -> str:
    return (
        f"at step {difference.step}: the monolith answers {difference.a}; the microservices answer {difference.b}. "
        f"The request: {shorten(difference.request, 300)}"
    )


def _round(rig: Rig, requests: int, seed: int) -> "ParityResult":
    # Only the gate needs this, and it loads a second HTTP client.
    from loadtests.contract.parity import run_parity

    with ExitStack() as shops:
        urls = []
        for kind in KINDS:
            trial = Trial(kind, {}, kind, repeat=0)
            opened: AbstractContextManager[Shop] = rig.targets[kind].open(trial, rig.home, lambda _: None)
            urls.append(shops.enter_context(opened).url)
        # The lab sends proper requests only. How a gateway refuses others is promised by this project's own.
        own = all(
            isinstance(target, ManagedTarget) and target.workspace is None for target in rig.targets.values()
        )
        return run_parity(urls[0], urls[1], seed, requests, odd=own)
