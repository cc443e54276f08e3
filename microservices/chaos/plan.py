"""Which fault comes when: the same seed gives the same plan, however long it is followed.

Faults are dealt from a shuffled pack that holds each of them once, and a new pack when that is used up: pure chance
would repeat some and leave others out for an hour. What the seed cannot repeat is the machine's timing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from microservices.chaos.faults import NETWORK, Fault, every

SHORTEST, LONGEST = 1.5, 5.0
"""Seconds; a breaker opens, and a paused replica is missed, within this time."""
TIMED = frozenset({"pause", *NETWORK})


def plan(seed: int) -> Iterator[Fault]:
    """Faults without end."""
    rng = random.Random(seed)  # noqa: S311 -- seeded choices hide nothing
    while True:
        pack = every()
        rng.shuffle(pack)
        for fault in pack:
            seconds = round(rng.uniform(SHORTEST, LONGEST), 1)
            yield replace(fault, seconds=seconds) if fault.kind in TIMED else fault
