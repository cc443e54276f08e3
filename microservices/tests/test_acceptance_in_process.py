"""The acceptance suite holds for both shops, called in process: `make acceptance` in seconds, on SQLite only."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from microservices.tests import acceptance_plugin

ROOT = Path(__file__).resolve().parents[2]
FEWEST = 400
"""Only what needs a gateway, a server or a connection is skipped."""


@pytest.mark.parametrize("shop", acceptance_plugin.TOPOLOGIES)
def test_the_acceptance_suite_holds_in_process(shop: str) -> None:
    # A process of its own: the suite has other options, and here warnings and random order hold for it too.
    options = [
        "-p",
        acceptance_plugin.__name__,
        "--in-process",
        shop,
        "--disable-socket",
        "--allow-unix-socket",
    ]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "loadtests/contract/acceptance",
            *options,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= FEWEST
