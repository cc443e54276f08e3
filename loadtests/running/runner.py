"""Runs a plan: data once, the same-work gate, then trial after trial, each judged at once and repeated if void.

The folder of the run is complete after every trial, so an interrupted run keeps what it has.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.raw import read_trial, read_trials
from loadtests.analysis.results import is_valid, measure_all, results_of
from loadtests.experiments.experiment import Experiment, parse
from loadtests.experiments.kinds import Kind
from loadtests.planning.plan import plan
from loadtests.planning.trials import Trial
from loadtests.rig import codebase, machine, slices
from loadtests.rig.targets import KINDS, Target, TargetError, check, sweep, target
from loadtests.rig.trial import Bench, TrialError, run_trials
from loadtests.running.calm import Patience
from loadtests.running.gate import same_work
from loadtests.running.work import Work, remaining
from microservices.launcher import LauncherError, default_home

GATE_REQUESTS = 200
SAME_MACHINE = ("cpu_model", "cores", "python", "versions")


class RunError(Exception):
    """The run cannot go on; the sentence says why and what to do."""


@dataclass(frozen=True)
class Options:
    """How a run is made. `attempts` counts the first one: three means two repeats of a void trial."""

    form: str
    command: str
    share: bool = False
    attempts: int = 3
    gate_requests: int = GATE_REQUESTS
    backend: str | None = None
    budget_seconds: float = math.inf
    """No void trial is repeated once this time could be exceeded: the demo promises its length."""
    patience: float = 0.15
    """Share of the planned time that may be spent on waiting for a calm machine."""
    shops: Mapping[Kind, str | None] = field(default_factory=dict)
    """Folders or addresses of other shops than this project's own."""

    def targets(self) -> dict[Kind, Target]:
        """The two shops to compare; raises TargetError or WorkspaceError."""
        return {kind: target(kind, self.shops.get(kind)) for kind in KINDS}


@dataclass(frozen=True)
class Step:
    """What is about to happen, for whoever shows progress. `left` is in seconds, about."""

    text: str
    number: int
    of: int
    left: float
    trials: Mapping[Path, str] = field(default_factory=dict)
    """Folders of the trials that begin (`loadtests.rig.live` reads there what happens), with their labels."""


Show = Callable[[Step], None]


@dataclass(frozen=True)
class Sitting:
    """A run, or what an interrupted one left of it, on its way to its end."""

    work: Work
    experiments: Sequence[Experiment]
    folder: Path
    options: Options
    show: Show

    def tell(self, text: str, trials: Mapping[Path, str] | None = None) -> None:
        """Say what is about to happen; `trials` are the folders of the trials that begin, and their labels."""
        begun = trials or {}
        self.show(Step(text, self.work.done + len(begun), self.work.count, self.work.seconds, begun))


def run(experiments: Sequence[Experiment], folder: Path, options: Options, show: Show) -> None:
    """Run everything and leave the raw files and run.json in `folder`; KeyboardInterrupt keeps what is done."""
    targets = options.targets()
    check(targets, experiments)
    trials = plan(experiments, share=options.share)
    notes: dict[str, Any] = {
        "id": folder.name,
        "form": options.form,
        "command": options.command,
        "started": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "planned_trials": len(trials),
        "experiments": [each.name for each in experiments],
        "repeats": {each.name: each.repeats for each in experiments},
        "rules": {"share": options.share, "attempts": options.attempts},
        "shops": {kind: where for kind, where in options.shops.items() if where},
        "gate": None,
        "stopped_early": False,
        "seconds": 0.0,
    }
    _copy_texts(experiments, folder)
    with ExitStack() as cleaning:
        slicer = slices.open_backend(options.backend) if options.backend else slices.detect()
        cleaning.callback(slicer.close)
        notes["machine"] = machine.facts(slicer.backend)
        _go(Sitting(Work(trials), experiments, folder, options, show), notes, slicer, targets)


def resume(folder: Path, show: Show) -> None:
    """Go on with a run that was interrupted, by its own rules and on the machine that it began on."""
    notes, experiments = _read_texts(folder)
    if "rules" not in notes:
        raise RunError(
            f"{folder} was made by a version that could not resume; run `{notes['command']}` again."
        )
    rules = notes["rules"]
    backend = notes["machine"]["slice_backend"]
    here = machine.facts(backend)
    if changed := [key for key in SAME_MACHINE if here[key] != notes["machine"][key]]:
        was, now = notes["machine"][changed[0]], here[changed[0]]
        raise RunError(f"{folder} was begun on another machine ({was}, not {now}): a run has to stay on one.")
    options = Options(
        notes["form"],
        notes["command"],
        rules["share"],
        rules["attempts"],
        backend=backend,
        shops=notes.get("shops", {}),
    )
    work = remaining(plan(experiments, share=options.share), experiments, folder, options.attempts)
    if not work.waiting:
        raise RunError(
            f"Nothing is left to do in {folder}; `loadtests report {folder}` makes its report again."
        )
    notes |= {"stopped_early": False, "resumed": notes.get("resumed", 0) + 1}
    with ExitStack() as cleaning:
        slicer = slices.open_backend(backend)
        cleaning.callback(slicer.close)
        _go(Sitting(work, experiments, folder, options, show), notes, slicer, options.targets())


