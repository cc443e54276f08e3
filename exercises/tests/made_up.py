"""A made-up course of three exercises and a small shop, so that the tool is tested without the real course.

01 changes greeting.py; 02 changes it again, brings farewell.py and a topology.py with a gateway; 03 takes old.py away.
The files are in made-up/, laid out as in this repository.
"""

from __future__ import annotations

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).with_name("made-up")


def text(relpath: str) -> str:
    """What one of its files holds."""
    return (REPOSITORY / relpath).read_text(encoding="utf-8")


HELLO = text("exercises/01-hello/solution/monolith/greeting.py")
BYE = text("exercises/02-bye/solution/monolith/farewell.py")


def copy_to(repository: Path) -> Path:
    """Make the course here; returns the folder of its exercises."""
    shutil.copytree(
        REPOSITORY, repository, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    return repository / "exercises"
