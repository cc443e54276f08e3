"""How fast a core is at this moment. Laptops throttle, and on a virtual machine other guests take shared caches.

A slice is a share of a core's time, so trials on equal slices still differ when the core's speed does.
"""

import time

ROUNDS = 100_000
TRIES = 3
MAX_SPEED_RATIO = 1.15
"""Fastest over slowest core of an experiment's trials; above it the report names the ratio as a doubt."""


def core_speed() -> float:
    """Rounds of a fixed loop per second of CPU, in millions: the best of three tries of some milliseconds each."""
    return max(_one_try() for _ in range(TRIES))


def _one_try() -> float:
    began, total = time.process_time(), 0
    for number in range(ROUNDS):
        total += number
    return ROUNDS / (time.process_time() - began) / 1e6
