"""Runs Schemathesis against a shop: as a new customer, as the admin, or without signing in.

It runs the command line program, which has four phases (examples, coverage, fuzzing, stateful). The pytest plugin has
only the first three.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from loadtests.contract.acceptance.contract import CONTRACT_FILE, Contract
from loadtests.contract.acceptance.visitors import Customer

CONFIG = Path(__file__).with_name("schemathesis.toml")
PROGRAM = Path(sys.executable).with_name("schemathesis")
GENERATED = re.compile(r"(\d+) generated")


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """The result of one run."""

    requests: int
    failure: str
    """The output of a run that found a fault; empty otherwise."""


def fuzz(url: str, contract: Contract, who: str, *, examples: int, seed: int = 1) -> Fuzzed:
    """Send valid and invalid requests, `examples` for each operation and phase. `who`: admin, customer or nobody.

    The seed repeats the same requests, except those that contain ids from responses, which the shop makes.
    """
    command = [str(PROGRAM), "--config-file", str(CONFIG), "run", str(CONTRACT_FILE), "--url", url]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--no-color"]
    if who != "nobody":
        with closing(_customer(url, contract, who)) as customer:
            customer.put_in_cart("P00001")  # so that the first checkout has something to sell
            command += ["--header", f"Authorization: Bearer {customer.token}"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 -- a program of this environment
            command, cwd=folder, capture_output=True, text=True, timeout=600, check=False
        )
    generated = GENERATED.search(done.stdout)
    failure = "" if done.returncode == 0 else done.stdout + done.stderr
    return Fuzzed(int(generated[1]) if generated else 0, failure)


def _customer(url: str, contract: Contract, who: str) -> Customer:
    return Customer(url, contract, "admin@example.com" if who == "admin" else None)
