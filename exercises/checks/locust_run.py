"""Runs Locust as `python -m locust` does, without the user's own settings: `python -m exercises.checks.locust_run`.

Locust also reads ~/.locust.conf, locust.conf, pyproject.toml and LOCUST_* variables. With `master = true` in one of
them it waits for workers that never come. A load shape in the Locust file would decide how many users start and when
the run ends, instead of the command line: it is refused.
"""

from __future__ import annotations

import os
import sys
from typing import Any

HAS_SHAPE = 3
"""Exit status for a Locust file with a load shape; its name is the last line of the standard error."""


def main() -> None:
    """Run Locust with the arguments of this process."""
    for name in [name for name in os.environ if name.startswith("LOCUST_")]:
        del os.environ[name]
    # Only now: Locust reads some variables when it is imported.
    from locust import argument_parser, events
    from locust import main as locust_main

    parser: Any = argument_parser.LocustArgumentParser
    hooks: Any = events
    run: Any = locust_main.main
    init = parser.__init__

    def init_without_files(self: Any, *arguments: Any, **options: Any) -> None:
        init(self, *arguments, **{**options, "default_config_files": []})

    parser.__init__ = init_without_files
    hooks.init.add_listener(_refuse_shape)
    run()


def _refuse_shape(environment: Any, **_: Any) -> None:
    if environment.shape_class is not None:
        print(type(environment.shape_class).__name__, file=sys.stderr)  # noqa: T201 -- for the check
        sys.exit(HAS_SHAPE)


if __name__ == "__main__":
    main()
