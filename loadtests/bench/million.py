"""The analysis of a very large run: a million requests in one trial, which all have to be in memory at once.

`python -m loadtests.bench.million FOLDER` analyses the run in FOLDER and prints the CPU and memory that this took. The
benchmark writes the folder and starts this in a process of its own, so that its peak memory is that of the analysis
alone.
"""

import csv
import gzip
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from loadtests.analysis.records import COLUMNS
from loadtests.bench.bars import MEBIBYTE, Check
from loadtests.experiments.bar import Bar
from loadtests.running.folder import read_run
from loadtests.selftest import simulated

ROWS = 1_000_000
ROUTES = 12
MAX_SECONDS = 10.0
MAX_MEGABYTES = 500.0


def checks(folder: Path, rows: int = ROWS) -> Iterator[Check]:
    """Write such a run into `folder`, analyse it, and compare CPU and memory with their bars."""
    write(folder, rows)
    command = [sys.executable, "-m", "loadtests.bench.million", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ourselves
    took = json.loads(done.stdout)
    yield Check(f"analysis of {rows:,} requests", took["seconds"], "s of CPU", Bar(at_most=MAX_SECONDS))
    yield Check("its peak memory", took["megabytes"], "MB", Bar(at_most=MAX_MEGABYTES))


def write(folder: Path, rows: int) -> None:
    """Write a run of one experiment with one trial of so many requests, in the files that the runner writes."""
    raw = simulated.trial("monolith", 1, random.Random(1))
    place = folder / "trials" / "001-a-r1"
    place.mkdir(parents=True)
    (folder / "experiments").mkdir()
    (folder / "experiments" / "selftest.toml").write_text(simulated.TEXT, encoding="utf-8")
    notes = {"form": "full", "experiments": ["selftest"], "repeats": {"selftest": 1}, "machine": {}}
    (folder / "run.json").write_text(json.dumps(notes), encoding="utf-8")
    facts = {**raw.facts, "phases": [asdict(phase) for phase in raw.phases]}
    (place / "trial.json").write_text(json.dumps(facts), encoding="utf-8")
    with gzip.open(place / "requests.csv.gz", "wt", compresslevel=1, newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        out.writerows(_row(n, n * simulated.SECONDS / rows) for n in range(rows))
    with gzip.open(place / "processes.csv.gz", "wt", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("at", "name", "cpu_seconds", "uss_bytes"))
        for name, usage in raw.usage.items():
            out.writerows(zip(usage.at, [name] * len(usage.at), usage.cpu, usage.uss, strict=True))


def _row(number: int, at: float) -> tuple[object, ...]:
    """Request number `number`. One in a hundred failed, and one in a hundred could not be started."""
    route, took = f"GET /route/{number % ROUTES}", 0.005 + (number * 7919 % 1000) / 20_000
    if number % 100 == 1:
        return (f"{at:.6f}", "", "", 0, "searcher", route, 0, 0, 0, 0)
    status = 503 if number % 100 == 2 else 200
    good = int(status == 200)
    return (f"{at:.6f}", f"{at:.6f}", f"{at + took:.6f}", 0, "searcher", route, status, good, 500, 0)


def main() -> None:
    """Analyse the run in the folder of the first argument, and print seconds of CPU and megabytes as JSON."""
    # One thread that never waits: its CPU time is its duration on a free core.
    since = time.process_time()
    read_run(Path(sys.argv[1]))
    seconds = time.process_time() - since
    sys.stdout.write(json.dumps({"seconds": seconds, "megabytes": _peak_bytes() / MEBIBYTE}))


def _peak_bytes() -> int:
    """The largest resident memory of this program so far.

    On Linux ru_maxrss is no measure of it: it survives the exec, so it is at least what the parent process had.
    VmHWM in /proc (kilobytes, proc_pid_status(5)) is of this program alone. On macOS ru_maxrss is, in bytes.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    facts = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
    return int(facts["VmHWM"].split()[0]) * 1024


if __name__ == "__main__":
    main()
