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
from loadtests.analysis.numbers import Number
from loadtests.analysis.raw import RawTrial
from loadtests.analysis.results import analyse
from loadtests.analysis.scaling import Fit, Law, SuperlinearError, fit
from loadtests.analysis.stats import Verdict, interval, judge_direction, ratio_of_numbers
from loadtests.planning.capacity import Bracket, Probe, Search, shifted_start
from loadtests.selftest import simulated
from loadtests.selftest.checks import Check

TRIES = 400
MIN_TRIES = 40
SHARE = 0.95
SLOWER = 1.25
REPEATS = 8
"""As in `scale-hot`: with this noise, five would find a difference of 25 % in four of five runs only."""
MAX_SECONDS = 3.0  # for each check
SMALL, SMALL_NOISE = 1.04, 0.015
"""A difference that is too small to count, and the standard deviation of the logarithm of one repeat."""
TAIL = 3.0
IN_TIME = 0.6
LUCK = 0.1
"""The share of buyers in time differs from trial to trial by at most this much."""
CUT = 0.1
"""Share of the requests that are cut off: the p95 lies among them."""
CLOSE = 1.015
"""A ratio of two capacities that is smaller than a step of the search."""
SEARCH_NOISE = 0.01
TRIAL_NOISE = 0.03
"""Standard deviation of a simulated trial's logarithm."""
LAW = Law(100.0, 0.05, 0.01)
BEYOND = Law(100.0, -0.02, 0.0)
"""A negative contention: eight replicas do more than eight times the work of one."""
MACHINE: dict[str, Any] = {"slice_backend": "cgroup2"}


def hit_rates(seed: int = 1, tries: int = TRIES, only: str = "") -> Iterator[Check]:
    """The checks that a known truth is found. Each makes at most `tries` tries, in at most MAX_SECONDS.

    With `only`, those whose name begins so.
    """
    for name, because, hits in (
        ("A shop against itself has no winner", "The two simulated shops are the same.", _same),
        (
            f"A shop {SLOWER - 1:.0%} slower is found, and the interval contains {SLOWER}",
            f"All latencies of one simulated shop are multiplied, in {REPEATS} repeats.",
            _slower,
        ),
        (
            f"A shop {SMALL - 1:.0%} slower is not called slower",
            "Five repeats that agree within a few per cent, of a difference that is too small to count.",
            _not_called,
        ),
        (
            "A bar that lies on the truth is not called kept",
            f"One simulated shop is {SLOWER} times as slow, which is exactly what was promised.",
            lambda rng: _verdict(simulated.repeats(rng, SLOWER), "Promise") != Verdict.SUPPORTED,
        ),
        (
            "Requests that are cut off make no tail longer than it is",
            f"The end cuts off {CUT:.0%} of the requests of a shop that is {TAIL:g} times as slow.",
            _cut_off,
        ),
        (
            "Buyers who never get to the checkout count",
            f"In trials that differ, {IN_TIME:.0%} of the buyers are served in time; others are never started.",
            _buyers,
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
            "Replicas that do more than they should have no law",
            f"Five repeats of 1, 2, 4 and 8 simulated replicas with contention {BEYOND.alpha:g}.",
            _refused,
        ),
        (
            "The search brackets the capacity",
            f"Simulated shops whose capacity differs by {TRIAL_NOISE:.0%} from trial to trial.",
            _bracketed,
        ),
        (
            f"A ratio of capacities of {CLOSE} lies in its interval",
            "Four repeats of two searches whose last step is wider than the difference.",
            _close,
        ),
    ):
        if name.startswith(only):
            yield _repeated(name, because, hits, seed, tries)


def min_hits(tries: int) -> int:
    """How many of so many tries must hit: 95 % of them, less three standard errors of a binomial share."""
    return math.floor(tries * SHARE - 3 * math.sqrt(tries * SHARE * (1 - SHARE)))


