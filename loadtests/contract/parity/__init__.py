"""The parity check: both shops must answer one seeded script of requests alike, before any number is measured.

`script` writes the requests (pure, seeded). `execute` sends each to both shops. `compare` finds the differences, apart
from ids, tokens and times. Both shops must start with the same seeded data.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.contract.parity.compare import Difference
from loadtests.contract.parity.execute import read_catalogue, run_script
from loadtests.contract.parity.script import write_script

__all__ = ["Difference", "ParityResult", "run_parity"]


@dataclass(frozen=True, slots=True)
class ParityResult:
    """The number of requests, and the differences between the two shops."""

    asked: int
    differences: list[Difference]


def run_parity(url_a: str, url_b: str, seed: int, requests: int = 400, *, odd: bool = True) -> ParityResult:
    """Send one seeded script to both shops and compare all responses. A missing response is a difference too.

    Without `odd` it has no requests that are broken or abuse the protocol.
    """
    steps = write_script(seed, requests, read_catalogue(url_a), odd=odd)
    return ParityResult(len(steps), run_script(steps, url_a, url_b))
