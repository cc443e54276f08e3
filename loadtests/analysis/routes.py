"""The numbers of a phase's requests, for each route and for all of them together. Pure.

`achieved_rps` has two meanings. Normally it counts the requests of the phase that succeeded. In an overload it counts
the responses during the phase, also those to earlier requests.

What is easy to get wrong: the population of a percentile. Here it is all requests of the phase (docs/decisions/0026). A
request that failed, had no response or could not be started counts as a wait of the whole timeout, and ranks behind all
successful ones. Otherwise a shop that refuses requests, or fails fast, would look faster than one that serves them. A
request that the end of the experiment cut off did not fail: it counts as what it had waited, which is a lower bound.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.analysis.numbers import Number
from loadtests.analysis.raw import Request
from loadtests.analysis.summaries import percentile
from loadtests.experiments.metrics import ALL

SHARES = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}

RouteNumbers = dict[str, Any]
"""The numbers of one route in one phase.

`asked_rps`, `achieved_rps`; the percentiles in ms; numbers of requests: `count` (started), `succeeded`, `in_time` (of
these, within the promised time), `errors`, `cut`, `maybe_in_time` (cut off before the promised time was over),
`not_started`. `highest` has, for each percentile that is a lower
bound, the highest that the true one can be, or None where nothing limits it.
"""


def route_numbers(
    requests: Iterable[Request],
    in_phase: Iterable[tuple[Request, float]],
    seconds: float,
    *,
    timeout_ms: float,
    promise_ms: float,
    overload: bool,
) -> dict[str, RouteNumbers]:
    """The numbers by route, and of all requests under `all`. Whole visits and waits have routes of their own only.

    `requests` are those of the phase. `in_phase` are the requests that the shop worked on during the phase, each with
    the share of its time that lies in the phase (0 to 1).
    """
    by_route: dict[str, list[Request]] = defaultdict(list)
    served: dict[str, float] = defaultdict(float)
    for request in requests:
        by_route[request.route].append(request)
        if request.is_request:
            by_route[ALL].append(request)
    for request, share in in_phase:
        served[request.route] += share * request.ok
        served[ALL] += share * request.ok * request.is_request
    return {
        route: _numbers(of_route, served[route] if overload else None, seconds, timeout_ms, promise_ms)
        for route, of_route in sorted(by_route.items())
    }


def _numbers(
    requests: Sequence[Request], served: float | None, seconds: float, timeout_ms: float, promise_ms: float
) -> RouteNumbers:
    good = [request.latency_ms for request in requests if request.ok]
    cut = [request.latency_ms for request in requests if request.cut]
    started = sum(request.start is not None for request in requests)
    percentiles, highest = _percentiles(good, cut, len(requests), timeout_ms)
    return {
        "asked_rps": round(len(requests) / seconds, 4),
        "achieved_rps": round((len(good) if served is None else served) / seconds, 4),
        "errors": started - len(good) - len(cut),
        **percentiles,
        "count": started,
        "not_started": len(requests) - started,
        "cut": len(cut),
        "succeeded": len(good),
        "in_time": sum(latency <= promise_ms for latency in good),
        "maybe_in_time": sum(latency <= promise_ms for latency in cut),
        "highest": highest,
    }


def _percentiles(
    good: Sequence[float], cut: Sequence[float], count: int, timeout_ms: float
) -> tuple[dict[str, float], dict[str, float | None]]:
    """The percentiles in ms of `count` requests, and the highest values of those that are only lower bounds.

    Those that were cut off count as what they had waited, and at the highest as failures. A failure never ranks before
    a success, also if a success took longer than the timeout.
    """
    longest = max([timeout_ms, *good])
    # Sorted here once: `percentile` sorts again each time, and sorts a sorted list fast.
    lowest = sorted([*good, *cut, *[longest] * (count - len(good) - len(cut))])
    at_most = sorted([*good, *[longest] * (count - len(good))])
    found, highest = {}, dict[str, float | None]()
    for name, share in SHARES.items():
        found[name] = round(percentile(lowest, share), 3)
        if math.ceil(share * (count - 1)) > len(good) - 1:
            highest[name] = None
        elif (most := round(percentile(at_most, share), 3)) > found[name]:
            highest[name] = most
    return found, highest


def succeeded(numbers: Mapping[str, Any]) -> tuple[int, int]:
    """The number of successful requests of a route, and of all its requests."""
    return numbers["succeeded"], numbers["count"] + numbers["not_started"]


def latency(numbers: Mapping[str, Any], metric: str) -> Number:
    """A percentile in ms with its ends."""
    value = float(numbers[metric])
    most = numbers["highest"].get(metric, value)
    return Number(value, value, math.inf if most is None else most)


def bounded(numbers: Mapping[str, Any]) -> list[str]:
    """The names of those percentiles of a route that nothing limits above, because a failed request enters them."""
    return [name for name, most in numbers["highest"].items() if most is None]
