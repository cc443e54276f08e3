"""One trial: fresh data, fresh processes, one generator, slices by phase, samples; everything into one folder.

Nothing is judged here. What a trial is worth is read from its files (`loadtests.analysis.results`), so that a
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

from loadtests.analysis.records import GATEWAY, GENERATOR
from loadtests.experiments.kinds import Kind
from loadtests.planning.trials import Trial
from loadtests.rig import live
from loadtests.rig.actions import Actor, Done, Slicing
from loadtests.rig.processes import Groups, Sample, Sampler, moments
from loadtests.rig.slices import Slices
from loadtests.rig.targets import Shop, Target
from loadtests.rig.yardstick import core_speed
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


@dataclass
class Seat:
    """One trial of those that run together: its shop, its generator, and what is done to the shop and seen of it."""

    trial: Trial
    folder: Path
    shop: Shop
    generator: "GeneratorProcess"
    slicing: Slicing
    ready_seconds: float
    samples: list[Sample] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    died: list[str] = field(default_factory=list)

    def begins(self, epoch: float) -> list[float]:
        """Unix times at which its phases begin, and the last ends."""
        return list(accumulate((phase.seconds for phase in self.trial.phases), initial=epoch))


def run_trials(trials: Sequence[tuple[Trial, Path]], bench: Bench) -> None:
    """Run a trial, or several that take turns, each with a folder for trial.json, requests.csv.gz, processes.csv.gz."""
    for _, folder in trials:
        folder.mkdir(parents=True)
    speed = core_speed()  # before anything of ours runs
    with contextlib.ExitStack() as up:
        seats = [up.enter_context(_seat(trial, folder, bench)) for trial, folder in trials]
        epoch = _drive(seats)
    for seat in seats:
        _save(seat.samples, epoch, seat.folder / "processes.csv.gz")
        # Last: a folder that has it is a trial that was finished.
        facts = json.dumps(_facts(seat, bench, epoch, speed), indent=1)
        (seat.folder / "trial.json").write_text(facts, encoding="utf-8")


@contextlib.contextmanager
def _seat(trial: Trial, folder: Path, bench: Bench) -> Iterator[Seat]:
    """The trial's generator and its shop on fresh data, both ready; gone afterwards."""
    slicing = Slicing(bench.slices, f"{trial.seat}-")
    with _generator(trial, folder) as generator:
        started = time.monotonic()
        with bench.targets[trial.system].open(trial, bench.home, slicing.put) as shop:
            ready_seconds = time.monotonic() - started
            generator.order(f"prepare {shop.url}")
            generator.expect("ready", PREPARING_SECONDS)
            yield Seat(trial, folder, shop, generator, slicing, ready_seconds)


def _facts(seat: Seat, bench: Bench, epoch: float, speed: float) -> dict[str, Any]:
    trial = seat.trial
    target = bench.targets[trial.system]
    return {
        **asdict(trial),
        **bench.code.get(trial.system, {}),
        "epoch": epoch,
        "cores": psutil.cpu_count() or 1,
        "core_speed": round(speed, 2),
        "slice_backend": bench.slices.backend if target.ours else "none",
        "ready_seconds": round(seat.ready_seconds, 3) if target.ours else None,
        "databases": target.databases(bench.home, trial.products),
        "died": seat.died,
        "done": [asdict(each) for each in seat.done],
    }


def _drive(seats: Sequence[Seat]) -> float:
    """Run the phases of all from one start, which is returned as Unix time; what was seen is noted in the seats."""
    actors = [Actor(seat.shop, seat.slicing) for seat in seats]
    try:
        for seat in seats:
            seat.slicing.enter(seat.trial.phases[0], seat.shop.replicas())
        epoch = time.time() + LEAD_SECONDS
        samplers = [_sampler(seat, epoch) for seat in seats]
        for seat, sampler in zip(seats, samplers, strict=True):
            sampler.start()
            seat.generator.order(f"start {epoch}")
        changes = sorted(
            change for number, seat in enumerate(seats) for change in _changes(number, seat, epoch)
        )
        for at, number, index in changes:
            time.sleep(max(0.0, at - time.time()))
            phase = seats[number].trial.phases[index]
            if index:
                seats[number].slicing.enter(phase, seats[number].shop.replicas())
            actors[number].next_phase(index, phase.action)
        time.sleep(max(0.0, seats[0].begins(epoch)[-1] - time.time()))
        for seat, actor, sampler in zip(seats, actors, samplers, strict=True):
            seat.done = actor.finish()
            seat.generator.expect("{", seat.trial.drain_seconds + ENDING_SECONDS)
            seat.samples = sampler.finish()
            seat.died = [
                f"{death.name}-{death.slot}: {death.cause}"
                for death in seat.shop.died
                if death.name not in seat.trial.killed
            ]
        return epoch
    finally:
        for seat, actor in zip(seats, actors, strict=True):
            actor.finish()
            seat.slicing.leave()


def _changes(number: int, seat: Seat, epoch: float) -> Iterator[tuple[float, int, int]]:
    """When which phase of the seat's begins: a smaller slice before it, a larger one not before the last has ended."""
    before = seat.trial.phases[0]
    for index, (phase, begin) in enumerate(zip(seat.trial.phases, seat.begins(epoch), strict=False)):
        early = TIGHTEN_SECONDS if phase.slice_cores < before.slice_cores else 0.0
        yield begin - early, number, index
        before = phase


def _sampler(seat: Seat, epoch: float) -> Sampler:
    """Looks at its processes once a second and wherever a phase begins or ends, but not in the turns of others."""
    begins = seat.begins(epoch)
    spans = [
        (begin, end)
        for phase, begin, end in zip(seat.trial.phases, begins, begins[1:], strict=False)
        if not phase.idle
    ]
    told = live.replicas_into(seat.folder)
    return Sampler(_groups(seat.shop, seat.generator.process.pid), moments(spans), told)


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
            [sys.executable, "-m", "loadtests.load.generate", str(folder / "spec.json")],
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
