"""What is measured: this project's own shops, a workspace in a folder, or a shop that already runs at an address.

A shop at an address is only asked: its processes cannot be started afresh, put on slices, watched or replaced. What
needs that is refused before anything is started, and the rest says so in its doubts.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.kinds import Kind
from loadtests.load.shelf import ShopNotThereError, learn
from loadtests.planning.trials import Trial
from microservices.launcher import MONOLITH, SPLIT, Death, Fleet, Replica, RunFolder, default_home
from microservices.launcher.seed import seed_workspace
from microservices.topology import Topology, Workspace, load

KINDS: tuple[Kind, ...] = ("monolith", "microservices")
TOPOLOGIES: Mapping[Kind, Topology] = {"monolith": MONOLITH, "microservices": SPLIT}
SEED_COMMANDS: Mapping[Kind, tuple[str, ...]] = {
    "monolith": ("-m", "monolith.cli", "seed"),
    "microservices": ("-m", "microservices.cli", "seed", "--data", "{data}"),
}
PRODUCTS = "SHOP_PRODUCTS"


class TargetError(Exception):
    """A shop that cannot be measured; the sentence says why and what to do."""


class Shop(Protocol):
    """A running shop as a trial sees it: a Fleet, or one that somebody else runs."""

    @property
    def url(self) -> str:
        """Where it answers."""

    @property
    def gateway(self) -> int:
        """Pid of its gateway; 0 when it is not ours to watch."""

    @property
    def died(self) -> list[Death]:
        """What ended without being asked to."""

    def replicas(self, name: str | None = None) -> list[Replica]:
        """Its replicas, of one service when `name` is given."""

    def scale(self, name: str, count: int) -> list[Replica]:
        """Have `count` replicas of the service."""

    def restart(self, name: str) -> list[Replica]:
        """Replace the replicas of the service one after another."""


@dataclass(frozen=True)
class Started:
    """A shop that the lab starts: this project's own, or a workspace's, which `at` then names as the user did."""

    kind: Kind
    topology: Topology
    workspace: Workspace | None = None
    at: str = ""
    ours: bool = True

    def refusal(self, experiment: Experiment) -> str | None:
        """Names of services that it has not got."""
        known = {service.name for service in self.topology.services}
        for wanted in _services(experiment, self.kind):
            if wanted not in known:
                return (
                    f"{experiment.name} needs a service {wanted}, which {self.at or self.kind} has not got."
                )
        return None

    def seed(self, home: Path, sizes: Iterable[int | None]) -> None:
        """In processes of their own; databases are copied from a cache where they were made before."""
        for products in dict.fromkeys(sizes):
            data = self._data(home, products)
            shutil.rmtree(data, ignore_errors=True)
            data.mkdir(parents=True)
            size = {PRODUCTS: str(products)} if products else {}
            if self.workspace:
                seed_workspace(self.workspace, data, env=size)
            else:
                _run_seed(self.kind, data, size)

    def databases(self, home: Path, products: int | None) -> int:
        """Counted in its data."""
        return sum(1 for _ in self._data(home, products).rglob("*.sqlite3"))

    @contextmanager
    def open(self, trial: Trial, home: Path, on_ready: Callable[[Replica], None]) -> Iterator[Fleet]:
        """Fresh processes on fresh data; what dies is started again only where dying is the experiment."""
        place = seat(home, trial.seat)
        data = place / f"trial-{self.kind}"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self._data(home, trial.products), data)
        with Fleet(
            self.topology,
            trial.replicas,
            data_dir=data,
            home=place,
            on_ready=on_ready,
            restart=bool(trial.killed),
        ) as fleet:
            yield fleet
        shutil.rmtree(data, ignore_errors=True)

    def _data(self, home: Path, products: int | None) -> Path:
        return home / "templates" / f"{self.kind}{f'-{products}' if products else ''}"


@dataclass(frozen=True)
class Running:
    """A shop that somebody else runs at an address; each trial finds what the one before left in it."""

    kind: Kind
    at: str
    ours: bool = False

    @property
    def url(self) -> str:
        """The address without its last slash."""
        return self.at.rstrip("/")

    @property
    def gateway(self) -> int:
        """Nobody's that we could watch."""
        return 0

    @property
    def died(self) -> list[Death]:
        """Nothing that we would know of."""
        return []

    def replicas(self, name: str | None = None) -> list[Replica]:  # noqa: ARG002 - as a Fleet has it
        """None that we could watch."""
        return []

    def scale(self, name: str, count: int) -> list[Replica]:
        """Not ours to scale."""
        raise TargetError(f"{name} at {self.at} cannot be scaled to {count} from here.")

    def restart(self, name: str) -> list[Replica]:
        """Not ours to restart."""
        raise TargetError(f"{name} at {self.at} cannot be restarted from here.")

    def refusal(self, experiment: Experiment) -> str | None:
        """Everything that needs its processes, and a shop that does not answer."""
        systems = [each for each in experiment.systems if each.system == self.kind]
        changed = len(systems) > 1 or any(each.replicas or each.slices or each.products for each in systems)
        acted_on = any(phase.action and self.kind in phase.action.of for phase in experiment.phases)
        if changed or acted_on:
            return (
                f"{experiment.name} starts, slices or replaces processes of the {self.kind} shop, which it cannot do "
                f"at {self.at}; give a folder instead, or run tax or spike."
            )
        try:
            learn(self.url)
        except ShopNotThereError as error:
            return str(error)
        return None

    def seed(self, home: Path, sizes: Iterable[int | None]) -> None:
        """It has its own data."""

    def databases(self, home: Path, products: int | None) -> None:
        """Nobody knows."""

    @contextmanager
    def open(self, *_of_a_trial: object) -> Iterator["Running"]:
        """It is open already."""
        yield self


