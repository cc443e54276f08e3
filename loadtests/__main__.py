"""`python -m loadtests` is the command `loadtests`, also where its script is not on the path."""

import sys
from pathlib import Path

if Path(sys.path[0], ".exercises").is_dir():
    del sys.path[0]  # Python would take a learner's packages for ours

from loadtests.cli import main

main()
