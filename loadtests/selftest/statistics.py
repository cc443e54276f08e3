"""The lab proves itself: what was put in must come out, and what must not be trusted must be refused in words.

The statistical half of the proof, in this process and on simulated trials, in seconds. What is easy to get wrong: a
95 % interval misses once in twenty by design, so "19 of 20" is asked of many tries, less three standard errors of so
many; a lab that never missed would be too careful to find anything.
"""

import math
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, JustifyMethod, RenderableType
from rich.text import Text

from loadtests.analysis.change import change, significant
from loadtests.analysis.measure import measure
from loadtests.analysis.raw import RawTrial
from loadtests.analysis.records import GENERATOR, MACHINE_BUSY, MACHINE_STOLEN
from loadtests.analysis.results import analyse, is_valid
from loadtests.analysis.scaling import Fit, Law, fit
from loadtests.analysis.stats import Verdict
from loadtests.planning.capacity import Bracket, Probe, Search
from loadtests.report.terminal import column_widths, indented, line
from loadtests.selftest import simulated

TRIES = 400
FEWEST_TRIES = 40
SHARE = 0.95
SLOWER = 1.25
MAX_SECONDS = 4.0  # for each check that tries many times; six of them
MOODS = 0.03
LAW = Law(100.0, 0.05, 0.01)
HEADS = ("found", "")
ALIGNED: tuple[JustifyMethod, ...] = ("right", "left")
MACHINE: dict[str, Any] = {"slice_backend": "cgroup2"}


@dataclass(frozen=True)
class Check:
    """One thing that the lab must do, what it did, and whether that is enough."""

    name: str
    found: str
    passed: bool
    because: str


def selftest(seed: int = 1, tries: int = TRIES) -> Iterator[Check]:
    """All checks, one after the other."""
    yield from chances(seed, tries)
    yield from refusals(seed)


def chances(seed: int, tries: int) -> Iterator[Check]:
    """What was put in must come out, nineteen times in twenty."""
    for name, because, hits in (
        ("A shop against itself has no winner", "Two simulated shops are the same one.", _same),
        (
            f"A shop {SLOWER - 1:.0%} slower is found, and the interval holds {SLOWER}",
            "All latencies of one simulated shop are stretched.",
            _slower,
        ),
        ("Two runs of one shop: nothing changed", "Twenty numbers that did not change.", _unchanged),
        (
            "Contention lies in its interval",
            f"Five repeats of 1, 2, 4 and 8 replicas with contention {LAW.alpha:g} put in.",
            lambda rng: _fitted(rng).alpha.covers(LAW.alpha),
        ),
        (
            "Coherency lies in its interval",
            f"Five repeats of 1, 2, 4 and 8 replicas with coherency {LAW.beta:g} put in.",
            lambda rng: _fitted(rng).beta.covers(LAW.beta),
        ),
        (
            "The search for capacity brackets it",
            f"Simulated shops whose capacity differs by {MOODS:.0%} from trial to trial.",
            _bracketed,
        ),
    ):
        yield _often(name, because, hits, seed, tries)


def refusals(seed: int) -> Iterator[Check]:
    """What must not be trusted must be refused, in the right words."""
    yield from (_void(name, words, spoilt) for name, words, spoilt in _spoilt(random.Random(seed)))
    yield _parity()


def terminal(checks: Sequence[Check]) -> Group:
    """For the terminal: one line for each check, and below it what it means."""
    answers = ["\N{CHECK MARK} passed" if each.passed else "\N{BALLOT X} failed" for each in checks]
    spaces = column_widths(
        [*zip(HEADS, *zip([each.found for each in checks], answers, strict=True), strict=True)]
    )
    shown: list[RenderableType] = []
    heads = [Text("The lab's test of itself", "bold"), *(Text(head, "dim") for head in HEADS)]
    shown.append(line(heads, spaces, ALIGNED))
    for check, answer in zip(checks, answers, strict=True):
        style = "green" if check.passed else "bold red"
        shown += [
            line([Text(check.name), check.found, Text(answer, style)], spaces, ALIGNED),
            indented(Text(check.because, "dim")),
        ]
    failed = sum(not each.passed for each in checks)
    verdict = f"{failed} of {len(checks)} checks failed." if failed else f"All {len(checks)} checks passed."
    return Group(*shown, "", Text(verdict, "bold red" if failed else "bold"))


def least_of(tries: int) -> int:
    """How often something that holds 19 times in 20 must have held in so many tries, short of bad luck."""
    return math.floor(tries * SHARE - 3 * math.sqrt(tries * SHARE * (1 - SHARE)))


def _often(name: str, because: str, holds: Callable[[random.Random], bool], seed: int, tries: int) -> Check:
    """Try often, with fresh luck each time, for as long as there is time."""
    until, hits, done = time.monotonic() + MAX_SECONDS, 0, 0
    while done < tries and (done < FEWEST_TRIES or time.monotonic() < until):
        hits += holds(random.Random(f"{seed}:{name}:{done}"))
        done += 1
    wanted = least_of(done)
    return Check(
        name,
        f"{hits} of {done}",
        hits >= wanted,
        f"{because} Wanted: 19 of 20, so at least {wanted} of {done}.",
    )


