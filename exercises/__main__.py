"""`python -m exercises`: the command, or one sentence when its packages are not installed."""

import sys
from pathlib import Path

if Path(sys.path[0], ".exercises").is_dir():
    del sys.path[0]  # Python would take a learner's packages for ours

try:
    from exercises.cli import main
except ModuleNotFoundError as error:
    sys.exit(
        f"The package {error.name} is not installed for {sys.executable}; "
        "run `make install` and then .venv/bin/exercises."
    )

main()
