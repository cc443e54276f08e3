"""Lets each Python of this environment seal itself in a workspace: writes a .pth file. `make install` runs it."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from microservices.sealing import HERE

NAME = "shop_twice_seal.pth"
"""Python runs .pth files in the order of their names: this one after the one that makes the course importable."""


def main() -> None:
    """Write the file, or say in one sentence why it cannot be written."""
    file = Path(sysconfig.get_path("purelib")) / NAME
    line = (
        f"import sys; sys.path.insert(0, {HERE!r}); import _shop_twice_seal as s; s.seal_in_a_workspace()\n"
    )
    try:
        file.write_text(line, encoding="utf-8")
    except OSError as error:
        sys.exit(f"{file} cannot be written: {error.strerror}. Run make install, which makes an environment.")


if __name__ == "__main__":
    main()
