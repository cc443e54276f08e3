"""Which code a process gets: that of a workspace and none of the course's, or the course's and none of a workspace.

The course is installed in editable mode. So Python finds the course's own package wherever a workspace has none, and
code that a learner deleted would still run. A process of a workspace is started with the environment of `in_workspace`.
The other way round, Python imports from the working directory first, which may be a workspace. So a process of the
course is started with the environment of `of_course`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

COURSE = Path(__file__).resolve().parents[2]
"""The folder that holds the course's packages."""
PACKAGES = ("monolith", "microservices", "loadtests", "exercises")
"""The course's packages. A process of a workspace gets those of them that the workspace has."""
HERE = str(Path(__file__).resolve().parent)

UNSEALED = "WORKSHOP_UNSEALED"
"""As in `_shop_twice_seal`: a process of the course that somebody started in a workspace."""
LOADED = "WORKSHOP_LOADED"
"""As in `_shop_twice_seal`: the file to which a sealed process adds the Python files that it has loaded."""

MEANT = {
    "microservices.topology": "topology.py describes the shop with its classes; the launcher reads that file, so it "
    "runs in the launcher's process.",
}
"""The modules of the course that a file of a workspace may import without having them, each with its reason."""


def in_workspace(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """`env` for a process that runs code of `folder`: Python starts with `sitecustomize.py`, which seals it."""
    return {**env, "PYTHONPATH": _path(HERE, str(folder.absolute()), env.get("PYTHONPATH", ""))}


def of_course(env: Mapping[str, str]) -> dict[str, str]:
    """`env` for a process that runs the course's own code, whatever its working directory has."""
    return {**env, "PYTHONPATH": _path(str(COURSE), env.get("PYTHONPATH", "")), "PYTHONSAFEPATH": "1"}


def _path(*folders: str) -> str:
    return os.pathsep.join(folder for folder in folders if folder)
