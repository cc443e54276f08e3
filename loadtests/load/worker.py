"""A worker of a load from several processes: `python -m loadtests.load.worker HOST:PORT`.

It connects to the master at this address, signs its users in and makes its part of the visits when it is told to, and
ends when the master does. Workers may be on other machines.
"""

import sys
from dataclasses import asdict
from typing import Any

import gevent
from locust.env import Environment

from loadtests.load.generator import Generator
from loadtests.load.shelf import ShopNotThereError
from loadtests.load.spec import Spec

ROWS = 2000  # in one message


class Worker:
    """Does what the master's messages say."""

    def __init__(self, host: str, port: int) -> None:
        self._runner = Environment().create_worker_runner(host, port)
        self._runner.register_message("prepare", self._prepare, concurrent=True)
        self._runner.register_message("run", self._run, concurrent=True)

    def join(self) -> None:
        """Work until the master ends."""
        self._runner.greenlet.join()

    def _prepare(self, msg: Any, **_: Any) -> None:
        self._generator = Generator(Spec.from_dict(msg.data))
        self._generator.report = lambda moment: self._runner.send_message("moment", asdict(moment))
        error = ""
        try:
            self._generator.prepare()
        except ShopNotThereError as missing:
            error = str(missing)
        self._runner.send_message("prepared", {"error": error})

    def _run(self, msg: Any, **_: Any) -> None:
        cores = self._generator.run_alone(msg.data["epoch"])
        for kind, rows in (("rows", self._generator.rows), ("wholes", self._generator.wholes)):
            for begin in range(0, len(rows), ROWS):
                self._runner.send_message("rows", {kind: rows[begin : begin + ROWS]})
                gevent.sleep()
        self._runner.send_message("done", {"cores": cores})


def main() -> None:
    """Connect and work."""
    host, _, port = sys.argv[-1].rpartition(":")
    if len(sys.argv) != 2 or not port.isdigit():
        sys.exit("Usage: python -m loadtests.load.worker HOST:PORT")
    Worker(host, int(port)).join()


if __name__ == "__main__":
    main()
