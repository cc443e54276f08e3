"""A program that kills itself at a boundary: `python -m microservices.tests.crashing MODULE ARGUMENTS`.

It runs `python -m MODULE ARGUMENTS`. SHOP_CRASH_AT is the path of a file with the name of a boundary. The process that
reaches this boundary deletes the file and kills itself, so that it happens once, even if several replicas share the
file. Without the file nothing happens.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path

from microservices.tests.boundaries import installed


def crash_at(name: str) -> None:
    """Kill this process if the boundary is the one in the file."""
    file = Path(os.environ["SHOP_CRASH_AT"])
    try:
        if file.read_text(encoding="utf-8") != name:
            return
        file.unlink()
    except FileNotFoundError:  # no crash is wanted, or another replica has just crashed
        return
    os.kill(os.getpid(), signal.SIGKILL)


_boundaries = installed(crash_at)
_boundaries.__enter__()  # at import, because a spawned worker imports this module again

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
