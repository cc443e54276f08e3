"""Simulated trials with a known truth: the lab must find it 19 times in 20, as its 95 % intervals promise.

This half runs in this process, in seconds. What is easy to get wrong: a 95 % interval misses the truth once in twenty
by design. So each check is tried many times, and 19 of 20 is required less three standard errors of so many tries. A
lab that never missed would have intervals too wide to find anything.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from loadtests.analysis.change import change, significant
from loadtests.analysis.raw import RawTrial
from loadtests.analysis.results import analyse
from loadtests.analysis.scaling import Fit, Law, fit
from loadtests.analysis.stats import Verdict
from loadtests.planning.capacity import Bracket, Probe, Search
from loadtests.selftest import simulated
from loadtests.selftest.checks import Check

TRIES = 400
MIN_TRIES = 40
SHARE = 0.95
SLOWER = 1.25
MAX_SECONDS = 4.0  # for each of the six checks
TRIAL_NOISE = 0.03
"""Standard deviation of a simulated trial's logarithm."""
LAW = Law(100.0, 0.05, 0.01)
MACHINE: dict[str, Any] = {"slice_backend": "cgroup2"}


def hit_rates(seed: int = 1, tries: int = TRIES) -> Iterator[Check]:
    """The checks that a known truth is found. Each makes at most `tries` tries, in at most MAX_SECONDS."""
    for name, because, hits in (
        ("A shop against itself has no winner", "The two simulated shops are the same.", _same),
        (
            f"A shop {SLOWER - 1:.0%} slower is found, and the interval contains {SLOWER}",
            "All latencies of one simulated shop are multiplied.",
            _slower,
        ),
        ("Two runs of one shop: nothing changed", "Twenty numbers that did not change.", _unchanged),
        (
            "Contention lies in its interval",
            f"Five repeats of 1, 2, 4 and 8 simulated replicas with contention {LAW.alpha:g}.",
            lambda rng: _fitted(rng).alpha.covers(LAW.alpha),
        ),
        (
            "Coherency lies in its interval",
            f"Five repeats of 1, 2, 4 and 8 simulated replicas with coherency {LAW.beta:g}.",
            lambda rng: _fitted(rng).beta.covers(LAW.beta),
        ),
        (
            "The search brackets the capacity",
            f"Simulated shops whose capacity differs by {TRIAL_NOISE:.0%} from trial to trial.",
            _bracketed,
        ),
    ):
        yield _repeated(name, because, hits, seed, tries)


def min_hits(tries: int) -> int:
    """How many of so many tries must hit: 95 % of them, less three standard errors of a binomial share."""
    return math.floor(tries * SHARE - 3 * math.sqrt(tries * SHARE * (1 - SHARE)))


def verdict_of(trials: Iterable[RawTrial]) -> dict[str, Any]:
    """The verdict that the lab gives on simulated trials."""
    results = analyse(MACHINE, [simulated.experiment()], trials)
    return dict(results["experiments"][0]["verdicts"][0])


def _repeated(name: str, because: str, hits: Callable[[random.Random], bool], seed: int, tries: int) -> Check:
    """Try again and again with new random numbers while there is time."""
    until, count, done = time.monotonic() + MAX_SECONDS, 0, 0
    while done < tries and (done < MIN_TRIES or time.monotonic() < until):
        count += hits(random.Random(f"{seed}:{name}:{done}"))
        done += 1
    required = min_hits(done)
    return Check(
        name,
        f"{count} of {done}",
        count >= required,
        f"{because} Required: 19 of 20, so at least {required} of {done}.",
    )


def _same(rng: random.Random) -> bool:
    return bool(verdict_of(simulated.repeats(rng))["verdict"] == Verdict.NO_WINNER)


def _slower(rng: random.Random) -> bool:
    verdict = verdict_of(simulated.repeats(rng, SLOWER))
    return bool(verdict["verdict"] == Verdict.SUPPORTED and verdict["low"] <= SLOWER <= verdict["high"])


def _unchanged(rng: random.Random) -> bool:
    runs = [[[math.exp(rng.gauss(0, 0.1)) for _ in range(5)] for _ in range(20)] for _ in range(2)]
    changes = [change(before, after).p_value for before, after in zip(*runs, strict=True)]
    return not any(significant(changes))


def _fitted(rng: random.Random) -> Fit:
    measured = {
        size: [LAW.capacity(size) * math.exp(rng.gauss(0, TRIAL_NOISE)) for _ in range(5)]
        for size in (1, 2, 4, 8)
    }
    return fit(measured, seed=rng.randrange(1000))


def _bracketed(rng: random.Random) -> bool:
    """Whether the bracket contains the capacity, give or take the noise of one trial."""
    capacity, history = math.exp(rng.uniform(math.log(2), math.log(2000))), list[Probe]()
    search = Search(start=rng.choice([5.0, 50.0, 500.0]))
    for _ in range(search.max_trials + 1):
        step = search.next_rate(history)
        if isinstance(step, Bracket):
            high = step.high or math.inf
            return step.low / (1 + TRIAL_NOISE) <= capacity <= high * (1 + TRIAL_NOISE)
        history.append(Probe(step, step <= capacity * math.exp(rng.gauss(0, TRIAL_NOISE))))
    return False
