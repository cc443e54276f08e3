"""One run of chaos: start a shop and its load, inject one fault after the other, let the shop settle, check it."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from microservices.chaos.client import InconclusiveRun, Outcome
from microservices.chaos.faults import Fault, injected
from microservices.chaos.invariants import check_all, retries_agree
from microservices.chaos.load import Load, set_stock
from microservices.chaos.monitor import Detector, Prober
from microservices.chaos.plan import plan
from microservices.chaos.report import FaultResult, Result
from microservices.chaos.shop_under_test import ShopUnderTest, running_shop
from microservices.chaos.snapshot import ObservedCheckout, Snapshot
from microservices.launcher import default_home

SETTLE_SECONDS = RECOVERY_SECONDS = 30.0
CALM_SECONDS = 2.0
"""Without a failed request, so that the next one is not an earlier fault's."""
POLL_SECONDS = 0.25
PAUSE_SECONDS = 0.5
"""Between two faults, so that each detection belongs to the fault before it."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    seed: int
    minutes: float
    pattern: str | None = None
    """The URL, with {service} in it, of databases that may be overwritten; None for SQLite files in a new folder."""
    only: str | None = None
    """The one kind of fault to inject; None for all."""


@dataclass(slots=True)
class ChaosRun:
    """A shop under load into which faults are injected."""

    shop: ShopUnderTest
    baseline: Snapshot
    """The databases before the load."""
    load: Load
    detector: Detector
    prober: Prober
    began: float

    def inject(self, fault: Fault) -> FaultResult:
        """Inject one fault and wait until the shop is healthy again."""
        history = self.load.history
        if fault.is_harmless:
            self._wait_for_calm()
        requests, failed = history.total(), history.total(Outcome.FAILED, Outcome.UNKNOWN)
        began = time.monotonic()
        with injected(fault, self.shop):
            time.sleep(fault.seconds)
        recovered = self.prober.wait_until_healthy(time.monotonic(), RECOVERY_SECONDS)
        detection, attempts = self.detector.first_since(began), history.since(began)
        if self.load.errors:
            raise self.load.errors[0]
        return FaultResult(
            str(fault),
            round(began - self.began, 1),
            round(detection.at - began, 2) if detection else None,
            detection.by if detection else "",
            detection.text if detection else "",
            None if recovered is None else round(recovered, 2),
            len(attempts),
            sum(attempt.failed for attempt in attempts),
            history.total() - requests,
            history.total(Outcome.FAILED, Outcome.UNKNOWN) - failed,
            fault.is_harmless,
        )

    def _wait_for_calm(self) -> None:
        """Wait out an earlier fault: some clients notice only later that their connection is closed."""
        until = time.monotonic() + RECOVERY_SECONDS
        while any(attempt.failed for attempt in self.load.history.since(time.monotonic() - CALM_SECONDS)):
            if time.monotonic() > until:
                raise InconclusiveRun("Requests kept failing without a fault, so the run says nothing.")
            time.sleep(POLL_SECONDS)

    def settle(self) -> tuple[dict[str, list[str]], float]:
        """After the last fault: stop the load and wait until all invariants hold.

        Returns the violations by invariant, and the seconds that it took. After half a minute it gives up: what is
        wrong then stays wrong.
        """
        healed = time.monotonic()
        self.prober.wait_until_healthy(healed, RECOVERY_SECONDS)
        self.load.stop()
        self.load.resolve(SETTLE_SECONDS)
        observed = self.load.history.checkouts
        if not any(checkout.status == 201 for checkout in observed):
            raise InconclusiveRun("No customer bought anything during the run, so it says nothing.")
        return settled(self.shop.snapshot, observed, self.baseline, healed), time.monotonic() - healed


def settled(
    snapshot: Callable[[], Snapshot],
    observed: Sequence[ObservedCheckout],
    baseline: Snapshot,
    since: float,
) -> dict[str, list[str]]:
    """Wait until all invariants hold, or half a minute since `since` is over; returns the violations by invariant."""
    while True:
        found = check_all(snapshot(), observed, baseline)
        found["I5"] = list(retries_agree(observed))
        if not any(found.values()) or time.monotonic() - since > SETTLE_SECONDS:
            return dict(sorted(found.items()))
        time.sleep(POLL_SECONDS)


@contextmanager
def started(shop: ShopUnderTest, seed: int) -> Iterator[ChaosRun]:
    """Set the stock, start the load, and begin once the shop serves it well; the load stops after the block."""
    set_stock(shop.port)
    baseline = shop.snapshot()
    load = Load(shop.port, seed)
    prober = Prober(shop, load.history)
    load.buyers.append(prober.buyer)  # the answers to its checkouts are checked too
    with Detector(shop, load.history) as detector, load:
        if prober.wait_until_healthy(time.monotonic(), RECOVERY_SECONDS) is None:
            raise InconclusiveRun("The shop was not healthy before the first fault, so the run says nothing.")
        try:
            yield ChaosRun(shop, baseline, load, detector, prober, time.monotonic())
        finally:
            load.stop()
            for buyer in load.buyers:
                buyer.close()


def run(options: Options, say: Say) -> Result:
    """The whole run. No process is left in any case; the folder is left unless the result is clean or Ctrl-C came."""
    home = default_home() / "chaos" / f"{options.seed}-{os.getpid()}"
    result = Result(
        options.seed, options.minutes, "PostgreSQL" if options.pattern else "SQLite", options.only
    )
    try:
        say(f"Starting a shop in {home} ...")
        with (
            running_shop(home, cache=default_home(), pattern=options.pattern) as shop,
            started(shop, options.seed) as chaos,
        ):
            say(f"The load runs. Injecting faults for {options.minutes:g} min, seed {options.seed}.")
            _inject_all(chaos, options, result, say)
            say("The faults are over. Waiting until the shop has settled, then checking ...")
            result.invariants, result.settled_seconds = chaos.settle()
            _add_counts(chaos, result)
    except KeyboardInterrupt:
        shutil.rmtree(home, ignore_errors=True)
        raise
    if result.clean:
        shutil.rmtree(home, ignore_errors=True)
    else:
        result.kept = str(home)
    return result


def _inject_all(chaos: ChaosRun, options: Options, result: Result, say: Say) -> None:
    for fault in plan(options.seed, options.only):
        if time.monotonic() - chaos.began > options.minutes * 60:
            return
        fault_result = chaos.inject(fault)
        result.faults.append(fault_result)
        say(fault_result.line())
        time.sleep(PAUSE_SECONDS)


def _add_counts(chaos: ChaosRun, result: Result) -> None:
    history = chaos.load.history
    outcomes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (persona, outcome), count in history.outcomes.items():
        outcomes[persona][outcome.value] = count
    result.outcomes, result.statuses = dict(outcomes), dict(history.statuses())
    result.failures = history.failures
