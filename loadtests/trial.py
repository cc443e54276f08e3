"""One trial: fresh data, fresh processes, one generator, slices by phase, samples; everything into one folder.

Nothing is judged here. What a trial is worth is read from its files (`loadtests.analysis`), so that a
report made again next year comes to the same verdicts.
"""

import contextlib
import csv
import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import psutil

from loadtests import live
from loadtests.actions import Actor, Done, Slicing
from loadtests.parts import Kind
from loadtests.plan import Trial
from loadtests.processes import Groups, Sample, Sampler, moments
from loadtests.raw import GATEWAY, GENERATOR
from loadtests.slices import Slices
from loadtests.targets import Shop, Target
from loadtests.yardstick import core_speed
from microservices.launcher import Phase

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
    targets: Mapping[Kind, Target]
    slices: Slices
    code: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What is known of each shop's code, where an experiment asks for it."""


def run_trial(trial: Trial, folder: Path, bench: Bench) -> None:
    """Run one trial and leave trial.json, requests.csv.gz and processes.csv.gz in `folder`."""
    folder.mkdir(parents=True)
    target, slicing = bench.targets[trial.system], Slicing(bench.slices)
    speed = core_speed()  # before anything of ours runs
    with _generator(trial, folder) as generator:
        started = time.monotonic()
        with target.open(trial, bench.home, slicing.put) as shop:
            ready_seconds = time.monotonic() - started
            generator.order(f"prepare {shop.url}")
            generator.expect("ready", PREPARING_SECONDS)
            epoch, samples, done = _drive(trial, shop, generator, slicing)
            died = [
                f"{death.name}-{death.slot}: {death.cause}"
                for death in shop.died
                if death.name not in trial.killed
            ]
    facts = {
        **asdict(trial),
        **bench.code.get(trial.system, {}),
        "epoch": epoch,
        "cores": psutil.cpu_count() or 1,
        "core_speed": round(speed, 2),
        "slice_backend": bench.slices.backend if target.ours else "none",
        "ready_seconds": round(ready_seconds, 3) if target.ours else None,
        "databases": target.databases(bench.home, trial.products),
        "died": died,
        "done": [asdict(each) for each in done],
    }
    _save(samples, epoch, folder / "processes.csv.gz")
    # Last: a folder that has it is a trial that was finished.
    (folder / "trial.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _drive(
    trial: Trial, shop: Shop, generator: "GeneratorProcess", slicing: Slicing
) -> tuple[float, list[Sample], list[Done]]:
    """Run the phases; returns the start as Unix time, what the processes used, and what was done to them."""
    actor = Actor(shop, slicing)
    try:
        slicing.enter(trial.phases[0], shop.replicas())
        epoch = time.time() + LEAD_SECONDS
        begins = [epoch + begin for begin in accumulate((p.seconds for p in trial.phases), initial=0.0)]
        told = live.replicas_into(generator.errors.parent)
        sampler = Sampler(_groups(shop, generator.process.pid), moments(begins), told)
        sampler.start()
        generator.order(f"start {epoch}")
        before = trial.phases[0]
        for index, (phase, begin) in enumerate(zip(trial.phases, begins, strict=False)):
            # A smaller slice is in force when its phase begins, a larger one not before the last has ended.
            early = TIGHTEN_SECONDS if phase.slice_cores < before.slice_cores else 0.0
            time.sleep(max(0.0, begin - early - time.time()))
            if index:
                slicing.enter(phase, shop.replicas())
            actor.next_phase(index, phase.action)
            before = phase
        time.sleep(max(0.0, begins[-1] - time.time()))
        done = actor.finish()
        generator.expect("{", trial.drain_seconds + ENDING_SECONDS)
        return epoch, sampler.finish(), done
    finally:
        actor.finish()
        slicing.leave()


def _groups(shop: Shop, generator: int) -> Callable[[], Groups]:
    """Which processes belong to whom, asked at every sample: replicas come and go.

    A server that is ready has all its workers, so they are looked for only once.
    """
    known: dict[tuple[str, int], list[int]] = {}

    def groups() -> Groups:
        found: dict[str, list[int]] = {}
        for replica in shop.replicas():
            key = (replica.label, replica.pid)
            if key not in known:
                pids = replica.pids()
                if replica.phase is Phase.READY:
                    known[key] = pids
                found[replica.label] = pids
            else:
                found[replica.label] = known[key]
        gateway = {GATEWAY: [shop.gateway]} if shop.gateway else {}
        return {**found, **gateway, GENERATOR: [generator]}

    return groups


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
