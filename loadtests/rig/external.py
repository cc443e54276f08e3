"""A shop that somebody else runs at an address.

The lab only sends it requests: its processes cannot be started afresh, sliced, observed or replaced. An experiment
that needs this is refused before anything starts. The report names the rest among its doubts.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.kinds import Kind
from loadtests.load.shelf import ShopNotThereError, learn
from loadtests.rig.shop import TargetError
from microservices.launcher import Death, Replica


@dataclass(frozen=True)
class ExternalTarget:
    """The shop at the address `at`: target and running shop in one. Data of earlier trials stays in it."""

    kind: Kind
    at: str
    managed: bool = False

    @property
    def url(self) -> str:
        """The address without a slash at its end."""
        return self.at.rstrip("/")

    @property
    def gateway(self) -> int:
        """0: the lab cannot observe it."""
        return 0

    @property
    def died(self) -> list[Death]:
        """Empty: the lab cannot observe it."""
        return []

    def replicas(self, name: str | None = None) -> list[Replica]:  # noqa: ARG002 - as a Fleet has it
        """Empty: the lab cannot observe them."""
        return []

    def scale(self, name: str, count: int) -> list[Replica]:
        """Always raises TargetError."""
        raise TargetError(f"{name} at {self.at} cannot be scaled to {count} from here.")

    def restart(self, name: str) -> list[Replica]:
        """Always raises TargetError."""
        raise TargetError(f"{name} at {self.at} cannot be restarted from here.")

    def refusal(self, experiment: Experiment) -> str | None:
        """Why this shop cannot run the experiment: it needs the shop's processes, or the shop does not answer."""
        systems = [each for each in experiment.systems if each.system == self.kind]
        changed = len(systems) > 1 or any(
            each.replicas or each.slices or each.products or each.route or each.following or each.variant
            for each in systems
        )
        acted_on = any(phase.action and self.kind in phase.action.of for phase in experiment.phases)
        if changed or acted_on:
            return (
                f"{experiment.name} starts, slices or replaces processes of the {self.kind} shop, which is not "
                f"possible at {self.at}; give a folder instead, or run tax or spike with --short."
            )
        try:
            learn(self.url)
        except ShopNotThereError as error:
            return str(error)
        return None

    def seed(self, home: Path, sizes: Iterable[int | None]) -> None:
        """Does nothing: the shop has its own data."""

    def databases(self, home: Path, products: int | None) -> None:
        """Always None: the lab cannot know."""

    @contextmanager
    def open(self, *_of_a_trial: object) -> Iterator["ExternalTarget"]:
        """Itself: it is already running."""
        yield self
