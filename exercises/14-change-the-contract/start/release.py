"""Releases one side of the contract: `python release.py catalog`, or `monolith`, or `price-list`.

It stores the file as it is now, as the next folder of releases/. `exercises check` starts with what runs today and
deploys release after release. To take the last one back, delete its folder.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

FOLDER = Path("releases")
FILES = {
    "catalog": "microservices/catalog/internal.py",
    "monolith": "monolith/catalog/internal.py",
    "price-list": "price_list.py",
}
"""By side of the contract: the file that a release of it changes."""


def main(sides: list[str]) -> None:
    """Store a release of the side that is named."""
    if len(sides) != 1 or sides[0] not in FILES:
        sys.exit(f"Name one side: python release.py {' | '.join(FILES)}")
    last = max((int(folder.name.partition("-")[0]) for folder in FOLDER.glob("[0-9]*-*")), default=0)
    target = FOLDER / f"{last + 1}-{sides[0]}" / FILES[sides[0]]
    target.parent.mkdir(parents=True)
    shutil.copyfile(FILES[sides[0]], target)
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
