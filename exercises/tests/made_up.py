"""A made-up course of three exercises and a small shop, so that the tool is tested without the real course.

01 changes greeting.py. 02 changes it again, and adds farewell.py and a topology.py with a gateway. 03 removes old.py.
The files are in made-up/, with the layout of this repository.
"""

from __future__ import annotations

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).with_name("made-up")


def text(relpath: str) -> str:
    """The content of one of its files."""
    return (REPOSITORY / relpath).read_text(encoding="utf-8")


HELLO = text("exercises/01-hello/solution/monolith/greeting.py")
BYE = text("exercises/02-bye/solution/monolith/farewell.py")


def copy_to(repository: Path) -> Path:
    """Copy the course to this folder; returns the folder of its exercises."""
    shutil.copytree(
        REPOSITORY, repository, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    return repository / "exercises"
