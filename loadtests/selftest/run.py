"""All checks of the lab's test of itself: on simulated trials in seconds; on request also on real ones, in minutes."""

from collections.abc import Callable, Iterator

from loadtests.selftest.checks import Check
from loadtests.selftest.refusals import refusals
from loadtests.selftest.statistics import TRIES, hit_rates


def simulated_checks(seed: int = 1, tries: int = TRIES) -> Iterator[Check]:
    """A known truth is found, and disturbed trials are refused."""
    yield from hit_rates(seed, tries)
    yield from refusals(seed)


def all_checks(seed: int, tries: int, *, real: bool, show: Callable[[str], None]) -> list[Check]:
    """The simulated checks, and with `real` the others as well; `show` gets the result of each real check."""
    checks = list(simulated_checks(seed, tries))
    if real:
        from loadtests.selftest.real import real_checks

        for check in real_checks(seed):
            show(f"{check.name}: {check.found}")
            checks.append(check)
    return checks
