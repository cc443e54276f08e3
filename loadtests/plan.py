"""The order of trials: systems alternate within each repeat, in an order drawn from the seed.

Runs in blocks (all of one shop, then all of the other) would measure the afternoon as much as the shops.
The demo shares trials: a shop that several experiments ask for is started once per repeat and runs their
phases in turn.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.arrivals import Shape
from loadtests.curves import Point
from loadtests.experiment import Experiment, Kind, System

STARTING_SECONDS = {"monolith": 3.0, "microservices": 7.0}  # boot, sign-ins and stop; measured on two cores


@dataclass(frozen=True)
class PlannedPhase:
    """A phase of one experiment as it is run: everything that its raw files must remember."""

    experiment: str
    name: str
    seconds: float
    rates: Mapping[str, float]
    shape: Shape
    most: Mapping[str, int]
    slice_cores: float
    record: bool
    overload: bool
    saturates: tuple[str, ...]
    curve: tuple[Point, ...] = ()


@dataclass
class Trial:
    """One start of one system with fresh processes and data, and the phases it runs."""

    system: Kind
    replicas: dict[str, int]
    label: str
    repeat: int
    order: int = 0
    attempt: int = 1
    phases: list[PlannedPhase] = field(default_factory=list)
    users: dict[str, int] = field(default_factory=dict)
    timeout_seconds: float = 0.0
    drain_seconds: float = 0.0
    seed: str = ""

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        return (
            STARTING_SECONDS[self.system] + sum(phase.seconds for phase in self.phases) + self.drain_seconds
        )

    @property
    def name(self) -> str:
        """System, replicas and repeat: the same for all attempts."""
        which = "-".join(f"{name}{count}" for name, count in self.replicas.items())
        return f"{self.system}{'-' if which else ''}{which}-r{self.repeat}"

    @property
    def folder(self) -> str:
        """Name of its folder: order first, so that a listing shows what happened when."""
        return f"{self.order:03}-{self.name}{f'-try{self.attempt}' if self.attempt > 1 else ''}"


def more_than_one(replicas: Mapping[str, int]) -> dict[str, int]:
    """Replica counts without the ones, so that two spellings of the same system are equal."""
    return {name: count for name, count in sorted(replicas.items()) if count != 1}


def plan(experiments: Sequence[Experiment], *, share: bool) -> list[Trial]:
    """All trials in order. With `share`, equal systems of different experiments are one trial per repeat."""
    trials: list[Trial] = []
    groups: Iterable[Sequence[Experiment]] = [experiments] if share else [[each] for each in experiments]
    for group in groups:
        for repeat in range(1, max(each.repeats for each in group) + 1):
            drawn = _repeat(group, repeat)
            random.Random(f"{group[0].seed}:{repeat}").shuffle(drawn)
            trials += drawn
    for order, trial in enumerate(trials, start=1):
        trial.order = order
    return trials


def _repeat(experiments: Sequence[Experiment], repeat: int) -> list[Trial]:
    found: dict[tuple[str, tuple[tuple[str, int], ...]], Trial] = {}
    for experiment in experiments:
        if repeat > experiment.repeats:
            continue
        for system in experiment.systems:
            replicas = more_than_one(system.replicas)
            trial = found.setdefault(
                (system.system, tuple(replicas.items())),
                Trial(system.system, replicas, system.label, repeat, seed=f"{experiment.seed}:{repeat}"),
            )
            _add(trial, experiment)
    return list(found.values())


def _add(trial: Trial, experiment: Experiment) -> None:
    limits = experiment.limits
    trial.timeout_seconds = max(trial.timeout_seconds, limits.timeout_seconds)
    trial.drain_seconds = max(trial.drain_seconds, limits.drain_seconds)
    for persona, count in limits.users.items():
        trial.users[persona] = max(trial.users.get(persona, 0), count)
    replicas = max(trial.replicas.values(), default=1)
    trial.phases += [
        PlannedPhase(
            experiment.name,
            phase.name,
            phase.seconds,
            {str(persona): rate for persona, rate in phase.rates.items()},
            phase.shape,
            {str(persona): count * replicas for persona, count in phase.in_flight_per_replica.items()},
            experiment.slice_of(phase),
            phase.record,
            phase.overload,
            phase.saturates,
            phase.points,
        )
        for phase in experiment.phases
    ]


def system_of(experiment: Experiment, system: str, replicas: Mapping[str, int]) -> System | None:
    """The experiment's name for a system that was run."""
    for each in experiment.systems:
        if each.system == system and more_than_one(each.replicas) == more_than_one(replicas):
            return each
    return None
