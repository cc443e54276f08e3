"""Same work first: both shops answer one seeded script of requests alike, or no number is taken.

`script` writes the requests (pure, seeded), `execute` sends each to both shops, `compare` says where the answers
differ once ids, tokens and times are out of the way. Both shops must start from the same fresh seeded data.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.contract.parity.compare import Difference
from loadtests.contract.parity.execute import read_catalogue, run_script
from loadtests.contract.parity.script import write_script

__all__ = ["Difference", "ParityResult", "run_parity"]


@dataclass(frozen=True, slots=True)
class ParityResult:
    """What was asked, and where the two shops differed."""

    asked: int
    differences: list[Difference]


def run_parity(url_a: str, url_b: str, seed: int, requests: int = 400) -> ParityResult:
    """Send one seeded script to both shops and compare every answer; a shop that does not answer differs."""
    steps = write_script(seed, requests, read_catalogue(url_a))
    return ParityResult(len(steps), run_script(steps, url_a, url_b))
