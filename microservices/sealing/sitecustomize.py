"""Makes the course's packages invisible to a process of a workspace; Python imports this module before anything else.

Afterwards a package that the workspace does not have is missing, as on a machine without the course. Subprocesses get
the same by PYTHONPATH. It must not import a package of the project: it decides whether those can be found.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- pathlib takes 5 ms, at each start
COURSE = os.path.dirname(os.path.dirname(HERE))  # noqa: PTH120


def seal() -> None:
    """Remove the ways by which an editable installation of the course is found, and the course's folder itself."""
    hidden = {HERE, COURSE}
    for finder in list(sys.meta_path):
        module = sys.modules.get(getattr(finder, "__module__", ""))
        if "exercises" in getattr(module, "MAPPING", ()):  # setuptools' finder for editable packages
            sys.meta_path.remove(finder)
            hidden.add(getattr(module, "PATH_PLACEHOLDER", ""))
    sys.path[:] = [entry for entry in sys.path if entry not in hidden]


seal()
