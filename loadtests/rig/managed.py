"""A shop that the lab starts itself, with fresh processes and fresh data for each trial."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.kinds import Kind
from loadtests.planning.trials import Trial
from loadtests.rig.shape import route_refusal, shaped
from loadtests.rig.shop import TargetError
from loadtests.rig.variants import varied
from microservices.launcher import Fleet, Replica, RunFolder, default_home, sqlite_url
from microservices.launcher.seed import seed_workspace
from microservices.topology import Topology, Workspace

SEED_COMMANDS: Mapping[Kind, tuple[str, ...]] = {
    "monolith": ("-m", "monolith.cli", "seed"),
    "microservices": ("-m", "microservices.cli", "seed", "--data", "{data}"),
}
PRODUCTS = "SHOP_PRODUCTS"


@dataclass(frozen=True)
class ManagedTarget:
    """A shop of this project or of a workspace. `at` is the workspace's folder, as the user wrote it."""

    kind: Kind
    topology: Topology
    workspace: Workspace | None = None
    at: str = ""
    managed: bool = True

    def refusal(self, experiment: Experiment) -> str | None:
        """Why this shop cannot run the experiment: a service that it does not have. None when it can."""
        known = {service.name for service in self.topology.services}
        for wanted in _services(experiment, self.kind):
            if wanted not in known:
                return (
                    f"{experiment.name} needs a service {wanted}, which {self.at or self.kind} does not have."
                )
        changed = any(system.variant and system.system == self.kind for system in experiment.systems)
        if changed and self.workspace:
            return f"{experiment.name} exchanges code of this project's own shops; {self.at} has code of its own."
        routed = any(system.route and system.system == self.kind for system in experiment.systems)
        if routed and (reason := route_refusal(self.topology)):
            return (
                f"{experiment.name} needs a shop whose hot path can be routed apart, and {reason}; "
                "--short leaves those systems out."
            )
        return None

    def seed(self, home: Path, sizes: Iterable[int | None]) -> None:
        """Make the template data below `home` for each number of products; None is the default size.

        Seeding runs in processes of its own and copies databases from a cache where it can. Raises TargetError.
        """
        for products in dict.fromkeys(sizes):
            data = self._template(home, products)
            shutil.rmtree(data, ignore_errors=True)
            data.mkdir(parents=True)
            size = {PRODUCTS: str(products)} if products else {}
            if self.workspace:
                seed_workspace(self.workspace, data, env=size)
            else:
                _run_seed(self.kind, data, size)

    def databases(self, home: Path, products: int | None) -> int:
        """How many databases its template data has."""
        return sum(1 for _ in self._template(home, products).rglob("*.sqlite3"))

    @contextmanager
    def open(self, trial: Trial, home: Path, on_ready: Callable[[Replica], None]) -> Iterator[Fleet]:
        """Start fresh processes on fresh data. Dead ones are restarted only where the trial kills them on purpose."""
        place = shop_home(home, trial.seat)
        data = place / f"trial-{self.kind}"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self._template(home, trial.products), data)
        with Fleet(
            shaped(varied(self.topology, trial.variant, home), trial),
            trial.replicas,
            data_dir=data,
            home=place,
            on_ready=on_ready,
            restart=bool(trial.killed),
        ) as fleet:
            yield fleet
        shutil.rmtree(data, ignore_errors=True)

    def _template(self, home: Path, products: int | None) -> Path:
        return home / "templates" / f"{self.kind}{f'-{products}' if products else ''}"


def shop_home(home: Path, seat: int) -> Path:
    """The folder of a trial's shop: `home` itself for the first, one below it for each more that runs beside it."""
    return home / f"seat-{seat}" if seat else home


def stop_leftovers(home: Path) -> None:
    """Stop processes that a killed lab left in the homes after the first.

    A fleet that starts in a home stops such leftovers itself, but the next run may not use these homes.
    """
    for run in home.glob("seat-*/run/*"):
        folder = RunFolder(run.parent.parent, run.name)
        folder.claim(lambda _text: None)
        folder.release()


def _services(experiment: Experiment, kind: Kind) -> Iterator[str]:
    """The services that the experiment names for this kind of shop."""
    for system in experiment.systems:
        if system.system == kind:
            pool = system.route.pool if system.route else None
            yield from (name for name in (*system.replicas, *system.slices) if name != pool)
    for phase in experiment.phases:
        if phase.action and kind in phase.action.of:
            yield phase.action.of[kind]


def _run_seed(kind: Kind, data: Path, size: Mapping[str, str]) -> None:
    env = {**os.environ, "SHOP_HOME": str(default_home()), **size}
    if kind == "monolith":
        env["SHOP_DATABASE_URL"] = sqlite_url(data / "monolith.sqlite3")
    else:
        env.pop("SHOP_DATABASE_URL", None)
    command = [sys.executable, *(part.format(data=data) for part in SEED_COMMANDS[kind])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        output = (done.stderr or done.stdout).strip().splitlines() or ["it wrote nothing"]
        raise TargetError(f"The {kind} shop could not be seeded: {output[-1]}")
