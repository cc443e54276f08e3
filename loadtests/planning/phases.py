"""A phase of a trial as it is run, and what is done to the shop in it. Needs no library."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtests.experiments.curves import Point
from loadtests.experiments.kinds import ActionKind, Shape

IDLE = "others"
"""The name of a phase in which a shop only waits while others have their turn."""


@dataclass(frozen=True)
class PlannedAction:
    """ActionKind is done to the shop in a phase: `what` to `service`, `at` seconds after the phase's begin."""

    what: ActionKind
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
