"""The specification of a load, a JSON file that the lab writes for the generator."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtests.load.arrivals import Phase

CUSTOMERS = 5000
"""Of the default data set."""


@dataclass(frozen=True)
class Spec:
    """The load to generate.

    `users` is the most visits in flight per persona, `seed` fixes times and choices, and `out` is the file of the
    log. `customers` is how many customers the data set has. With `controlled` the generator waits for commands on
    standard input (see `loadtests.load.generate`).

    `processes` is how many make the load. They are started here, unless `listen` names an address at which they are
    expected (see `loadtests.load.distributed`). `part` is the number of this process, from 0, and their number.
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
    processes: int = 1
    listen: str = ""
    part: tuple[int, int] = (0, 1)

    @classmethod
    def read(cls, path: Path) -> "Spec":
        """Read a file. OSError, ValueError, TypeError or KeyError if it is missing or invalid."""
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Spec":
        """What `to_dict` returned, or a file holds. TypeError, ValueError or KeyError if it is invalid."""
        phases = tuple(Phase(**phase) for phase in data["phases"])
        given = dict(data) | {
            "phases": phases,
            "out": Path(data["out"]),
            "part": tuple(data.get("part", (0, 1))),
        }
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON has it."""
        return {**asdict(self), "out": str(self.out)}

    def share_of(self, count: int) -> int:
        """How many of `count` users, or of visits under way, are this process's."""
        number, processes = self.part
        return len(range(number, count, processes))

    def is_mine(self, number: int, at_once: int) -> bool:
        """Whether this process makes the visit with this number, of a persona with so many visits at once.

        They take turns. A persona that may have fewer visits at once than there are processes is left to the first of
        them.
        """
        mine, processes = self.part
        return number % min(processes, at_once) == mine
