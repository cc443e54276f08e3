"""How a run is made: what its user may choose, and what is shown while it runs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.experiments.kinds import Kind
from loadtests.planning.remaining import Span
from loadtests.rig.targets import KINDS, Target, target
from loadtests.running.until import Goal

GATE_REQUESTS = 200


@dataclass(frozen=True)
class Options:
    """How a run is made. `form` is "full" or "demo", `command` what the user typed, `share` as in `plan`."""

    form: str
    command: str
    share: bool = False
    attempts: int = 3
    """The first one included: three means that a void trial is repeated at most twice."""
    gate_requests: int = GATE_REQUESTS
    backend: str | None = None
    """Of the CPU slices; None takes the first that works."""
    budget_seconds: float = math.inf
    """No void trial is repeated if the run could then take longer: the demo promises its length."""
    wait_share: float = 0.15
    """Share of the planned time that may be spent on waiting for a calm machine."""
    until: Goal | None = None
    """Repeat until the primary claims are that precise; None: as often as the experiment says."""
    processes: int = 1
    """Of the load generator, in each trial."""
    shops: Mapping[Kind, str | None] = field(default_factory=dict)
    """Folders or addresses of other shops than this project's own."""

    def targets(self) -> dict[Kind, Target]:
        """The two shops to compare; raises TargetError or WorkspaceError."""
        return {kind: target(kind, self.shops.get(kind)) for kind in KINDS}


@dataclass(frozen=True)
class Step:
    """What happens next, for the progress display. `left` are estimated seconds."""

    text: str
    left: Span
    trials: Mapping[Path, str] = field(default_factory=dict)
    """Folders of the trials that begin, with their labels; `loadtests.rig.live` reads their progress there."""


Show = Callable[[Step], None]
