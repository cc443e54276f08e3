"""Which shop is measured: this project's own, a workspace in a folder, or one that already runs at an address."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.kinds import Kind
from loadtests.rig.external import ExternalTarget
from loadtests.rig.managed import SEED_COMMANDS, ManagedTarget
from loadtests.rig.shop import TargetError
from microservices.launcher import MONOLITH, SPLIT
from microservices.topology import Topology, Workspace, load

KINDS: tuple[Kind, ...] = ("monolith", "microservices")
TOPOLOGIES: Mapping[Kind, Topology] = {"monolith": MONOLITH, "microservices": SPLIT}

Target = ManagedTarget | ExternalTarget
"""One of the two shops of a comparison."""


def target(kind: Kind, where: str | None) -> Target:
    """The shop to measure as `kind`: this project's own when `where` is None, else the one in a folder or at a URL.

    Raises TargetError when there is no shop, and WorkspaceError when the folder's topology.py is wrong.
    """
    if where is None:
        return ManagedTarget(kind, TOPOLOGIES[kind])
    if where.startswith(("http://", "https://")):
        return ExternalTarget(kind, where)
    folder = Path(where)
    if (folder / "topology.py").is_file():
        workspace = load(folder)
        return ManagedTarget(kind, workspace.topology, workspace, where)
    if kind == "monolith" and (folder / "monolith" / "__init__.py").is_file():
        topology = replace(MONOLITH, folder=folder.absolute())
        workspace = Workspace(topology, {"monolith": SEED_COMMANDS["monolith"]})
        return ManagedTarget(kind, topology, workspace, where)
    raise TargetError(f"{where} is neither an http:// address nor a folder with a shop's topology.py in it.")


def check(targets: Mapping[Kind, Target], experiments: Sequence[Experiment]) -> None:
    """Raise TargetError when one of the shops cannot run one of the experiments."""
    for experiment in experiments:
        for each in targets.values():
            if refusal := each.refusal(experiment):
                raise TargetError(refusal)
