"""Simulated trials that must not be trusted, and some that must: each for the right reason, and for no other.

What something outside of the shop did to a trial makes it void. What the shop did itself has to count.
"""

import random
import re
from collections.abc import Callable, Iterator

from loadtests.analysis.measure import measure
from loadtests.analysis.raw import RawTrial
from loadtests.analysis.records import GENERATOR, MACHINE_BUSY, MACHINE_STOLEN
from loadtests.analysis.results import analyse, is_valid
from loadtests.analysis.stats import Verdict
from loadtests.contract.parity import Difference, ParityResult
from loadtests.report.charts import draw
from loadtests.report.estimates import AT_LEAST
from loadtests.report.ledger import ledger
from loadtests.rig.slices.cgroups import quota
from loadtests.running import gate
from loadtests.selftest import simulated
from loadtests.selftest.checks import Check
from loadtests.selftest.statistics import verdict_of

SMALL_SLICE = 0.03
Disturb = Callable[[RawTrial], RawTrial]
"""Makes a disturbed trial of a good one."""


def refusals(seed: int) -> Iterator[Check]:
    """The checks that disturbed trials are void, that a shop's own failures are not, and what else must be told."""
    yield from (_void(name, reason, disturb) for name, reason, disturb in _disturbances(random.Random(seed)))
    yield from (_counts(name, remark, did) for name, remark, did in _deeds())
    yield _bound(random.Random(seed))
    yield _small_slice()
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
        "A machine whose CPU a hypervisor took",
        r"the hypervisor took 0\.40 cores away",
        lambda raw: simulated.using(raw, MACHINE_STOLEN, 0.4),
    )
    yield (
        "A machine that was fully busy",
        r"the whole machine was busy, 1\.67 of its 2 cores with other programs",
        lambda raw: simulated.using(raw, MACHINE_BUSY, 1.99),
    )


def _deeds() -> Iterator[tuple[str, str, Disturb]]:
    """What the shop did, the remark that must be made (a regular expression), and how to simulate it."""
    split = simulated.REPLICAS["microservices"]
    yield (
        "A replica that died counts",
        rf"a process ended during the trial: {split}: SIGKILL",
        lambda raw: simulated.with_facts(raw, died=[f"{split}: SIGKILL"]),
    )
    yield (
        "A shop that did not keep up counts",
        r"only 9\d\.\d% of all requests succeeded",
        lambda raw: simulated.unanswered(raw, 0.05),
    )
    yield (
        "A shop that was still warming up counts",
        r"it was still warming up: the first half took \d\.\d times as long as the second",
        lambda raw: simulated.cold(raw, 1.9),
    )


def _counts(name: str, remark: str, did: Disturb) -> Check:
    """The trials must be valid and judged, with this remark alone: repeating them would select the result."""
    trials = [
        did(raw) if raw.facts["system"] == "microservices" else raw
        for raw in simulated.repeats(random.Random(name))
    ]
    made = measure(trials[1])[0].remarks
    right = len(made) == 1 and re.fullmatch(remark, made[0]) is not None
    passed = right and all(map(is_valid, trials)) and verdict_of(trials)["ratio"] is not None
    return Check(
        name, "counts" if is_valid(trials[1]) else "void", passed, "; ".join(made) or "Nothing was told."
    )


def _bound(rng: random.Random) -> Check:
    """A tail among requests that were cut off must be told as a bound, everywhere, and never as more than is known."""
    trials = [
        simulated.cut_off(raw, rng, 0.3) if raw.facts["system"] == "microservices" else raw
        for raw in simulated.repeats(rng)
    ]
    experiment = simulated.experiment()
    results = analyse({"slice_backend": "cgroup2"}, [experiment], trials)
    row = next(each for each in ledger(results, [experiment]) if each.claim == "Tail")
    chart = draw(experiment.charts[0], experiment, results["experiments"][0]["estimates"])
    told = row.interval.replace(AT_LEAST, "at least")
    passed = (
        row.ratio.startswith(AT_LEAST)
        and row.interval.startswith(AT_LEAST)
        and told in row.statement
        and f"another shop: {AT_LEAST} " in chart
        and f"a shop: {AT_LEAST}" not in chart
    )
    return Check("A bound is told as a bound", row.ratio, passed, row.statement)


def _small_slice() -> Check:
    """A slice below the kernel's smallest quota must be that slice, and not a larger one."""
    microseconds, period = quota(SMALL_SLICE)
    cores = microseconds / period
    because = f"{microseconds} of every {period} microseconds."
    return Check(
        f"A slice of {SMALL_SLICE} cores is one", f"{cores:.3f}", abs(cores - SMALL_SLICE) < 0.001, because
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
