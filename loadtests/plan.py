"""The order of trials: systems alternate within each repeat, in an order drawn from the seed.

Runs in blocks (all of one shop, then all of the other) would measure the afternoon as much as the shops.
The demo shares trials: a shop that several experiments ask for is started once per repeat and runs their
phases in turn.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from loadtests.arrivals import Shape
from loadtests.curves import Point
from loadtests.experiment import Experiment, PhaseText, System
from loadtests.parts import Kind, What
from loadtests.turns import take_turns

PROBES = 8
"""About as many trials a search takes."""
STARTING_SECONDS = {"monolith": 1.8, "microservices": 3.4}  # boot, sign-ins and stop; measured on two cores


DEADLY = {"kill", "dead"}


@dataclass(frozen=True)
class PlannedAction:
    """What is done to the shop in a phase: `what` to `service`, `at` seconds after the phase's begin."""

    what: What
    service: str
    at: float


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
    slices: Mapping[str, float] = field(default_factory=dict)
    """Cores by service, where they differ from `slice_cores`."""
    action: PlannedAction | None = None
    idle: bool = False
    """Whether it only waits while others have their turn."""

    def cores_of(self, service: str) -> float:
        """The slice of each replica of the service."""
        return self.slices.get(service, self.slice_cores)


@dataclass
class Trial:
    """One start of one system with fresh processes and data, and the phases it runs.

    `rate` is the rate that a search tries (visits per second, None outside of searches), and `probe` counts the tries.
    """

    system: Kind
    replicas: dict[str, int]
    label: str
    repeat: int
    id: str = ""
    products: int | None = None
    rate: float | None = None
    probe: int = 0
    order: int = 0
    attempt: int = 1
    group: str = ""
    """Of trials whose shops are up together and take turns (`loadtests.turns`); empty where a trial is alone."""
    seat: int = 0
    """Its place in the group."""
    phases: list[PlannedPhase] = field(default_factory=list)
    users: dict[str, int] = field(default_factory=dict)
    timeout_seconds: float = 0.0
    drain_seconds: float = 0.0
    seed: str = ""

    @property
    def seconds(self) -> float:
        """About how long it takes, with the probes that are to follow it, and without the turns of others."""
        own = sum(phase.seconds for phase in self.phases if not phase.idle)
        drain = 0.0 if self.seat else self.drain_seconds  # a group is drained once
        one = STARTING_SECONDS[self.system] + own + drain
        return one * max(1, PROBES + 1 - self.probe) if self.probe else one

    @property
    def name(self) -> str:
        """System and repeat, and the probe of a search: the same for all attempts."""
        probe = f"-p{self.probe:02}" if self.probe else ""
        return f"{self.id}-r{self.repeat}{probe}"

    @property
    def killed(self) -> set[str]:
        """Services that die in it because they are to."""
        return {phase.action.service for phase in self.phases if phase.action and phase.action.what in DEADLY}

    def at_rate(self, experiment: Experiment, rate: float) -> "Trial":
        """The next probe of the same search: the searched phase at another rate."""
        search = experiment.search
        phases = [
            replace(phase, rates=_scaled(phase.rates, rate))
            if search and phase.name == search.phase
            else phase
            for phase in self.phases
        ]
        return replace(self, phases=phases, rate=rate, probe=self.probe + 1, attempt=1)

    @property
    def folder(self) -> str:
        """Name of its folder: order first, so that a listing shows what happened when."""
        return f"{self.order:03}-{self.name}{f'-try{self.attempt}' if self.attempt > 1 else ''}"


def more_than_one(replicas: Mapping[str, int]) -> dict[str, int]:
    """Replica counts without the ones, so that two spellings of the same system are equal."""
    return {name: count for name, count in sorted(replicas.items()) if count != 1}


def plan(experiments: Sequence[Experiment], *, share: bool) -> list[Trial]:
    """All trials in order. With `share`, equal systems of different experiments are one trial per repeat.

    Those that take turns are never shared, and come one after another.
    """
    trials: list[Trial] = []
    groups: Iterable[Sequence[Experiment]] = [experiments] if share else [[each] for each in experiments]
    for group in groups:
        for repeat in range(1, max(each.repeats for each in group) + 1):
            drawn = _repeat(group, repeat)
            random.Random(f"{group[0].seed}:{repeat}").shuffle(drawn)
            trials += chain.from_iterable(drawn)
    for order, trial in enumerate(trials, start=1):
        trial.order = order
    return trials


