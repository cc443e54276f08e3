"""The load generator, a process of its own: `python -m loadtests.load.generate SPEC.json`.

It plans all arrivals, prepares its users (accounts signed in, products learnt), then starts each visit at
its time, on a free user of the persona. A visit that finds none is not put off: it is counted as not
started. Every request becomes a row of `requests.csv.gz`. With `"controlled": true` it says `ready` on
standard output and begins at the Unix time in the line `start TIME` that it is sent.
"""

import csv
import gc
import gzip
import json
import random
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Pool
from locust.env import Environment

from loadtests.analysis.records import COLUMNS, MAX_GENERATOR_CORES
from loadtests.load import moments
from loadtests.load.arrivals import Arrival, Phase, schedule
from loadtests.load.personas import PERSONAS
from loadtests.load.shelf import ShopNotThereError
from loadtests.load.visitor import Persona

SIGN_INS_AT_ONCE = 4
LEAD_SECONDS = 0.2


@dataclass(frozen=True)
class Spec:
    """What to generate. `users` bounds the visits under way per persona; `seed` fixes times and choices."""

    seed: str
    phases: tuple[Phase, ...]
    users: Mapping[str, int]
    out: Path
    host: str = ""
    timeout_seconds: float = 10.0
    drain_seconds: float = 10.0
    controlled: bool = False

    @classmethod
    def read(cls, path: Path) -> "Spec":
        """Parse a specification file."""
        data = json.loads(path.read_text(encoding="utf-8"))
        phases = tuple(Phase(**phase) for phase in data.pop("phases"))
        return cls(phases=phases, out=Path(data.pop("out")), **data)


@dataclass
class Visit:
    """A visit under way: `intended` is when its next request is due."""

    arrival: Arrival
    intended: float

    @property
    def origin(self) -> tuple[int, str]:
        """The phase and persona that every row of this visit counts for."""
        return self.arrival.phase, self.arrival.persona


