"""One trial: fresh data, fresh processes, one generator, slices by phase, samples; all of it in one folder.

Nothing is judged here. Verdicts are computed from the folder's files (`loadtests.analysis.results`), so that a report
made again next year comes to the same verdicts.
"""

import contextlib
import csv
import gzip
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtests.analysis.records import ENGINE, PROCESS_COLUMNS
from loadtests.experiments.kinds import Kind
from loadtests.planning.trials import Trial
from loadtests.rig.cluster import ClusterTarget
from loadtests.rig.core_speed import core_speed
from loadtests.rig.cpus import allowed_cpus, usable_cpus
from loadtests.rig.generator import generator
from loadtests.rig.phase_slices import PhaseSlices
from loadtests.rig.phases import ActiveTrial, run_phases
from loadtests.rig.sampler import Sample
from loadtests.rig.slices import NoSlices, Slices
from loadtests.rig.targets import Target

PREPARING_SECONDS = 60.0


@dataclass(frozen=True)
class Rig:
    """What all trials of a run share. `home` is the folder of the shops' data."""

    home: Path
    targets: Mapping[Kind, Target]
    slices: Slices
    code: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Facts of each shop's code (`loadtests.rig.codebase`), where an experiment asks for them."""
    generator_processes: int = 1


def run_trials(trials: Sequence[tuple[Trial, Path]], rig: Rig) -> None:
    """Run one trial, or several whose shops take turns, each with a folder of its own.

    Writes requests.csv.gz, processes.csv.gz and, last, trial.json: a folder that has it holds a finished trial. Raises
    TrialError or LauncherError when a trial cannot be run.
    """
    for _, folder in trials:
        folder.mkdir(parents=True)
    speed = core_speed()  # before any process of ours runs
    with contextlib.ExitStack() as running:
        active = [running.enter_context(_active(trial, folder, rig)) for trial, folder in trials]
        epoch = run_phases(active)
    for each in active:
        _write_samples(each.samples, epoch, each.folder / "processes.csv.gz")
        facts = json.dumps(_facts(each, rig, epoch, speed), indent=1)
        (each.folder / "trial.json").write_text(facts, encoding="utf-8")


@contextlib.contextmanager
def _active(trial: Trial, folder: Path, rig: Rig) -> Iterator[ActiveTrial]:
    """The trial with its generator and its shop on fresh data, both ready; they are stopped afterwards."""
    slices = PhaseSlices(rig.slices if rig.targets[trial.system].managed else NoSlices(), f"{trial.seat}-")
    with generator(trial, folder, rig.generator_processes) as process:
        started = time.monotonic()
        with rig.targets[trial.system].open(trial, rig.home, slices.apply) as shop:
            ready_seconds = time.monotonic() - started
            process.order(f"prepare {shop.url}")
            process.expect("ready", PREPARING_SECONDS)
            yield ActiveTrial(trial, folder, shop, process, slices, ready_seconds)


def _facts(active: ActiveTrial, rig: Rig, epoch: float, speed: float) -> dict[str, Any]:
    """The content of trial.json."""
    trial = active.trial
    target = rig.targets[trial.system]
    return {
        **asdict(trial),
        **rig.code.get(trial.system, {}),
        "epoch": epoch,
        "generator_processes": rig.generator_processes,
        "cores": usable_cpus(),
        "cores_beyond_quota": round(allowed_cpus() - usable_cpus(), 2),
        "core_speed": round(speed, 2),
        "slice_backend": rig.slices.backend if target.managed else "none",
        "ready_seconds": round(active.ready_seconds, 3) if target.managed else None,
        **({"engine": ENGINE} if isinstance(target, ClusterTarget) else {}),
        "databases": target.databases(rig.home, trial.products),
        "died": active.died,
        "done": [asdict(each) for each in active.done],
        **({"followed": active.followed.since(epoch)} if active.followed else {}),
    }


def _write_samples(samples: Sequence[Sample], epoch: float, file: Path) -> None:
    with gzip.open(file, "wt", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(PROCESS_COLUMNS)
        rows.writerows(_row(sample, epoch) for sample in samples)


def _row(sample: Sample, epoch: float) -> tuple[Any, ...]:
    """The values of PROCESS_COLUMNS; empty where something is not known."""
    held = sample.throttling
    stopped = (held.periods, f"{held.seconds:.6f}") if held else ("", "")
    pressure = f"{held.pressure_seconds:.6f}" if held and held.pressure_seconds is not None else ""
    used = (sample.name, f"{sample.cpu:.6f}", sample.uss)
    return (f"{sample.at - epoch:.4f}", *used, *stopped, pressure, sample.handles, sample.threads)
