"""Ends processes and removes files that a killed command left behind; finds them by the run folders of its shops."""

from __future__ import annotations

import shutil
from pathlib import Path

from microservices.launcher import LauncherError, RunFolder


def sweep(home: Path) -> int:
    """End what a killed command left running below `home` and remove its files; returns the number of processes."""
    messages: list[str] = []
    for shop in sorted((home / "shops").glob("*")):
        try:
            for lock in shop.glob("run/*/lock"):
                run = RunFolder(shop, lock.parent.name)
                run.claim(messages.append)
                run.release()
        except LauncherError:
            continue  # its command still runs
        shutil.rmtree(shop, ignore_errors=True)
    return sum(int(word) for line in messages for word in line.split() if word.isdigit())