def _go(
    sitting: Sitting, notes: dict[str, Any], slicer: slices.Slices, targets: Mapping[Kind, Target]
) -> None:
    """Seed, gate, and run what is waiting; run.json is complete whenever this ends."""
    started, before = time.monotonic(), notes["seconds"]
    experiments, options, file = sitting.experiments, sitting.options, sitting.folder / "run.json"
    patience = Patience(options.patience * sitting.work.seconds)
    try:
        sitting.tell("seeding both shops")
        bench = _prepare(experiments, default_home() / "lab", targets, slicer)
        sitting.tell("the same-work gate: both shops answer the same script")
        notes["gate"] = same_work(bench, options.gate_requests, experiments[0].seed)
        _write(file, notes)
        _run_all(sitting, bench, patience)
    except KeyboardInterrupt:
        notes["stopped_early"] = True
    finally:
        notes["seconds"] = round(before + time.monotonic() - started, 1)
        notes["waited_seconds"] = notes.get("waited_seconds", 0.0) + patience.waited
        _write(file, notes)


def _prepare(
    experiments: Sequence[Experiment], home: Path, targets: Mapping[Kind, Target], slicer: slices.Slices
) -> Bench:
    """Both shops with their data, and what has to be known of their code."""
    sweep(home)
    for kind, each in targets.items():
        sizes = [s.products for experiment in experiments for s in experiment.systems if s.system == kind]
        each.seed(home, [None, *sizes])
    asked = {claim.metric for experiment in experiments for claim in experiment.claims} & codebase.METRICS
    return Bench(home, targets, slicer, codebase.facts(asked) if asked else {})


def _run_all(sitting: Sitting, bench: Bench, patience: Patience) -> None:
    """Trial after trial; at the end come the next probes of searches and other attempts at what was void."""
    work, options, began = sitting.work, sitting.options, time.monotonic()
    while work.waiting:
        trials = work.next
        if why := patience.disturbance():
            sitting.tell(f"waiting for a calm machine: {why}")
            patience.wait()
        places = {sitting.folder / "trials" / trial.folder: trial for trial in trials}
        sitting.tell(_what(trials, work), {place: trial.label for place, trial in places.items()})
        valid = _are_valid_once_run(places, bench)
        work.tick_off(len(trials))
        seconds = sum(trial.seconds for trial in trials)
        in_time = time.monotonic() - began + seconds + work.seconds < options.budget_seconds
        if valid:
            for trial in trials:
                work.follow(sitting.experiments, trial, sitting.folder)
        elif trials[0].attempt < options.attempts and in_time:
            work.again(trials)


def _what(trials: Sequence[Trial], work: Work) -> str:
    """Which trials begin, for whoever waits."""
    first, last = work.done + 1, work.done + len(trials)
    numbers = f"trial {first}" if first == last else f"trials {first} to {last}"
    labels = ", ".join(trial.label for trial in trials) + (" in turns" if len(trials) > 1 else "")
    again = f", attempt {trials[0].attempt}" if trials[0].attempt > 1 else ""
    return f"{numbers} of {work.count}: {labels}, repeat {trials[0].repeat}{again}"


def _are_valid_once_run(places: Mapping[Path, Trial], bench: Bench) -> bool:
    try:
        run_trials([(trial, place) for place, trial in places.items()], bench)
        return all(is_valid(read_trial(place)) for place in places)
    except (TrialError, TargetError, LauncherError) as error:
        for place in places:
            _write(place / "failed.json", {"why": str(error)})
        return False


def _copy_texts(experiments: Sequence[Experiment], folder: Path) -> None:
    """The experiment's text travels with its result, and so does what it was read with."""
    texts = folder / "experiments"
    texts.mkdir(parents=True)
    for each in experiments:
        for name, text in each.texts.items():
            (texts / name).write_text(text, encoding="utf-8")


def _write(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Finished:
    """A run as its folder tells it: everything that the report is made of."""

    folder: Path
    notes: dict[str, Any]
    experiments: tuple[Experiment, ...]
    results: dict[str, Any]
    measured: tuple[PhaseResult, ...]


def read_run(folder: Path) -> Finished:
    """Analyse a run's raw files again; RunError when the folder is no run."""
    notes, experiments = _read_texts(folder)
    measured = measure_all(read_trials(folder))
    results = results_of(notes["machine"], experiments, measured)
    return Finished(folder, notes, experiments, results, tuple(measured))


def _read_texts(folder: Path) -> tuple[dict[str, Any], tuple[Experiment, ...]]:
    """A run's notes, and its experiments in the form that was run."""
    try:
        notes = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        texts = [folder / "experiments" / f"{name}.toml" for name in notes["experiments"]]
        full = [parse(text.read_text(encoding="utf-8"), text.name, text.parent) for text in texts]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder} holds no run (run.json and its experiments are needed): {error}") from error
    forms = (each.short() if notes["form"] == "demo" else each for each in full)
    return notes, tuple(each.model_copy(update={"repeats": notes["repeats"][each.name]}) for each in forms)
