"""Makes the course's packages invisible to a process: afterwards they are missing, as on a machine without the course.

It runs at the start of Python, before any other module of the project, so it imports none and nothing slow. Its name is
one that no module of a learner has.
"""

from __future__ import annotations

import atexit
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- pathlib takes 5 ms, at each start
COURSE = os.path.dirname(os.path.dirname(HERE))  # noqa: PTH120
COMMANDS = ("exercises", "microservices", "loadtests")
"""Programs of the course itself, which somebody may start in a workspace."""
UNSEALED = "WORKSHOP_UNSEALED"
"""Set for the processes that such a program starts; those that run a learner's code are sealed by `sitecustomize`."""
LOADED = "WORKSHOP_LOADED"
"""Names a file. A sealed process adds to it, when it ends, the Python files of its working directory that it loaded."""


def seal() -> None:
    """Remove the ways by which an editable installation of the course is found, and the course's folder itself."""
    hidden = {HERE, COURSE}
    for finder in list(sys.meta_path):
        module = sys.modules.get(getattr(finder, "__module__", ""))
        if "exercises" in getattr(module, "MAPPING", ()):  # setuptools' finder for editable packages
            sys.meta_path.remove(finder)
            hidden.add(getattr(module, "PATH_PLACEHOLDER", ""))
    sys.path[:] = [entry for entry in sys.path if entry not in hidden]


def tell_what_was_loaded() -> None:
    """Let the process add its Python files to the file that LOADED names, if it names one."""
    if LOADED in os.environ:
        atexit.register(_tell, os.environ[LOADED], os.getcwd())  # noqa: PTH109


def seal_in_a_workspace() -> None:
    """Seal this process if somebody has started it by hand in a workspace. A .pth file calls this at each start."""
    sys.path.remove(HERE)
    folder = _workspace()
    if not folder or UNSEALED in os.environ:
        return
    if _program() in COMMANDS:
        os.environ[UNSEALED] = "1"
    else:
        seal()
        sys.path.append(folder)


def _tell(target: str, folder: str) -> None:
    folder = os.path.realpath(folder)
    # A script's own name is only among the arguments: Python has forgotten its __file__ by now.
    files = [
        *sys.orig_argv[1:],
        *(getattr(module, "__file__", None) for module in list(sys.modules.values())),
    ]
    found = {os.path.relpath(os.path.realpath(file), folder) for file in files if file}
    with open(target, "a", encoding="utf-8") as told:  # noqa: PTH123
        told.writelines(f"{file}\n" for file in sorted(found) if not file.startswith(os.pardir))


def _workspace() -> str:
    """The workspace that the working directory is in; empty when it is in none."""
    try:
        folder = os.getcwd()  # noqa: PTH109
    except OSError:
        return ""
    while not os.path.exists(f"{folder}/.exercises/state.json"):  # noqa: PTH110
        above = os.path.dirname(folder)  # noqa: PTH120
        if above == folder:
            return ""
        folder = above
    return folder


def _program() -> str:
    """The module or script that Python was told to run, without its folder; empty for code on the command line."""
    words = iter(sys.orig_argv[1:])
    for word in words:
        if word == "-m":
            return next(words, "").partition(".")[0]
        if word in {"-X", "-W"}:
            next(words, "")
        elif not word.startswith("-"):
            return os.path.basename(word)  # noqa: PTH119
        elif word == "-c":
            break
    return ""
