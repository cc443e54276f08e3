"""A trial: one start of one system, with new processes and fresh data, and its phases. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.kinds import Kind, Variant
from loadtests.planning.phases import PlannedPhase

STARTING_SECONDS = {"monolith": 1.8, "microservices": 3.4}  # start, sign-ins and stop; measured on two cores
KILLING = {"kill", "dead"}


@dataclass
class Trial:
    """One start of one system with new processes and fresh data, and the phases that it runs.

    In a search, `rate` is the rate of this trial in visits per second and `probe` its number, from 1. Otherwise they
    are None and 0.
    """

    system: Kind
    replicas: dict[str, int]
    label: str
    repeat: int
    id: str = ""
    products: int | None = None
    route: dict[str, str | int] | None = None
    """What the gateway does with one path of a monolith (`loadtests.experiments.parts.RouteRule`)."""
    variant: Variant | None = None
    following: dict[str, Any] | None = None
    """How the replicas of a service change, and the demand (`loadtests.experiments.parts.Following`, `Demand`)."""
    rate: float | None = None
    probe: int = 0
    order: int = 0
    attempt: int = 1
    group: str = ""
    """The name that trials share whose shops take turns (`loadtests.planning.turns`); empty for a trial on its own."""
    seat: int = 0
    """Its position in the group, from 0."""
    phases: list[PlannedPhase] = field(default_factory=list)
    users: dict[str, int] = field(default_factory=dict)
    timeout_seconds: float = 0.0
    drain_seconds: float = 0.0
    seed: str = ""

    @property
    def seconds(self) -> float:
        """Its estimated duration, without the turns of others."""
        own = sum(phase.seconds for phase in self.phases if not phase.idle)
        drain = 0.0 if self.seat else self.drain_seconds  # a group drains once
        return STARTING_SECONDS[self.system] + own + drain

    @property
    def experiment(self) -> str:
        """The name of the experiment, or of the first of several that share the trial."""
        return self.phases[0].experiment

    @property
    def key(self) -> str:
        """The same for all attempts at a trial, and for all trials of one search."""
        return f"{self.experiment}:{self.id}:{self.repeat}{':search' if self.probe else ''}"

    @property
    def name(self) -> str:
        """System, repeat, and the number of the probe in a search. All attempts have the same name."""
        probe = f"-p{self.probe:02}" if self.probe else ""
        return f"{self.id}-r{self.repeat}{probe}"

    @property
    def killed(self) -> set[str]:
        """The services that the trial kills on purpose."""
        return {
            phase.action.service for phase in self.phases if phase.action and phase.action.what in KILLING
        }

    def at_rate(self, experiment: Experiment, rate: float) -> "Trial":
        """The next probe of the same search: the same phases, with the searched phase at another rate."""
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
        """The name of its folder. The order comes first, so that a sorted listing is in the order of time."""
        return f"{self.order:03}-{self.name}{f'-try{self.attempt}' if self.attempt > 1 else ''}"


def canonical(replicas: Mapping[str, int]) -> dict[str, int]:
    """The replica counts in canonical form: without those of 1, so that two spellings of one system are equal."""
    return {name: count for name, count in sorted(replicas.items()) if count != 1}


def _scaled(rates: Mapping[str, float], rate: float) -> dict[str, float]:
    """The same mix with `rate` visits per second in total."""
    total = sum(rates.values())
    return {persona: each * rate / total for persona, each in rates.items()}
