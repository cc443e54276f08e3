"""A workshop: take one component out of the shop, step by step, checked by what the shop does."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 -- an older Python gets a sentence instead of a traceback
    sys.exit(
        f"The exercises need Python 3.11 or newer and this is {sys.version.split()[0]}; "
        "run `make install` and then .venv/bin/exercises."
    )
