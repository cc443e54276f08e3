"""Customers in a shop that is being broken, and those who watch: what a run and a test of a gate have in common."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from microservices.chaos.arena import Arena
from microservices.chaos.client import NotServed, Outcome
from microservices.chaos.faults import Fault, happening
from microservices.chaos.invariants import Shop, repeats_tell_one_outcome, table
from microservices.chaos.load import Load, stock_up
from microservices.chaos.report import Happened
from microservices.chaos.watch import Prober, Signs

SETTLE_SECONDS = WELL_SECONDS = 30.0
LOOK_SECONDS = 0.25


@dataclass(slots=True)
class Crowd:
    """The customers of one arena."""

    arena: Arena
    before: Shop
    """The databases before the first of them came."""
    load: Load
    signs: Signs
    prober: Prober
    began: float

    def suffer(self, fault: Fault) -> Happened:
        """Have a fault happen, and wait until all is well again."""
        history = self.load.history
        asked, lost = history.total(), history.total(Outcome.FAILED, Outcome.UNKNOWN)
        began = time.monotonic()
        with happening(fault, self.arena):
            time.sleep(fault.seconds)
        recovered = self.prober.well_after(time.monotonic(), WELL_SECONDS)
        sign, attempts = self.signs.first_since(began), history.since(began)
        if self.load.errors:
            raise self.load.errors[0]
        return Happened(
            str(fault),
            round(began - self.began, 1),
            round(sign.at - began, 2) if sign else None,
            sign.by if sign else "",
            sign.text if sign else "",
            None if recovered is None else round(recovered, 2),
            len(attempts),
            sum(attempt.failed for attempt in attempts),
            history.total() - asked,
            history.total(Outcome.FAILED, Outcome.UNKNOWN) - lost,
        )

    def settle(self) -> tuple[dict[str, list[str]], float]:
        """Once nothing is broken any more: send all home, then the invariants and the seconds until they held.

        Given up when they do not hold after half a minute: what is wrong then stays wrong.
        """
        healed = time.monotonic()
        self.prober.well_after(healed, WELL_SECONDS)
        self.load.stop()
        self.load.resolve(SETTLE_SECONDS)
        told = self.load.history.told
        if not any(one.status == 201 for one in told):
            raise NotServed(
                "Nobody bought anything in all that time, so nothing can be learnt from this run."
            )
        while True:
            found = table(self.arena.look(), told, self.before)
            found["I5"] = list(repeats_tell_one_outcome(told))
            seconds = time.monotonic() - healed
            if not any(found.values()) or seconds > SETTLE_SECONDS:
                return dict(sorted(found.items())), seconds
            time.sleep(LOOK_SECONDS)


@contextmanager
def admitted(arena: Arena, seed: int) -> Iterator[Crowd]:
    """Fill the shelves, let customers in, and begin once the shop serves them well; they leave at the end."""
    stock_up(arena.port)
    before = arena.look()
    load = Load(arena.port, seed)
    prober = Prober(arena, load.history)
    load.buyers.append(prober.buyer)  # what it was told is checked too
    with Signs(arena, load.history) as signs, load:
        if prober.well_after(time.monotonic(), WELL_SECONDS) is None:
            raise NotServed("The shop was not well before the first fault, so nothing can be learnt from it.")
        try:
            yield Crowd(arena, before, load, signs, prober, time.monotonic())
        finally:
            load.stop()
            for buyer in load.buyers:
                buyer.close()
