"""One trial: fresh data, fresh processes, one generator, slices by phase, samples; everything into one folder.

Nothing is judged here. What a trial is worth is read from its files (`loadtests.analysis`), so that a
report made again next year comes to the same verdicts.
"""

import contextlib
import csv
import gzip
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import psutil

from loadtests.plan import PlannedPhase, Trial
from loadtests.processes import Sample, Sampler, moments
from loadtests.slices import Slices
from microservices.launcher import MONOLITH, SPLIT, Fleet, Replica

TOPOLOGIES = {"monolith": MONOLITH, "microservices": SPLIT}
LEAD_SECONDS = 0.3
TIGHTEN_SECONDS = 0.15
PREPARING_SECONDS = 60.0
ENDING_SECONDS = 20.0


class TrialError(Exception):
    """A trial that could not be run at all; the sentence says why."""


@dataclass(frozen=True)
class Bench:
    """What all trials of a run share."""

    home: Path
    data: dict[str, Path]
    slices: Slices


def run_trial(trial: Trial, folder: Path, bench: Bench) -> None:
    """Run one trial and leave trial.json, requests.csv.gz and processes.csv.gz in `folder`."""
    folder.mkdir(parents=True)
    data = bench.home / "trial-data"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(bench.data[trial.system], data)
    databases = sum(1 for _ in data.rglob("*.sqlite3"))
    with _generator(trial, folder) as generator:
        fleet = Fleet(TOPOLOGIES[trial.system], trial.replicas, data_dir=data, home=bench.home, restart=False)
        started = time.monotonic()
        with fleet:
            ready_seconds = time.monotonic() - started
            generator.order(f"prepare {fleet.url}")
            generator.expect("ready", PREPARING_SECONDS)
            epoch, samples = _drive(trial, fleet, generator, bench.slices)
            died = [f"{death.name}-{death.slot}: {death.cause}" for death in fleet.died]
    shutil.rmtree(data, ignore_errors=True)
    facts = {
        **asdict(trial),
        "epoch": epoch,
        "cores": psutil.cpu_count() or 1,
        "slice_backend": bench.slices.backend,
        "ready_seconds": round(ready_seconds, 3),
        "databases": databases,
        "died": died,
    }
    _save(samples, epoch, folder / "processes.csv.gz")
    # Last: a folder that has it is a trial that was finished.
    (folder / "trial.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _drive(
    trial: Trial, fleet: Fleet, generator: "GeneratorProcess", slices: Slices
) -> tuple[float, list[Sample]]:
    """Run the phases; returns the start as Unix time and what the processes used."""
    replicas = fleet.replicas()
    members = {replica.label: replica.pids() for replica in replicas}
    members |= {"gateway": [fleet.gateway], "generator": [generator.process.pid]}
    try:
        _slice(trial.phases[0], replicas, slices)
        epoch = time.time() + LEAD_SECONDS
        begins = [epoch + begin for begin in accumulate((p.seconds for p in trial.phases), initial=0.0)]
        sampler = Sampler(lambda: members, moments(begins))
        sampler.start()
        generator.order(f"start {epoch}")
        for before, phase, begin in zip(trial.phases, trial.phases[1:], begins[1:], strict=False):
            # A smaller slice is in force when its phase begins, a larger one not before the last has ended.
            early = TIGHTEN_SECONDS if phase.slice_cores < before.slice_cores else 0.0
            time.sleep(max(0.0, begin - early - time.time()))
            _slice(phase, replicas, slices)
        time.sleep(max(0.0, begins[-1] - time.time()))
        generator.expect("{", trial.drain_seconds + ENDING_SECONDS)
        return epoch, sampler.finish()
    finally:
        # Without its slice a loaded replica drains in a moment, with it in many seconds.
        for replica in replicas:
            with contextlib.suppress(KeyError):
                slices.drop(replica.label)


def _slice(phase: PlannedPhase, replicas: Sequence[Replica], slices: Slices) -> None:
    for replica in replicas:
        slices.put(replica.label, replica.pid, phase.slice_cores)


@dataclass
class GeneratorProcess:
    """The running generator and its line protocol."""

    process: subprocess.Popen[str]
    errors: Path

    def order(self, line: str) -> None:
        """Send one order."""
        if self.process.stdin is None:
            raise TrialError("The generator has no standard input.")
        with contextlib.suppress(BrokenPipeError):  # it ended; `expect` says why
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def expect(self, start: str, seconds: float) -> None:
        """Wait for a line that starts so; TrialError with the generator's own words otherwise."""
        # A blocking read bounded by a timer: select does not see what the text layer has buffered.
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline() if self.process.stdout else ""
        finally:
            timer.cancel()
        if not line.startswith(start):
            said = self.errors.read_text(encoding="utf-8").strip().splitlines()
            raise TrialError(f"The load generator ended early: {said[-1] if said else 'it said nothing'}")


@contextlib.contextmanager
def _generator(trial: Trial, folder: Path) -> Iterator[GeneratorProcess]:
    """Start the generator with its specification; it loads while the fleet boots and is gone afterwards."""
    spec: dict[str, Any] = {
        "seed": trial.seed,
        "users": trial.users,
        "out": str(folder / "requests.csv.gz"),
        "timeout_seconds": trial.timeout_seconds,
        "drain_seconds": trial.drain_seconds,
        "controlled": True,
        "phases": [
            {
                "name": f"{p.experiment}/{p.name}",
                "seconds": p.seconds,
                "rates": p.rates,
                "shape": p.shape,
                "most": p.most,
                "curve": p.curve,
            }
            for p in trial.phases
        ],
    }
    (folder / "spec.json").write_text(json.dumps(spec, indent=1), encoding="utf-8")
    errors = folder / "generator.log"
    with errors.open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module with a file that we wrote
            [sys.executable, "-m", "loadtests.generate", str(folder / "spec.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the lab, which then ends it
        )
    try:
        yield GeneratorProcess(process, errors)
    finally:
        process.kill()
        process.communicate()


def _save(samples: Sequence[Sample], epoch: float, file: Path) -> None:
    with gzip.open(file, "wt", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(("at", "name", "cpu_seconds", "uss_bytes"))
        rows.writerows((f"{s.at - epoch:.4f}", s.name, f"{s.cpu:.6f}", s.uss) for s in samples)
