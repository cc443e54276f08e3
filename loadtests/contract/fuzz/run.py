"""Runs Schemathesis against a shop as somebody: a new customer, the admin, or nobody.

Its command line is what is run: that goes through all four of its phases (examples, coverage, fuzzing, stateful),
while its pytest plugin knows the first three only.
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
    """What came of it."""

    requests: int
    failure: str
    """What the program wrote; empty when it found nothing."""


def fuzz(url: str, contract: Contract, who: str, *, examples: int, seed: int = 1) -> Fuzzed:
    """Send the shop what the contract allows and what it does not; `examples` for each operation and phase.

    The seed repeats the requests as far as they do not depend on answers, which hold ids that the shop makes up.
    """
    command = [str(PROGRAM), "--config-file", str(CONFIG), "run", str(CONTRACT_FILE), "--url", url]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--no-color"]
    if who != "nobody":
        with closing(_customer(url, contract, who)) as customer:
            customer.put_in_cart("P00001")  # so that the first checkout sells something
            command += ["--header", f"Authorization: Bearer {customer.token}"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 -- a program of our own environment
            command, cwd=folder, capture_output=True, text=True, timeout=600, check=False
        )
    generated = GENERATED.search(done.stdout)
    failure = "" if done.returncode == 0 else done.stdout + done.stderr
    return Fuzzed(int(generated[1]) if generated else 0, failure)


def _customer(url: str, contract: Contract, who: str) -> Customer:
    return Customer(url, contract, "admin@example.com" if who == "admin" else None)
