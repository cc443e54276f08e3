"""What a call between two services costs: CPU microseconds of caller, gateway and called service together.

The floor has no shop and no safeguards: a bare `requests.Session`, the gateway, and bare Flask on the same server. Ours
does the same with the services' client and the chassis: a deadline, retries, a breaker, a service token, metrics, and
problems as errors. What a call costs in the shop is computed from the endpoints: what the split needs more than the
monolith behind the same gateway, for each call on the way. That includes the transactions of its own that each
service needs.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from loadtests.bench.bars import Check
from loadtests.bench.client import BenchError
from loadtests.bench.journeys import BUY, PUT
from loadtests.bench.targets import TargetResult
from loadtests.experiments.bar import Bar
from loadtests.rig.processes import cpu_seconds
from microservices.launcher import Fleet
from microservices.topology import Service, Topology

BARE = Topology(
    "bare-call",
    (Service("callee", ("-m", "loadtests.bench.floor", "{host}", "{port}"), ("/",), has_database=False),),
)
OURS = Topology(
    "our-call",
    (
        Service(
            "callee",
            ("-m", "microservices.chassis.serve", "loadtests.bench.callee.app"),
            ("/",),
            has_database=False,
        ),
        # It serves nothing: it only has a key, which the callee trusts.
        Service("caller", (), needs=("callee",), has_database=False),
    ),
)
PATHS = {BARE.name: "/api/hello", OURS.name: "/internal/hello"}
CALLS_IN = {PUT.name: 1, BUY.name: 7}
"""Calls between services on the way: the cart asks the catalog, and a checkout makes six more."""
ROUNDS = 9
CALLS = 200
WARM_UP = 50
MAX_RATIO = 1.5


@dataclass
class CallCost:
    """CPU microseconds of one call on one topology, round by round, and by process."""

    name: str
    rounds: list[dict[str, float]] = field(default_factory=list)

    @property
    def by_process(self) -> dict[str, float]:
        """The medians of caller, gateway and callee."""
        return {part: median(each[part] for each in self.rounds) for part in self.rounds[0]}

    @property
    def cpu_us(self) -> float:
        """The median of all three together."""
        return median(sum(each.values()) for each in self.rounds)


def run(home: Path, show: Callable[[str], None]) -> list[CallCost]:
    """Measure the floor and ours; they take turns."""
    show("booting two services that only say hello")
    with _calls(BARE, home) as bare, _calls(OURS, home, "--chassis") as ours:
        lines = [(CallCost("the floor"), bare), (CallCost("ours"), ours)]
        for _, call in lines:
            call(WARM_UP)
        for number in range(ROUNDS):
            show(f"calls between services, round {number + 1} of {ROUNDS}")
            for cost, call in lines:
                cost.rounds.append(call(CALLS))
    return [cost for cost, _ in lines]


@contextmanager
def _calls(topology: Topology, home: Path, *options: str) -> Iterator[Callable[[int], dict[str, float]]]:
    """Boot it with a caller. Yields a function: so many calls in, CPU microseconds of one by process out."""
    wanted = {service.name: int(service.name == "callee") for service in topology.services}
    with Fleet(topology, wanted, data_dir=home / topology.name, home=home) as fleet:
        url = f"http://127.0.0.1:{fleet.internal_ports['callee']}{PATHS[topology.name]}"
        given = fleet.environment("caller") if "caller" in wanted else {}
        with subprocess.Popen(  # noqa: S603 - ours
            [sys.executable, "-m", "loadtests.bench.caller", *options, url],
            env={**os.environ, **given},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as caller:
            processes = {"caller": [caller.pid], "gateway": [fleet.gateway]}
            processes["callee"] = [pid for replica in fleet.replicas("callee") for pid in replica.pids()]

            def call(count: int) -> dict[str, float]:
                before = {part: sum(map(cpu_seconds, pids)) for part, pids in processes.items()}
                _make(caller, count)
                return {
                    part: (sum(map(cpu_seconds, pids)) - before[part]) / count * 1e6
                    for part, pids in processes.items()
                }

            yield call


def _make(caller: subprocess.Popen[str], count: int) -> None:
    assert caller.stdin is not None
    assert caller.stdout is not None
    caller.stdin.write(f"{count}\n")
    caller.stdin.flush()
    if not caller.stdout.readline():
        raise BenchError("The calls between two services could not be made; see the messages above.")


def in_the_shop(results: Sequence[TargetResult]) -> dict[str, float]:
    """Journey → CPU microseconds of one of its calls."""
    named = {each.name: each for each in results}
    mono, split = named["monolith + gateway"].costs, named["microservices + gateway"].costs
    return {name: (split[name].cpu_us - mono[name].cpu_us) / calls for name, calls in CALLS_IN.items()}


def checks(calls: Sequence[CallCost], results: Sequence[TargetResult]) -> list[Check]:
    """The bars of a call: how many times the floor it costs."""
    floor, ours = (each.cpu_us for each in calls)
    bar = Bar(at_most=MAX_RATIO)
    yours = [
        Check(f"CPU of a call in {name} : the floor of a call", cpu / floor, "", bar)
        for name, cpu in in_the_shop(results).items()
    ]
    return [Check("CPU of our call : the floor of a call", ours / floor, "", bar), *yours]


def table(calls: Sequence[CallCost], results: Sequence[TargetResult]) -> Table:
    """The floor by process, ours beside it, and what a call costs in the shop."""
    made = Table("a call between services", title="CPU microseconds of a call", title_justify="left")
    for name in ("caller", "gateway", "callee", "all three", "times the floor"):
        made.add_column(name, justify="right")
    floor = calls[0].cpu_us
    for each in calls:
        parts = [f"{each.by_process[part]:.0f}" for part in ("caller", "gateway", "callee")]
        made.add_row(each.name, *parts, f"{each.cpu_us:.0f}", f"{each.cpu_us / floor:.2f}")
    for name, cpu in in_the_shop(results).items():
        row = f"in {name}, with each service's own transactions"
        made.add_row(row, "", "", "", f"{cpu:.0f}", f"{cpu / floor:.2f}")
    return made


def as_json(calls: Sequence[CallCost]) -> list[dict[str, Any]]:
    """The entry `calls` of the benchmark's JSON."""
    return [{"name": each.name, "cpu_us": each.cpu_us, "by_process": each.by_process} for each in calls]
