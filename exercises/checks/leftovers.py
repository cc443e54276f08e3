"""Processes and files that a killed command left behind: found by the run folders of its shops, and ended."""

from __future__ import annotations

import shutil
from pathlib import Path

from microservices.launcher import LauncherError, RunFolder


def sweep(home: Path) -> int:
    """End what a killed command left running below `home`, and remove what it wrote; returns how many processes."""
    told: list[str] = []
    for shop in sorted((home / "shops").glob("*")):
        try:
            for lock in shop.glob("run/*/lock"):
                run = RunFolder(shop, lock.parent.name)
                run.claim(told.append)
                run.release()
        except LauncherError:
            continue  # it lives, and somebody else watches over it
        shutil.rmtree(shop, ignore_errors=True)
    return sum(int(word) for line in told for word in line.split() if word.isdigit())
