"""A phase of a trial as it runs, and the action on the shop in it. Imports no library."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtests.experiments.curves import Point
from loadtests.experiments.kinds import PROMISE_MS, ActionKind, Shape

IDLE = "others"
"""The name of a phase in which a shop gets no load, because other shops have their turn."""


@dataclass(frozen=True)
class PlannedAction:
    """The action `what` on `service`, `at` seconds after the phase begins."""

    what: ActionKind
    service: str
    at: float


@dataclass(frozen=True)
class PlannedPhase:
    """A phase of one experiment as it runs. A trial's file keeps all of it.

    `rates` are visits per second, `most` the visits in flight, both by persona.
    """

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
    curve_of: tuple[str, ...] = ()
    """The personas that follow the curve; empty for all of them."""
    slices: Mapping[str, float] = field(default_factory=dict)
    """Cores by service, where they differ from `slice_cores`."""
    action: PlannedAction | None = None
    promise_ms: float = PROMISE_MS
    """The time in which a visitor is promised an answer. Trials of older versions do not have it."""
    follow: bool = False
    """Whether the replicas of a service follow demand (`loadtests.experiments.parts.Following`)."""
    idle: bool = False
    """Whether the shop gets no load, because other shops have their turn."""

    def cores_of(self, service: str) -> float:
        """The cores of each replica of the service."""
        return self.slices.get(service, self.slice_cores)