Target = Started | Running
"""One of the two sides of every comparison."""


def target(kind: Kind, where: str | None) -> Target:
    """The shop to measure as `kind`: this project's own, or the one in that folder or at that address."""
    if where is None:
        return Started(kind, TOPOLOGIES[kind])
    if where.startswith(("http://", "https://")):
        return Running(kind, where)
    folder = Path(where)
    if (folder / "topology.py").is_file():
        workspace = load(folder)
        return Started(kind, workspace.topology, workspace, where)
    if kind == "monolith" and (folder / "monolith" / "__init__.py").is_file():
        topology = replace(MONOLITH, folder=folder.absolute())
        return Started(kind, topology, Workspace(topology, {"monolith": SEED_COMMANDS["monolith"]}), where)
    raise TargetError(f"{where} is neither an http:// address nor a folder with a shop's topology.py in it.")


def check(targets: Mapping[Kind, Target], experiments: Sequence[Experiment]) -> None:
    """Raise TargetError when one of the shops cannot do what the experiments ask for."""
    for experiment in experiments:
        for each in targets.values():
            if refusal := each.refusal(experiment):
                raise TargetError(refusal)


def seat(home: Path, number: int) -> Path:
    """Where a trial's shop lives: in `home` itself, or below it where it is one more of those that are up together."""
    return home / f"seat-{number}" if number else home


def sweep(home: Path) -> None:
    """End what a killed lab left in the seats beside the first, which the next run may not take."""
    for run in home.glob("seat-*/run/*"):
        folder = RunFolder(run.parent.parent, run.name)
        folder.claim(lambda _text: None)
        folder.release()


def _services(experiment: Experiment, kind: Kind) -> Iterator[str]:
    for system in experiment.systems:
        if system.system == kind:
            yield from (*system.replicas, *system.slices)
    for phase in experiment.phases:
        if phase.action and kind in phase.action.of:
            yield phase.action.of[kind]


def _run_seed(kind: Kind, data: Path, size: Mapping[str, str]) -> None:
    env = {**os.environ, "SHOP_HOME": str(default_home()), **size}
    if kind == "monolith":
        env["SHOP_DATABASE_URL"] = f"sqlite:///{data}/monolith.sqlite3"
    else:
        env.pop("SHOP_DATABASE_URL", None)
    command = [sys.executable, *(part.format(data=data) for part in SEED_COMMANDS[kind])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise TargetError(f"The {kind} shop could not be seeded: {said[-1]}")
