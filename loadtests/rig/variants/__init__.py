"""Shops with one thing changed: recommendations on Node, or its hot code with NumPy."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from loadtests.experiments.kinds import Variant
from loadtests.rig.shop import TargetError
from microservices.topology import Topology, on_node

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PACKAGES: Mapping[str, str] = {"monolith": "monolith", "microservices": "microservices"}
"""The package that is copied and changed, by the name of its topology."""
CHANGED = "recommendations"


def varied(topology: Topology, variant: Variant | None, home: Path) -> Topology:
    """The topology that runs this variant; `home` is where changed copies of the code are put. Raises TargetError."""
    if variant is None:
        return topology
    if variant == "node":
        try:
            return on_node(topology)
        except ModuleNotFoundError as error:
            raise TargetError(str(error)) from None
    return replace(topology, folder=_copy(PACKAGES[topology.name], variant, home / "variants"))


@cache
def _copy(package: str, variant: Variant, folder: Path) -> Path:
    """A folder with a copy of the package, in which the variant's files take the place of those of recommendations.

    Made once by each process that runs trials, so that it is never older than the code.
    """
    code = folder / variant / package
    shutil.rmtree(code, ignore_errors=True)
    shutil.copytree(ROOT / package, code, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    for file in (HERE / variant).glob("*.py"):
        shutil.copy(file, code / CHANGED / file.name)
    return folder / variant