def _verdict(trials: Iterable[RawTrial]) -> dict[str, Any]:
    results = analyse(MACHINE, [simulated.experiment()], trials)
    return dict(results["experiments"][0]["verdicts"][0])


def _same(rng: random.Random) -> bool:
    return bool(_verdict(simulated.repeats(rng))["verdict"] == Verdict.NO_WINNER)


def _slower(rng: random.Random) -> bool:
    verdict = _verdict(simulated.repeats(rng, SLOWER))
    return bool(verdict["verdict"] == Verdict.SUPPORTED and verdict["low"] <= SLOWER <= verdict["high"])


def _unchanged(rng: random.Random) -> bool:
    runs = [[[math.exp(rng.gauss(0, 0.1)) for _ in range(5)] for _ in range(20)] for _ in range(2)]
    changes = [change(before, after).p_value for before, after in zip(*runs, strict=True)]
    return not any(significant(changes))


def _fitted(rng: random.Random) -> Fit:
    measured = {
        size: [LAW.capacity(size) * math.exp(rng.gauss(0, MOODS)) for _ in range(5)] for size in (1, 2, 4, 8)
    }
    return fit(measured, seed=rng.randrange(1000))


def _bracketed(rng: random.Random) -> bool:
    """Whether the bracket holds the capacity, give or take one trial's mood."""
    capacity, history = math.exp(rng.uniform(math.log(2), math.log(2000))), list[Probe]()
    search = Search(start=rng.choice([5.0, 50.0, 500.0]))
    for _ in range(search.max_trials + 1):
        step = search.next_rate(history)
        if isinstance(step, Bracket):
            high = step.high or math.inf
            return step.low / (1 + MOODS) <= capacity <= high * (1 + MOODS)
        history.append(Probe(step, step <= capacity * math.exp(rng.gauss(0, MOODS))))
    return False


def _spoilt(rng: random.Random) -> Iterator[tuple[str, str, Callable[[RawTrial], RawTrial]]]:
    """Ways to spoil a good trial: what happened, the words that must say so, and how to do it."""
    split = simulated.REPLICAS["microservices"]
    hidden = rng.uniform(0.1, 0.3)
    yield (
        "A generator starved of CPU",
        r"the generator was \d+ ms late \(p99\): it had too little CPU",
        lambda raw: simulated.late(raw, hidden),
    )
    yield (
        "A generator that was the slow one",
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
        "A shop that fell behind",
        r"only 9\d\.\d% of all requests succeeded",
        lambda raw: simulated.unanswered(raw, 0.05),
    )
    yield (
        "A shop that was still warming up",
        r"it was still warming up: the first half took \d\.\d times as long as the second",
        lambda raw: simulated.cold(raw, 4),
    )
    yield (
        "A machine whose CPU others took",
        r"the hypervisor took 0\.40 cores away",
        lambda raw: simulated.using(raw, MACHINE_STOLEN, 0.4),
    )
    yield (
        "A machine that was full",
        r"the whole machine was busy \(1\.99 of 2 cores\)",
        lambda raw: simulated.using(raw, MACHINE_BUSY, 1.99),
    )


def _void(name: str, words: str, spoil: Callable[[RawTrial], RawTrial]) -> Check:
    """The spoilt trial must be void for this reason alone; with nothing else left, there is no verdict."""
    good = simulated.repeats(random.Random(name))
    trials = [spoil(raw) if raw.facts["system"] == "microservices" else raw for raw in good]
    doubts = [doubt for result in measure(trials[1]) for doubt in result.doubts]
    right = len(doubts) == 1 and re.fullmatch(words, doubts[0]) is not None
    passed = (
        right
        and all(map(is_valid, good))
        and not is_valid(trials[1])
        and _verdict(trials)["verdict"] == Verdict.INCONCLUSIVE
    )
    return Check(name, "void" if doubts else "trusted", passed, "; ".join(doubts) or "Nothing was said.")


def _parity() -> Check:
    """Shops that answer differently must not be compared, and the difference must be in the refusal."""
    from loadtests.contract.parity import Difference, ParityResult
    from loadtests.running.gate import refusal

    broken = Difference(17, "curl -X GET /api/cart", 'body.total "12.00"', 'body.total "12.01"')
    said = refusal(ParityResult(200, [broken])) or ""
    parts = (
        "give different answers",
        "1 difference in 200 requests",
        "step 17",
        broken.a,
        broken.b,
        broken.request,
    )
    passed = all(part in said for part in parts) and refusal(ParityResult(200, [])) is None
    return Check(
        "Shops that do not answer alike",
        "refused" if said else "trusted",
        passed,
        said or "Nothing was said.",
    )
