"""How fast a core is just now: laptops get hot or save power, and on a virtual machine the neighbours take caches.

A slice is a share of a core's time, so trials on the same slices can differ by what a core does in it.
"""

import time

ROUNDS = 100_000
TRIES = 3
MAX_UNEVEN = 1.15
"""Fastest by slowest trial of an experiment, above which it is said."""


def core_speed() -> float:
    """Rounds of a fixed loop, in millions per second of CPU: best of three of some milliseconds each."""
    return max(_one_try() for _ in range(TRIES))


def _one_try() -> float:
    began, total = time.process_time(), 0
    for number in range(ROUNDS):
        total += number
    return ROUNDS / (time.process_time() - began) / 1e6