def _scaled(rates: Mapping[str, float], rate: float) -> dict[str, float]:
    """The same mix with `rate` visits per second in all."""
    total = sum(rates.values())
    return {persona: each * rate / total for persona, each in rates.items()}


def _repeat(experiments: Sequence[Experiment], repeat: int) -> list[list[Trial]]:
    """The trials of a repeat, those that take turns together and the others each alone."""
    found: dict[object, list[Trial]] = {}
    for experiment in experiments:
        if repeat > experiment.repeats:
            continue
        groups: dict[str, list[Trial]] = {}
        for system in experiment.systems:
            same = (system.system, str(more_than_one(system.replicas)), system.products, str(system.slices))
            if group := experiment.group_of(system.id):
                trial = _trial(experiment, system, repeat, f"{experiment.name}:{group[0]}:{repeat}")
                groups[trial.group] = found.setdefault(trial.group, [])
                groups[trial.group].append(trial)
                _add(trial, experiment, system, experiment.phases)
            elif any(phase.record for phase in experiment.plain_phases()):
                (trial,) = found.setdefault(same, [_trial(experiment, system, repeat)])
                _add(trial, experiment, system, experiment.plain_phases())
            if experiment.search:
                probe = _trial(experiment, system, repeat)
                _add(probe, experiment, system, experiment.searched_phases())
                found[*same, "probe"] = [probe.at_rate(experiment, experiment.search.start)]
        if experiment.turns:
            for trials in groups.values():
                take_turns(trials, experiment.turns)
    return list(found.values())


def _trial(experiment: Experiment, system: System, repeat: int, group: str = "") -> Trial:
    return Trial(
        system.system,
        more_than_one(system.replicas),
        system.label,
        repeat,
        id=system.id,
        products=system.products,
        group=group,
        seed=f"{experiment.seed}:{repeat}",
    )


def _add(trial: Trial, experiment: Experiment, system: System, phases: Iterable[PhaseText]) -> None:
    limits = experiment.limits
    trial.timeout_seconds = max(trial.timeout_seconds, limits.timeout_seconds)
    trial.drain_seconds = max(trial.drain_seconds, limits.drain_seconds)
    for persona, count in limits.users.items():
        trial.users[persona] = max(trial.users.get(persona, 0), count)
    trial.phases += [_planned(experiment, phase, system) for phase in phases]


def _planned(experiment: Experiment, phase: PhaseText, system: System) -> PlannedPhase:
    replicas = max(system.replicas.values(), default=1)
    action = phase.action
    return PlannedPhase(
        experiment.name,
        phase.name,
        phase.seconds,
        {str(persona): rate for persona, rate in phase.rates.items()},
        phase.shape,
        {str(persona): count * replicas for persona, count in phase.in_flight_per_replica.items()},
        experiment.slice_of(phase),
        phase.record,
        phase.overload,
        # A workspace on its way still has a service that is called monolith, and it is another that is to be saturated.
        tuple(name for name in phase.saturates if (name == "monolith") == (system.system == "monolith")),
        phase.points,
        {} if phase.slice_cores else system.slices,
        PlannedAction(action.what, action.of[system.system], action.at)
        if action and system.system in action.of
        else None,
    )


def system_of(experiment: Experiment, facts: Mapping[str, Any]) -> System | None:
    """The experiment's name for a system that was run, from the facts of its trial.

    A trial that several experiments shared has the id that the first of them gave it, so replicas decide there; runs
    from before there were ids have none.
    """
    same = [each for each in experiment.systems if _runs_as(each, facts)]
    named = [each for each in same if each.id == facts.get("id")]
    return next(iter(named or same), None)


def _runs_as(system: System, facts: Mapping[str, Any]) -> bool:
    return (
        system.system == facts["system"]
        and more_than_one(system.replicas) == more_than_one(facts["replicas"])
        and system.products == facts.get("products")
    )
