"""A program that dies at a boundary: `python -m microservices.tests.crashing MODULE ARGUMENTS` runs `python -m MODULE`.

SHOP_CRASH_AT names a file. The process that comes to the boundary whose name stands in it takes the file away and
kills itself, so it happens once, also when several replicas share the file. Without the file nothing happens.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path

from microservices.tests.boundaries import installed


def die(name: str) -> None:
    """Visit a boundary."""
    file = Path(os.environ["SHOP_CRASH_AT"])
    try:
        if file.read_text(encoding="utf-8") != name:
            return
        file.unlink()
    except FileNotFoundError:  # nobody is to die, or another replica just did
        return
    os.kill(os.getpid(), signal.SIGKILL)


_for_good = installed(die)
_for_good.__enter__()  # when the module is read: a worker that is spawned, not forked, reads it again

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
