"""Remarks on a phase of a trial: what the shop did that a reader has to know. Pure.

The phase counts all the same. A shop that fails, dies or gets faster while it is measured did so itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from scipy.stats import mannwhitneyu

from loadtests.analysis.raw import RawTrial, Request, cpu_known, service_of
from loadtests.analysis.summaries import percentile
from loadtests.analysis.trends import growing
from loadtests.analysis.validity import MAX_OTHERS, left_unused, machine_full, others_cores

MIN_ACHIEVED = 0.99
MIN_REQUESTS_TO_JUDGE_WARM_UP = 60
WARM_FACTOR = 1.25
WARM_CHANCE = 0.01
MAX_UNKNOWN_CPU = 0.1
"""The width of the range in which the CPU lies, as a share of the value."""


def remarks(
    trial: RawTrial, turns: Sequence[int], requests: Sequence[Request], cores: Mapping[str, float]
) -> Iterable[str]:
    """The remarks as sentences without a full stop, for the phase that consists of `turns`.

    In an overload, unserved requests are no surprise.
    """
    phase = trial.merged(turns)
    if trial.facts["died"]:
        yield f"a process ended during the trial: {', '.join(trial.facts['died'])}"
    if machine_full(trial, cores) and others_cores(trial, cores) <= MAX_OTHERS * trial.facts["cores"]:
        yield "the whole machine was busy, nearly all of it with this shop and its load"
    for name in trial.replicas:
        service = service_of(name)
        if service in phase.saturates and left_unused(trial, name, turns):
            yield f"{name} left a part of its slice of {phase.cores_of(service):g} unused"
    yield from _unknown_cpu(trial, turns)
    yield from growing(trial, turns)
    if not phase.overload and requests:
        yield from _failures(requests)
        yield from _warming_up(requests)


def _unknown_cpu(trial: RawTrial, turns: Sequence[int]) -> Iterable[str]:
    """How far the CPU of pods is known: a kubelet reads it only every ten seconds or so."""
    known = cpu_known(trial, [trial.window(index) for index in turns])
    if known is None:
        yield "its CPU is not known, because a pod was not read after the phase or ended in it"
    elif known[1] - known[0] > MAX_UNKNOWN_CPU:
        yield f"its CPU is known only to between {known[0]:.0%} and {known[1]:.0%} of what is shown"


def _failures(requests: Sequence[Request]) -> Iterable[str]:
    share = sum(request.ok for request in requests) / len(requests)
    if share < MIN_ACHIEVED:
        yield f"only {share:.1%} of all requests succeeded"


def _warming_up(requests: Sequence[Request]) -> Iterable[str]:
    """The warm-up was too short: in a steady phase the first half was slower than the second, by route.

    Judged by the medians, and by a Mann-Whitney test (H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics
    18, 1947), because half of a short phase has few requests.
    """
    waits: dict[str, list[float]] = defaultdict(list)
    started = sorted((r for r in requests if r.start is not None), key=lambda r: r.intended)
    for request in started:
        waits[request.route].append(request.latency_ms)
    if len(started) < MIN_REQUESTS_TO_JUDGE_WARM_UP:
        return
    median = {route: percentile(latencies, 0.5) for route, latencies in waits.items()}
    # Relative to the median of the route; otherwise a half with more requests to slow routes would look cold.
    relative = [request.latency_ms / median[request.route] for request in started]
    first, second = relative[: len(relative) // 2], relative[len(relative) // 2 :]
    times = percentile(first, 0.5) / percentile(second, 0.5)
    if times > WARM_FACTOR and mannwhitneyu(first, second, alternative="greater").pvalue < WARM_CHANCE:
        yield f"it was still warming up: the first half took {times:.1f} times as long as the second"
