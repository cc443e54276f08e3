"""Simulated trials that must not be trusted: the lab must refuse each for the right reason, and for no other."""

import random
import re
from collections.abc import Callable, Iterator

from loadtests.analysis.measure import measure
from loadtests.analysis.raw import RawTrial
from loadtests.analysis.records import GENERATOR, MACHINE_BUSY, MACHINE_STOLEN
from loadtests.analysis.results import is_valid
from loadtests.analysis.stats import Verdict
from loadtests.contract.parity import Difference, ParityResult
from loadtests.running import gate
from loadtests.selftest import simulated
from loadtests.selftest.checks import Check
from loadtests.selftest.statistics import verdict_of

Disturb = Callable[[RawTrial], RawTrial]
"""Makes a disturbed trial of a good one."""


def refusals(seed: int) -> Iterator[Check]:
    """The checks that disturbed trials are void, and that shops with different answers are not compared."""
    yield from (_void(name, reason, disturb) for name, reason, disturb in _disturbances(random.Random(seed)))
    yield _parity()


def _disturbances(rng: random.Random) -> Iterator[tuple[str, str, Disturb]]:
    """What happened, the reason that must be given (a regular expression), and how to simulate it."""
    split = simulated.REPLICAS["microservices"]
    hidden = rng.uniform(0.1, 0.3)
    yield (
        "A generator with too little CPU",
        r"the generator was \d+ ms late \(p99\): it had too little CPU",
        lambda raw: simulated.late(raw, hidden),
    )
    yield (
        "A generator that was the bottleneck",
        r"the generator used 0\.95 cores and may have been the bottleneck",
        lambda raw: simulated.using(raw, GENERATOR, 0.95),
    )
    yield (
        "A replica that died",
        rf"a process ended during the trial: {split}: SIGKILL",
        lambda raw: simulated.with_facts(raw, died=[f"{split}: SIGKILL"]),
    )
    yield (
        "A slice that was exceeded",
        rf"{split} used 0\.600 cores, more than its slice of 0\.5",
        lambda raw: simulated.using(raw, split, 0.6),
    )
    yield (
        "A slice that was not used up",
        rf"{split} should be saturated, but used 0\.300 cores of its slice of 0\.5",
        lambda raw: simulated.saturating(simulated.using(raw, split, 0.3)),
    )
    yield (
        "A shop that did not keep up",
        r"only 9\d\.\d% of all requests succeeded",
        lambda raw: simulated.unanswered(raw, 0.05),
    )
    yield (
        "A shop that was still warming up",
        r"it was still warming up: the first half took \d\.\d times as long as the second",
        lambda raw: simulated.cold(raw, 4),
    )
    yield (
        "A machine whose CPU a hypervisor took",
        r"the hypervisor took 0\.40 cores away",
        lambda raw: simulated.using(raw, MACHINE_STOLEN, 0.4),
    )
    yield (
        "A machine that was fully busy",
        r"the whole machine was busy \(1\.99 of 2 cores\)",
        lambda raw: simulated.using(raw, MACHINE_BUSY, 1.99),
    )


def _void(name: str, reason: str, disturb: Disturb) -> Check:
    """The disturbed trials must be void for this reason alone. As no other trial is left, there is no verdict."""
    good = simulated.repeats(random.Random(name))
    trials = [disturb(raw) if raw.facts["system"] == "microservices" else raw for raw in good]
    doubts = [doubt for result in measure(trials[1]) for doubt in result.doubts]
    right = len(doubts) == 1 and re.fullmatch(reason, doubts[0]) is not None
    passed = (
        right
        and all(map(is_valid, good))
        and not is_valid(trials[1])
        and verdict_of(trials)["verdict"] == Verdict.INCONCLUSIVE
    )
    return Check(name, "void" if doubts else "trusted", passed, "; ".join(doubts) or "No reason was given.")


def _parity() -> Check:
    """Shops with different answers must not be compared, and the refusal must name the difference."""
    broken = Difference(17, "curl -X GET /api/cart", 'body.total "12.00"', 'body.total "12.01"')
    message = gate.refusal(ParityResult(200, [broken])) or ""
    parts = (
        "give different answers",
        "1 difference in 200 requests",
        "step 17",
        broken.a,
        broken.b,
        broken.request,
    )
    passed = all(part in message for part in parts) and gate.refusal(ParityResult(200, [])) is None
    return Check(
        "Shops with different answers",
        "refused" if message else "trusted",
        passed,
        message or "No reason was given.",
    )
