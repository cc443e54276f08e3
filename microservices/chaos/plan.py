"""The order of the faults. The same seed gives the same order, however long the run is.

The order is one random permutation of all faults after another. Independent random choices would repeat some faults
and leave others out for an hour. The seed does not repeat the machine's timing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from microservices.chaos.faults import BAD_CLIENT, NETWORK, Fault, all_faults

MIN_SECONDS, MAX_SECONDS = 1.5, 5.0
"""The length of a fault. Within it a breaker opens, and a paused replica is noticed."""
TIMED = frozenset({"pause", BAD_CLIENT, *NETWORK})


def plan(seed: int, only: str | None = None) -> Iterator[Fault]:
    """An endless sequence of faults; `only`: of those of this kind."""
    rng = random.Random(seed)  # noqa: S311 -- seeded, not a secret
    while True:
        faults = [fault for fault in all_faults() if only in (None, fault.kind)]
        rng.shuffle(faults)
        for fault in faults:
            seconds = round(rng.uniform(MIN_SECONDS, MAX_SECONDS), 1)
            yield replace(fault, seconds=seconds) if fault.kind in TIMED else fault
