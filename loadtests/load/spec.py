"""The specification of a load, a JSON file that the lab writes for the generator."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtests.load.arrivals import Phase

CUSTOMERS = 5000
"""Of the default data set."""


@dataclass(frozen=True)
class Spec:
    """The load to generate.

    `users` is the most visits in flight per persona, `seed` fixes times and choices, and `out` is the file of the
    log. `customers` is how many customers the data set has. With `controlled` the generator waits for commands on
    standard input (see `loadtests.load.generate`).
    """

    seed: str
    phases: tuple[Phase, ...]
    users: Mapping[str, int]
    out: Path
    host: str = ""
    timeout_seconds: float = 10.0
    drain_seconds: float = 10.0
    controlled: bool = False
    customers: int = CUSTOMERS

    @classmethod
    def read(cls, path: Path) -> "Spec":
        """Read a file. OSError, ValueError, TypeError or KeyError if it is missing or invalid."""
        data = json.loads(path.read_text(encoding="utf-8"))
        phases = tuple(Phase(**phase) for phase in data.pop("phases"))
        return cls(phases=phases, out=Path(data.pop("out")), **data)
