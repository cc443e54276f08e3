"""A trial: one start of one system with fresh processes and data, and the phases that it runs. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.kinds import Kind
from loadtests.planning.phases import PlannedPhase

PROBES = 8
"""About as many trials a search takes."""
STARTING_SECONDS = {"monolith": 1.8, "microservices": 3.4}  # boot, sign-ins and stop; measured on two cores
DEADLY = {"kill", "dead"}


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
    """Of trials whose shops take turns (`loadtests.planning.turns`); empty where a trial is alone."""
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


def _scaled(rates: Mapping[str, float], rate: float) -> dict[str, float]:
    """The same mix with `rate` visits per second in all."""
    total = sum(rates.values())
    return {persona: each * rate / total for persona, each in rates.items()}
