"""The load generator: it plans all visits, starts each at its time on a free user, and logs every request.

What is easy to get wrong: a visit without a free user is not delayed. It is logged as not started, so that a slow shop
does not get fewer visits (see `loadtests.load.arrivals`). And what is still under way when the drain ends did not
fail: its row says that it was cut off, and how long it had waited until then.
"""

import csv
import gc
import gzip
import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Pool
from locust.env import Environment

from loadtests.analysis.records import COLUMNS
from loadtests.load import moments
from loadtests.load.arrivals import Arrival, schedule
from loadtests.load.personas import PERSONAS
from loadtests.load.shelf import ShopNotThereError
from loadtests.load.spec import Spec
from loadtests.load.visitor import Customer, Persona

SIGN_INS_AT_ONCE = 4


@dataclass
class Visit:
    """A visit under way. `intended` is the time at which its next request is due.

    `whole` is the name under which the visit is logged as a whole too; "" if it is not.
    """

    arrival: Arrival
    intended: float
    whole: str = ""
    began: float = 0.0

    @property
    def origin(self) -> tuple[int, str]:
        """Phase and persona, for every row of this visit."""
        return self.arrival.phase, self.arrival.persona


@dataclass
class Generator:
    """Users, schedule and log of one run. Times in rows are seconds after `epoch`, which is a Unix time."""

    spec: Spec
    epoch: float = 0.0
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    wholes: list[tuple[Any, ...]] = field(default_factory=list)
    """The rows of whole visits. They are no requests, so they are kept apart while the load runs."""
    free: dict[str, list[Persona]] = field(default_factory=dict)
    busy: set[Persona] = field(default_factory=set)
    under_way: Counter[str] = field(default_factory=Counter)
    report: Callable[[moments.Moment], None] | None = None
    """Told about the last five seconds, every second."""

    def __post_init__(self) -> None:
        if self.spec.controlled:
            self.report = lambda moment: moments.append(self.spec.out.parent, moment)

    def prepare(self) -> None:
        """Make all users and sign them in. ShopNotThereError if the shop does not answer."""
        environment = Environment(host=self.spec.host)
        entering = Pool(SIGN_INS_AT_ONCE)
        Persona.learn_shelf(self.spec.host)  # before any user, so that a missing shop is reported once
        Customer.customers = self.spec.customers
        Persona.number_from(*self.spec.part)
        for name, users in self.spec.users.items():
            persona = PERSONAS[name]
            persona.host = self.spec.host
            persona.network_timeout = persona.connection_timeout = self.spec.timeout_seconds
            self.free[name] = [persona(environment) for _ in range(self.spec.share_of(users))]
            for user in self.free[name]:
                # The API sets no cookies, and no persona signs in on a page. Looking for cookies costs a tenth.
                user.client.client.cookiejar = None
        entrants = [entering.spawn(user.on_start) for users in self.free.values() for user in users]
        gevent.joinall(entrants)
        for entrant in entrants:
            if not entrant.successful():
                raise ShopNotThereError(str(entrant.exception)) from entrant.exception
        environment.events.request.add_listener(self.log)  # type: ignore[no-untyped-call]

    def run_alone(self, epoch: float) -> float:
        """Run as the only work of this process; returns the cores that it used, in CPU seconds per second."""
        gc.freeze()
        gc.disable()  # the pause of a collection would be measured as latency of the shop
        cpu, since = time.process_time(), time.perf_counter()
        self.run(epoch)
        return (time.process_time() - cpu) / (time.perf_counter() - since)

    def run(self, epoch: float) -> None:
        """Start every visit at its time, then wait for those under way, at most the drain time."""
        self.epoch = epoch
        visits = Pool()
        reporter = gevent.spawn(self.report_progress, self.report) if self.report else None
        for arrival in schedule(self.spec.phases, self.spec.seed):
            at_once = self.spec.phases[arrival.phase].most.get(
                arrival.persona, self.spec.users[arrival.persona]
            )
            if not self.spec.is_mine(arrival.number, at_once):
                continue
            delay = epoch + arrival.at - time.time()
            if delay > 0:
                gevent.sleep(delay)
            # A new random generator per arrival: the n-th visit is the same in each phase, with any user.
            rng = random.Random(f"{self.spec.seed}:{arrival.persona}:{arrival.number}")
            visit: Any = rng.choice(PERSONAS[arrival.persona].tasks)
            most = self.spec.share_of(at_once)
            if self.free[arrival.persona] and self.under_way[arrival.persona] < most:
                user = self.free[arrival.persona].pop()
                user.rng = rng
                visits.spawn(self.make_visit, user, visit, arrival)
            else:
                self.log_not_started(arrival, visit)
        end = epoch + sum(phase.seconds for phase in self.spec.phases)
        gevent.sleep(max(0.0, end - time.time()))
        visits.join(timeout=self.spec.drain_seconds)
        if reporter:
            reporter.kill()
        self.log_unfinished()

    def report_progress(self, report: Callable[[moments.Moment], None]) -> None:
        """Report every second, for the process that shows the trial's progress."""
        names = [phase.name.rpartition("/")[2] for phase in self.spec.phases]
        ends = list(accumulate(phase.seconds for phase in self.spec.phases))
        idle_ends = [end for end, phase in zip(ends, self.spec.phases, strict=True) if not phase.rates]
        while True:
            # Sleep until the next whole second. Seconds that were missed for want of CPU are skipped.
            gevent.sleep(max(0.0, self.epoch - time.time()) + 1 - max(0.0, time.time() - self.epoch) % 1)
            now = time.time() - self.epoch
            phase = names[min(bisect_right(ends, now), len(names) - 1)]
            began = max((end for end in idle_ends if end <= now), default=0.0)
            report(moments.moment(self.rows, now, phase, len(self.busy), began))

    def make_visit(self, user: Persona, visit: Any, arrival: Arrival) -> None:
        """Let `user` make one visit. The latency of its first request counts from the intended time."""
        now = time.time() - self.epoch
        user.visit = Visit(arrival, intended=arrival.at, whole=_whole(visit), began=now)
        self.busy.add(user)
        self.under_way[user.persona] += 1
        response = None
        try:
            response = visit(user)
        finally:
            self.log_whole(user.visit, response)
            self.busy.discard(user)
            self.under_way[user.persona] -= 1
            self.free[arrival.persona].append(user)

    def log(self, request_type: str, name: str, start_time: float, response_time: float, **more: Any) -> None:
        """Add a row for Locust's request event."""
        visit, response = more["context"]["visit"], more["response"]
        start = start_time - self.epoch
        end = start + response_time / 1000
        outcome = (response.status_code or 0, int(more["exception"] is None), more["response_length"], 0)
        self.rows.append((visit.intended, start, end, *visit.origin, f"{request_type} {name}", *outcome))
        # The next request of the visit is due as soon as this one has ended.
        visit.intended = end

    def log_whole(self, visit: Visit, response: Any) -> None:
        """Add the row of a whole visit that has ended; `response` is its last one, None if it broke off."""
        if not visit.whole:
            return
        ok, status, accepted = False, 0, ""
        if response is not None:
            # A request without any response also counts as "ok" for Locust.
            status, accepted = response.status_code or 0, response.accepted
            ok = bool(accepted) or bool(response.ok and status)
        name = f"VISIT {visit.whole}" + (f" ({accepted})" if accepted else "")
        end = time.time() - self.epoch
        self.wholes.append((visit.arrival.at, visit.began, end, *visit.origin, name, status, int(ok), 0, 0))

    def log_not_started(self, arrival: Arrival, visit: Any) -> None:
        """Add a row for the first request of a visit without a free user, and one for the visit as a whole."""
        origin = (arrival.at, "", "", arrival.phase, arrival.persona)
        self.rows.append((*origin, visit.first_request, 0, 0, 0, 0))
        if whole := _whole(visit):
            self.wholes.append((*origin, f"VISIT {whole}", 0, 0, 0, 0))

    def log_unfinished(self) -> None:
        """Add a row for each request and each whole visit that is cut off now: it takes at least the time so far."""
        now = time.time() - self.epoch
        for user in self.busy:
            visit = user.visit
            due = min(visit.intended, now)
            self.rows.append((due, due, now, *visit.origin, user.asking, 0, 0, 0, 1))
            if visit.whole:
                row = (visit.arrival.at, visit.began, now, *visit.origin, f"VISIT {visit.whole}", 0, 0, 0, 1)
                self.wholes.append(row)


def save(file: Path, logged: Iterable[tuple[Any, ...]]) -> None:
    """Write rows in the order of their intended times."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(COLUMNS)
        for row in sorted(logged, key=lambda row: row[0]):
            rows.writerow([f"{each:.6f}" if isinstance(each, float) else each for each in row])


def _whole(visit: Any) -> str:
    """The name under which a visit is logged as a whole; "" if it is not."""
    return str(getattr(visit, "whole", ""))
