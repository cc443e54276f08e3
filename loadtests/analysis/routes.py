"""The numbers of a phase's requests, for each route and for all of them together. Pure.

`achieved_rps` has two meanings. Normally it counts the requests of the phase that succeeded. In an overload it counts
the responses during the phase, also those to earlier requests.

What is easy to get wrong: the population of a percentile. Here it is all requests of the phase (docs/decisions/0010).
A request that failed, had no response or could not be started counts as a wait of the whole timeout, and ranks behind
all successful ones. Otherwise a shop that refuses requests, or fails fast, would look faster than one that serves them.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from loadtests.analysis.raw import Request
from loadtests.analysis.summaries import percentile
from loadtests.experiments.metrics import ALL

SHARES = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}

RouteNumbers = dict[str, float | int | None]
"""`asked_rps`, `achieved_rps`, `errors`, the percentiles in ms, `count` (started requests) and `not_started`."""


def route_numbers(
    requests: Iterable[Request],
    in_phase: Iterable[tuple[Request, float]],
    seconds: float,
    *,
    timeout_ms: float,
    overload: bool,
) -> dict[str, RouteNumbers]:
    """The numbers by route, and of all requests under `all`.

    `requests` are those of the phase. `in_phase` are the requests that the shop worked on during the phase, each with
    the share of its time that lies in the phase (0 to 1).
    """
    by_route: dict[str, list[Request]] = defaultdict(list)
    served: dict[str, float] = defaultdict(float)
    for request in requests:
        by_route[request.route].append(request)
        by_route[ALL].append(request)
    for request, share in in_phase:
        served[request.route] += share * request.ok
        served[ALL] += share * request.ok
    return {
        route: _numbers(of_route, served[route] if overload else None, seconds, timeout_ms)
        for route, of_route in sorted(by_route.items())
    }


def _numbers(
    requests: Sequence[Request], served: float | None, seconds: float, timeout_ms: float
) -> RouteNumbers:
    started = sum(request.start is not None for request in requests)
    succeeded = sum(request.ok for request in requests)
    waits = _waits(requests, timeout_ms)
    return {
        "asked_rps": round(len(requests) / seconds, 4),
        "achieved_rps": round((succeeded if served is None else served) / seconds, 4),
        "errors": started - succeeded,
        **{name: round(percentile(waits, share), 3) for name, share in SHARES.items()},
        "count": started,
        "not_started": len(requests) - started,
    }


def _waits(requests: Sequence[Request], timeout_ms: float) -> list[float]:
    """The wait of each request in ms, sorted: its latency if it succeeded, otherwise the whole timeout.

    A failed request never ranks before a successful one, also if a success took longer than the timeout.
    """
    good = [request.latency_ms for request in requests if request.ok]
    longest = max([timeout_ms, *good])
    failed = (request for request in requests if not request.ok)
    # Sorted here once: `percentile` sorts again each time, and sorts a sorted list fast.
    return sorted(
        good
        + [max(longest, request.latency_ms) if request.start is not None else longest for request in failed]
    )


def succeeded(numbers: Mapping[str, float | int | None]) -> tuple[int, int]:
    """The number of successful requests of a route, and of all its requests."""
    # Results of older versions have no number of requests that were not started.
    count, not_started = int(numbers["count"] or 0), int(numbers.get("not_started") or 0)
    return count - int(numbers["errors"] or 0), count + not_started


def bounded(numbers: Mapping[str, float | int | None]) -> list[str]:
    """The names of those percentiles of a route that are lower bounds, because a failed request enters them."""
    successes, requests = succeeded(numbers)
    return [name for name, share in SHARES.items() if math.ceil(share * (requests - 1)) > successes - 1]
