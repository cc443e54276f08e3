"""The targets of the bench: a shop behind the gateway, or a replica without it; and what was measured of each."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from loadtests.bench.client import BenchError, Connection
from loadtests.bench.journeys import Journey, Shopper
from loadtests.rig.processes import cpu_seconds, uss_bytes
from microservices.launcher import Fleet
from microservices.topology import Topology

SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Cost:
    """The cost of one journey on one target: CPU microseconds, and journeys per second."""

    cpu_us: float
    per_second: float


@dataclass
class TargetResult:
    """What was measured of one target."""

    name: str
    ready_seconds: float = 0.0
    rest_bytes: int = 0
    idle_cores: float = 0.0
    rounds: dict[str, list[Cost]] = field(default_factory=dict)

    def add(self, journey: str, cost: Cost) -> None:
        """Add the cost of a journey in one more round."""
        self.rounds.setdefault(journey, []).append(cost)

    @property
    def costs(self) -> dict[str, Cost]:
        """Journey → the median of its costs over the rounds."""
        return {
            name: Cost(median(cost.cpu_us for cost in rounds), median(cost.per_second for cost in rounds))
            for name, rounds in self.rounds.items()
        }


class Target:
    """A server at `url`, and the processes whose CPU a request costs."""

    def __init__(self, name: str, url: str, pids: Sequence[int]) -> None:
        self.result = TargetResult(name)
        self.url = url
        self._pids = pids

    def cpu_seconds(self) -> float:
        """CPU seconds of all its processes so far."""
        return sum(cpu_seconds(pid) for pid in self._pids)

    def measure_idle(self) -> None:
        """Measure its memory and its CPU while nobody sends requests."""
        time.sleep(SETTLE_SECONDS)
        self.result.rest_bytes = sum(uss_bytes(pid) for pid in self._pids)
        before, since = self.cpu_seconds(), time.perf_counter()
        time.sleep(SETTLE_SECONDS)
        self.result.idle_cores = (self.cpu_seconds() - before) / (time.perf_counter() - since)

    def measure(self, journey: Journey, shoppers: Sequence[Shopper], seconds: float) -> None:
        """Measure the CPU of a journey on one connection, then the rate on one connection per shopper."""
        self._loop(journey, shoppers[:1], seconds / 4)  # first calls fill caches and open connections
        before, since = self.cpu_seconds(), time.perf_counter()
        count = self._loop(journey, shoppers[:1], seconds)
        elapsed = time.perf_counter() - since
        cpu = self.cpu_seconds() - before - self.result.idle_cores * elapsed
        since = time.perf_counter()
        many = self._loop(journey, shoppers, seconds)
        rate = many / (time.perf_counter() - since)
        self.result.add(journey.name, Cost(max(cpu, 0.0) / count * 1e6, rate))

    def _loop(self, journey: Journey, shoppers: Sequence[Shopper], seconds: float) -> int:
        """Make the journey again and again, with one connection per shopper; returns how often it was made."""
        end = time.perf_counter() + seconds
        counts: list[int] = []
        failed: list[Exception] = []

        def repeat(shopper: Shopper) -> None:
            count = 0
            try:
                with Connection(self.url) as connection:
                    while count == 0 or time.perf_counter() < end:
                        journey.run(connection, shopper)
                        count += 1
            except (BenchError, OSError) as error:
                failed.append(error)
            counts.append(count)

        threads = [threading.Thread(target=repeat, args=(shopper,)) for shopper in shoppers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise BenchError(f"{self.result.name}, {journey.name}: {failed[0]}")
        return sum(counts)


@contextmanager
def booted(topology: Topology, home: Path, **env: str) -> Iterator[list[Target]]:
    """Boot a topology. Its targets are the gateway and, where there is only one service, also the replica itself."""
    started = time.perf_counter()
    with Fleet(topology, data_dir=home / topology.name, home=home, env=env) as fleet:
        ready = time.perf_counter() - started
        replicas = fleet.replicas()
        pids = [pid for replica in replicas for pid in replica.pids()]
        targets = [Target(f"{topology.name} + gateway", fleet.url, [*pids, fleet.gateway])]
        if len(replicas) == 1:
            targets.insert(0, Target(topology.name, f"http://127.0.0.1:{replicas[0].port}", pids))
        for target in targets:
            target.result.ready_seconds = ready
            target.measure_idle()
        yield targets
