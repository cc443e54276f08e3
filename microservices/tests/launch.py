"""A launcher in its own process: `python launch.py HOME CONTRACT fleet`, or `... command ARGUMENTS` for a command.

Both use the stub topology instead of the shop's, so that they are tested without the services.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from microservices import cli
from microservices.launcher import Fleet
from microservices.tests.conftest import stub_topology


def main() -> None:
    home, contract, what, *arguments = sys.argv[1:]
    topology = stub_topology(Path(contract))
    if what == "command":
        vars(cli)["SPLIT"] = topology
        sys.argv[1:] = arguments
        cli.main()
    with Fleet(topology, data_dir=Path(home), home=Path(home)) as fleet:
        sys.stdout.write(" ".join(str(pid) for member in fleet.members() for pid in member.pids()) + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
