"""`python -m exercises`: the command, or one sentence when its packages are not installed."""

import sys

try:
    from exercises.cli import main
except ModuleNotFoundError as error:
    sys.exit(
        f"The package {error.name} is not installed for {sys.executable}; "
        "run `make install` and then .venv/bin/exercises."
    )

main()