@dataclass
class Generator:
    """Users, schedule and log of one run. Times in rows are seconds after `epoch`."""

    spec: Spec
    epoch: float = 0.0
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    free: dict[str, list[Persona]] = field(default_factory=dict)
    busy: set[Persona] = field(default_factory=set)
    under_way: Counter[str] = field(default_factory=Counter)

    def prepare(self) -> None:
        """Make every user and let it enter the shop; ShopNotThereError when there is none."""
        environment = Environment(host=self.spec.host)
        entering = Pool(SIGN_INS_AT_ONCE)
        Persona.learn_shelf(self.spec.host)  # before any user, so that a shop that is not there is said once
        for name, count in self.spec.users.items():
            persona = PERSONAS[name]
            persona.host = self.spec.host
            persona.network_timeout = persona.connection_timeout = self.spec.timeout_seconds
            self.free[name] = [persona(environment) for _ in range(count)]
            for user in self.free[name]:
                # The API sets no cookies and these visitors never sign in on a page; looking for some costs a tenth.
                user.client.client.cookiejar = None
        entrants = [entering.spawn(user.on_start) for users in self.free.values() for user in users]
        gevent.joinall(entrants)
        for entrant in entrants:
            if not entrant.successful():
                raise ShopNotThereError(str(entrant.exception)) from entrant.exception
        environment.events.request.add_listener(self.log)  # type: ignore[no-untyped-call]

    def run(self, epoch: float) -> None:
        """Start every visit at its time, then wait for those under way."""
        self.epoch = epoch
        visits = Pool()
        watcher = gevent.spawn(self.tell) if self.spec.controlled else None
        for arrival in schedule(self.spec.phases, self.spec.seed):
            delay = epoch + arrival.at - time.time()
            if delay > 0:
                gevent.sleep(delay)
            rng = random.Random(f"{self.spec.seed}:{arrival.persona}:{arrival.number}")
            visit: Any = rng.choice(PERSONAS[arrival.persona].tasks)
            most = self.spec.phases[arrival.phase].most.get(arrival.persona, self.spec.users[arrival.persona])
            if self.free[arrival.persona] and self.under_way[arrival.persona] < most:
                # A fresh generator per arrival: the n-th visit is the same in each phase, by whichever user.
                user = self.free[arrival.persona].pop()
                user.rng = rng
                visits.spawn(self.visit, user, visit, arrival)
            else:
                self.rows.append((arrival.at, "", "", arrival.phase, arrival.persona, visit.opens, 0, 0, 0))
        end = epoch + sum(phase.seconds for phase in self.spec.phases)
        gevent.sleep(max(0.0, end - time.time()))
        visits.join(timeout=self.spec.drain_seconds)
        if watcher:
            watcher.kill()
        self.log_unfinished()

    def tell(self) -> None:
        """Append a line every second for whoever watches the trial."""
        names = [phase.name.rpartition("/")[2] for phase in self.spec.phases]
        ends = list(accumulate(phase.seconds for phase in self.spec.phases))
        idle_ends = [end for end, phase in zip(ends, self.spec.phases, strict=True) if not phase.rates]
        while True:
            # To the next whole second: those that were missed, when there was too little CPU, are not made up for.
            gevent.sleep(max(0.0, self.epoch - time.time()) + 1 - max(0.0, time.time() - self.epoch) % 1)
            now = time.time() - self.epoch
            phase = names[min(bisect_right(ends, now), len(names) - 1)]
            began = max((end for end in idle_ends if end <= now), default=0.0)
            moments.append(self.spec.out.parent, moments.moment(self.rows, now, phase, len(self.busy), began))

    def visit(self, user: Persona, visit: Any, arrival: Arrival) -> None:
        """Let `user` make one visit; its first request counts from the intended time."""
        user.visit = Visit(arrival, intended=arrival.at)
        self.busy.add(user)
        self.under_way[user.persona] += 1
        try:
            visit(user)
        finally:
            self.busy.discard(user)
            self.under_way[user.persona] -= 1
            self.free[arrival.persona].append(user)

    def log(self, request_type: str, name: str, start_time: float, response_time: float, **more: Any) -> None:
        """Locust's request event as a row."""
        visit, response = more["context"]["visit"], more["response"]
        start = start_time - self.epoch
        end = start + response_time / 1000
        answer = (response.status_code or 0, int(more["exception"] is None), more["response_length"])
        self.rows.append((visit.intended, start, end, *visit.origin, f"{request_type} {name}", *answer))
        # The next request of a visit follows from this answer: it is due now.
        visit.intended = end

    def log_unfinished(self) -> None:
        """Requests that still wait: their latency is at least this long, and they count as errors."""
        now = time.time() - self.epoch
        for user in self.busy:
            due = user.visit.intended
            self.rows.append((due, due, now, *user.visit.origin, user.asking, 0, 0, 0))

    def save(self) -> None:
        """Write the rows in order of intended time."""
        self.spec.out.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(self.spec.out, "wt", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for row in sorted(self.rows, key=lambda row: row[0]):
                rows.writerow([f"{each:.6f}" if isinstance(each, float) else each for each in row])


def summary(generator: Generator, cpu_cores: float) -> dict[str, Any]:
    """What a person who ran the generator alone wants to know first."""
    spec = generator.spec
    return {
        "requests": len(generator.rows),
        "errors": sum(1 for row in generator.rows if row[1] != "" and not row[7]),
        "not_started": sum(1 for row in generator.rows if row[1] == ""),
        "cpu_cores": round(cpu_cores, 3),
        "trust": "void: the generator needed too much CPU" if cpu_cores > MAX_GENERATOR_CORES else "ok",
        "out": str(spec.out),
    }


def _order(expected: str) -> str:
    """The argument of the next order from the lab; ends quietly when the lab is gone."""
    verb, _, argument = sys.stdin.readline().strip().partition(" ")
    if verb != expected:
        sys.exit(f'Expected the order "{expected}", not "{verb}".' if verb else 0)
    return argument


def main() -> None:
    """Run one specification and print a summary as JSON; exit status 1 with a sentence when it cannot."""
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m loadtests.load.generate SPEC.json")
    try:
        spec = Spec.read(Path(sys.argv[1]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        sys.exit(f"{sys.argv[1]} is not a specification of load: {error}")
    if spec.controlled:
        spec = replace(spec, host=_order("prepare"))
    generator = Generator(spec)
    try:
        generator.prepare()
    except ShopNotThereError as error:
        sys.exit(str(error))
    epoch = time.time() + LEAD_SECONDS
    if spec.controlled:
        print("ready", flush=True)  # noqa: T201 - the protocol
        epoch = float(_order("start"))
    gc.freeze()
    gc.disable()  # a collection in mid-run would be measured as the shop's latency
    cpu, since = time.process_time(), time.perf_counter()
    generator.run(epoch)
    cores = (time.process_time() - cpu) / (time.perf_counter() - since)
    generator.save()
    print(json.dumps(summary(generator, cores)), flush=True)  # noqa: T201 - the result


if __name__ == "__main__":
    main()
