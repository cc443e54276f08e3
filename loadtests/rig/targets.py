"""Which shop is measured: this project's own, one in a folder, at an address, or in a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loadtests.experiments.experiment import Experiment
from loadtests.experiments.kinds import Kind
from loadtests.rig.cluster import PREFIX, ClusterTarget, cluster_target
from loadtests.rig.external import ExternalTarget
from loadtests.rig.managed import SEED_COMMANDS, ManagedTarget
from loadtests.rig.shop import TargetError
from microservices.launcher import MONOLITH, SPLIT
from microservices.topology import Topology, Workspace, load

KINDS: tuple[Kind, ...] = ("monolith", "microservices")
TOPOLOGIES: Mapping[Kind, Topology] = {"monolith": MONOLITH, "microservices": SPLIT}

Target = ManagedTarget | ExternalTarget | ClusterTarget
"""One of the two shops of a comparison."""


def target(kind: Kind, where: str | None) -> Target:
    """The shop to measure as `kind`: the one in a folder, at a URL or in a cluster; this project's own for None.

    Raises TargetError when there is no shop, and WorkspaceError when the folder's topology.py is wrong.
    """
    if where is None:
        return ManagedTarget(kind, TOPOLOGIES[kind])
    if where.startswith(("http://", "https://")):
        return ExternalTarget(kind, where)
    if where.startswith(PREFIX):
        return cluster_target(kind, where)
    folder = Path(where)
    if (folder / "topology.py").is_file():
        workspace = load(folder)
        return ManagedTarget(kind, workspace.topology, workspace, where)
    if kind == "monolith" and (folder / "monolith" / "__init__.py").is_file():
        topology = replace(MONOLITH, folder=folder.absolute())
        workspace = Workspace(topology, {"monolith": SEED_COMMANDS["monolith"]})
        return ManagedTarget(kind, topology, workspace, where)
    raise TargetError(
        f"{where} is neither an http:// address nor kube:NAMESPACE nor a folder with a shop's topology.py in it."
    )


def check(targets: Mapping[Kind, Target], experiments: Sequence[Experiment]) -> None:
    """Raise TargetError when one of the shops cannot run one of the experiments."""
    for experiment in experiments:
        for each in targets.values():
            if refusal := each.refusal(experiment):
                raise TargetError(refusal)


def clusters(targets: Mapping[Kind, Target]) -> dict[Kind, ClusterTarget]:
    """The shops that run in a cluster. A namespace has one shop, so their systems cannot take turns."""
    return {kind: each for kind, each in targets.items() if isinstance(each, ClusterTarget)}
