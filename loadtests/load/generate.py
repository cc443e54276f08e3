"""The load generator as a process: `python -m loadtests.load.generate SPEC.json`.

With `"processes": N` in the specification it is the master of N workers (see `loadtests.load.distributed`).

It signs its users in, runs the load of the specification, writes each request as a row of `requests.csv.gz`, and prints
a summary. With `"controlled": true` it first waits for the line `prepare URL` on standard input, prints `ready` when
the users are signed in, and starts the load at the Unix time of the line `start TIME`.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtests.analysis.records import MAX_GENERATOR_CORES
from loadtests.load.distributed import WorkerLostError, Workers
from loadtests.load.generator import Generator, save
from loadtests.load.shelf import ShopNotThereError
from loadtests.load.spec import Spec

LEAD_SECONDS = 0.2


def summary(generator: Generator | Workers, cpu_cores: float) -> dict[str, Any]:
    """The main numbers of a run, and whether they can be trusted."""
    spec = generator.spec
    return {
        "requests": len(generator.rows),
        "errors": sum(1 for row in generator.rows if row[1] != "" and not row[7]),
        "not_started": sum(1 for row in generator.rows if row[1] == ""),
        "cpu_cores": round(cpu_cores, 3),
        "trust": "void: the generator needed too much CPU" if cpu_cores > MAX_GENERATOR_CORES else "ok",
        "out": str(spec.out),
    }


def _command(expected: str) -> str:
    """The argument of the lab's next command. If the lab has gone (end of input), the process exits with status 0."""
    verb, _, argument = sys.stdin.readline().strip().partition(" ")
    if verb != expected:
        sys.exit(f'Expected the command "{expected}", not "{verb}".' if verb else 0)
    return argument


def main() -> None:
    """Run one specification and print a summary as JSON. A failure is one sentence and exit status 1."""
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m loadtests.load.generate SPEC.json")
    try:
        spec = Spec.read(Path(sys.argv[1]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        sys.exit(f"{sys.argv[1]} is not a specification of load: {error}")
    if spec.controlled:
        spec = replace(spec, host=_command("prepare"))
    try:
        result = _of_one_process(spec) if spec.processes == 1 else _of_several_processes(spec)
    except (ShopNotThereError, WorkerLostError) as error:
        sys.exit(str(error))
    print(json.dumps(result), flush=True)  # noqa: T201 - the result


def _of_several_processes(spec: Spec) -> dict[str, Any]:
    workers = Workers(spec)
    try:
        workers.prepare()
        workers.run(_epoch(spec))
    finally:
        workers.close()
    save(spec.out, [*workers.rows, *workers.wholes])
    return summary(workers, workers.cores)


def _of_one_process(spec: Spec) -> dict[str, Any]:
    generator = Generator(spec)
    generator.prepare()
    cores = generator.run_alone(_epoch(spec))
    save(spec.out, [*generator.rows, *generator.wholes])
    return summary(generator, cores)


def _epoch(spec: Spec) -> float:
    """The Unix time at which the load begins; the lab says it."""
    epoch = time.time() + LEAD_SECONDS
    if spec.controlled:
        print("ready", flush=True)  # noqa: T201 - the protocol
        epoch = float(_command("start"))
    return epoch


if __name__ == "__main__":
    main()