def verdict_of(trials: Iterable[RawTrial], claim: str = "Latency") -> dict[str, Any]:
    """The entry of `verdicts` that the lab makes of simulated trials, for the claim of that name."""
    results = analyse(MACHINE, [simulated.experiment()], trials)
    return next(dict(each) for each in results["experiments"][0]["verdicts"] if each["claim"] == claim)


def _verdict(trials: Iterable[RawTrial], claim: str = "Latency") -> Verdict:
    return Verdict(verdict_of(trials, claim)["verdict"])


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
    verdict = verdict_of(simulated.repeats(rng, SLOWER, REPEATS))
    return bool(verdict["verdict"] == Verdict.SUPPORTED and verdict["low"] <= SLOWER <= verdict["high"])


def _not_called(rng: random.Random) -> bool:
    numbers = [SMALL * math.exp(rng.gauss(0, SMALL_NOISE)) for _ in range(5)]
    return judge_direction(interval(numbers), claims_more=True) is not Verdict.SUPPORTED


def _cut_off(rng: random.Random) -> bool:
    """Whether the bound is one, and leaves room for the truth."""
    trials = [
        simulated.cut_off(raw, rng, CUT) if raw.facts["system"] == "microservices" else raw
        for raw in simulated.repeats(rng, TAIL)
    ]
    tail = verdict_of(trials, "Tail")
    return bool(tail["bound"] == "at least" and tail["low"] <= TAIL and tail["high"] is None)


def _buyers(rng: random.Random) -> bool:
    trials = [
        simulated.with_buyers(raw, rng, IN_TIME + rng.uniform(-LUCK, LUCK))
        for raw in simulated.repeats(rng, count=REPEATS)
    ]
    found = verdict_of(trials, "Buyers")
    return bool(found["low"] <= IN_TIME <= found["high"])


def _unchanged(rng: random.Random) -> bool:
    runs = [[[math.exp(rng.gauss(0, 0.1)) for _ in range(5)] for _ in range(20)] for _ in range(2)]
    changes = [change(before, after).p_value for before, after in zip(*runs, strict=True)]
    return not any(significant(changes))


def _fitted(rng: random.Random, law: Law = LAW) -> Fit:
    measured = {
        size: [law.capacity(size) * math.exp(rng.gauss(0, TRIAL_NOISE)) for _ in range(5)]
        for size in (1, 2, 4, 8)
    }
    return fit(measured, seed=rng.randrange(1000))


def _refused(rng: random.Random) -> bool:
    try:
        _fitted(rng, BEYOND)
    except SuperlinearError:
        return True
    return False


def _bracketed(rng: random.Random) -> bool:
    """Whether the bracket contains the capacity, give or take the noise of one trial."""
    capacity = math.exp(rng.uniform(math.log(2), math.log(2000)))
    found = _searched(Search(start=rng.choice([5.0, 50.0, 500.0])), capacity, TRIAL_NOISE, rng)
    high = found.high or math.inf
    return found.low / (1 + TRIAL_NOISE) <= capacity <= high * (1 + TRIAL_NOISE)


def _close(rng: random.Random) -> bool:
    capacity, pairs = rng.uniform(30, 60), list[tuple[Number, Number]]()
    for repeat in range(4):
        found = []
        for system, times in (("a", CLOSE), ("b", 1.0)):
            start = shifted_start(24.0, 1.0, 2000.0, f"{rng.random()}:{system}:{repeat}")
            bracket = _searched(Search(start, width=0.15), capacity * times, SEARCH_NOISE, rng)
            found.append(Number.between(bracket.low, bracket.high or math.inf))
        pairs.append((found[0], found[1]))
    return ratio_of_numbers(pairs).covers(CLOSE)


def _searched(search: Search, capacity: float, noise: float, rng: random.Random) -> Bracket:
    """The bracket that a search finds around the capacity of a simulated shop with this noise between trials."""
    history = list[Probe]()
    while not isinstance(step := search.next_rate(history), Bracket):
        history.append(Probe(step, step <= capacity * math.exp(rng.gauss(0, noise))))
    return step
