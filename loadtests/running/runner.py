"""Runs a plan: seeding, the same-work gate, then trial after trial. Each is judged at once, and repeated if void."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.analysis.precision import MAX_REPEATS
from loadtests.analysis.raw import read_trial, read_trials
from loadtests.analysis.results import is_valid, measure_all, results_of
from loadtests.experiments.experiment import Experiment
from loadtests.experiments.kinds import Kind
from loadtests.planning.plan import plan
from loadtests.planning.remaining import fresh_searches, span_of
from loadtests.planning.trials import Trial
from loadtests.rig import codebase, machine, slices
from loadtests.rig.generator import TrialError
from loadtests.rig.managed import stop_leftovers
from loadtests.rig.shop import TargetError
from loadtests.rig.targets import Target, check, clusters
from loadtests.rig.trial import Rig, run_trials
from loadtests.running.calm import WaitBudget
from loadtests.running.folder import Notes, RunError, new_notes, read_texts, write_json, write_texts
from loadtests.running.gate import same_work
from loadtests.running.options import Options, Show, Step
from loadtests.running.pace import Pace
from loadtests.running.trial_queue import TrialQueue, remaining
from loadtests.running.until import Goal, in_words, outlook, trials_of_repeat
from microservices.launcher import LauncherError, default_home

SAME_MACHINE = ("cpu_model", "cores", "python", "versions")


@dataclass(frozen=True)
class ActiveRun:
    """A new run, or the rest of an interrupted one."""

    queue: TrialQueue
    experiments: Sequence[Experiment]
    folder: Path
    options: Options
    show: Show
    pace: Pace = field(default_factory=Pace)

    def announce(self, text: str, trials: Mapping[Path, str] | None = None) -> None:
        """Show what happens next; `trials` are the folders of the trials that begin, with their labels."""
        self.show(Step(text, self.pace.left(self.queue.span), trials or {}))


def run(experiments: Sequence[Experiment], folder: Path, options: Options, show: Show) -> None:
    """Run all trials; `folder` gets run.json and the raw files. KeyboardInterrupt ends the run and keeps what is done.

    Raises TargetError or WorkspaceError for the shops, SliceError for the backend, GateError when the shops differ.
    """
    targets = options.targets()
    check(targets, experiments)
    experiments = _runnable(experiments, targets)
    trials = plan(experiments, share=options.share)
    notes = new_notes(folder, experiments, len(trials), options)
    write_texts(experiments, folder)
    with ExitStack() as cleaning:
        slicer = slices.open_backend(options.backend) if options.backend else slices.detect()
        cleaning.callback(slicer.close)
        notes["machine"] = machine.facts(slicer.backend)
        if found := clusters(targets):
            notes["clusters"] = {kind: each.facts() for kind, each in found.items()}
        active = ActiveRun(TrialQueue(trials, experiments=experiments), experiments, folder, options, show)
        _execute(active, notes, slicer, targets)


def resume(folder: Path, show: Show) -> None:
    """Go on with an interrupted run, by its own rules. RunError when it is whole or began on another machine."""
    notes, recorded = read_texts(folder)
    options = _options_of(folder, notes)
    targets = options.targets()
    experiments = _runnable(recorded, targets)
    queue = remaining(plan(experiments, share=options.share), experiments, folder, options.attempts)
    if not queue.waiting and not (
        options.until and next_repeat(experiments[0], folder, notes, options.until)[1]
    ):
        raise RunError(
            f"Nothing is left to do in {folder}; `loadtests report {folder}` makes its report again."
        )
    notes |= {"stopped_early": False, "resumed": notes.get("resumed", 0) + 1}
    with ExitStack() as cleaning:
        slicer = slices.open_backend(notes["machine"]["slice_backend"])
        cleaning.callback(slicer.close)
        _execute(ActiveRun(queue, experiments, folder, options, show), notes, slicer, targets)


def _runnable(experiments: Sequence[Experiment], targets: Mapping[Kind, Target]) -> Sequence[Experiment]:
    """The experiments as these shops can run them: without turns where one of them is in a cluster."""
    return [each.without_turns() for each in experiments] if clusters(targets) else experiments


def _options_of(folder: Path, notes: Notes) -> Options:
    """The options that the run was started with; RunError when they are not known or the machine is another one."""
    if "rules" not in notes:
        raise RunError(
            f"{folder} was made by a version that could not resume; run `{notes['command']}` again."
        )
    recorded, here = notes["machine"], machine.facts(notes["machine"]["slice_backend"])
    if changed := [key for key in SAME_MACHINE if here[key] != recorded[key]]:
        was, now = recorded[changed[0]], here[changed[0]]
        raise RunError(
            f"{folder} began on another machine ({was}, not {now}); a run has to stay on one machine."
        )
    return Options(
        notes["form"],
        notes["command"],
        notes["rules"]["share"],
        notes["rules"]["attempts"],
        backend=recorded["slice_backend"],
        until=Goal(**notes["until"]) if notes.get("until") else None,
        processes=notes.get("processes", 1),
        shops=notes.get("shops", {}),
    )


def _execute(active: ActiveRun, notes: Notes, slicer: slices.Slices, targets: Mapping[Kind, Target]) -> None:
    """Seed, pass the gate, and run the queue. run.json is complete however this ends."""
    started, before = time.monotonic(), notes["seconds"]
    options, file = active.options, active.folder / "run.json"
    budget = WaitBudget(options.wait_share * active.queue.span.middle)
    try:
        active.announce("seeding both shops")
        rig = _prepare(active.experiments, default_home() / "lab", targets, slicer, options.processes)
        active.announce("the same-work gate: both shops answer the same script")
        notes["gate"] = same_work(rig, options.gate_requests, active.experiments[0].seed)
        write_json(file, notes)
        _run_all(active, rig, budget)
        while options.until:
            notes["seconds"] = round(before + time.monotonic() - started, 1)
            text, trials = next_repeat(active.experiments[0], active.folder, notes, options.until)
            active.announce(text)
            if not trials:
                notes["until_ended"] = text
                break
            notes["repeats"][active.experiments[0].name] += 1
            write_json(file, notes)  # before its first trial, so that an interrupted repeat is resumed
            active.queue.add_repeat(trials)
            _run_all(active, rig, budget)
    except KeyboardInterrupt:
        notes["stopped_early"] = True
    finally:
        notes["seconds"] = round(before + time.monotonic() - started, 1)
        notes["waited_seconds"] = notes.get("waited_seconds", 0.0) + budget.waited
        write_json(file, notes)


def next_repeat(experiment: Experiment, folder: Path, notes: Notes, goal: Goal) -> tuple[str, list[Trial]]:
    """How precise the run is, as a sentence, and the trials of its next repeat; none if it is over."""
    repeats = notes["repeats"][experiment.name]
    current = experiment.model_copy(update={"repeats": repeats})
    results = results_of(notes["machine"], [current], measure_all(read_trials(folder)))
    found = outlook(results["experiments"][0], repeats, goal)
    text = in_words(found, goal)
    if found.reached(goal) or repeats >= MAX_REPEATS:
        return text, []
    trials = trials_of_repeat(experiment, repeats + 1)
    seconds = span_of(trials, fresh_searches(trials, [experiment])).middle
    if notes["seconds"] + seconds > goal.seconds:
        return f"{text}; the time is up", []
    return text, trials


def _prepare(
    experiments: Sequence[Experiment],
    home: Path,
    targets: Mapping[Kind, Target],
    slicer: slices.Slices,
    processes: int,
) -> Rig:
    """Seed both shops, and count their code if a claim asks for it."""
    stop_leftovers(home)
    for kind, each in targets.items():
        sizes = [s.products for experiment in experiments for s in experiment.systems if s.system == kind]
        each.seed(home, [None, *sizes])
    asked = {claim.metric for experiment in experiments for claim in experiment.claims} & codebase.METRICS
    return Rig(home, targets, slicer, codebase.facts(asked) if asked else {}, processes)


def _run_all(active: ActiveRun, rig: Rig, budget: WaitBudget) -> None:
    """Trial after trial; the next probes of searches and new attempts at void trials are put at the end."""
    queue, options, began = active.queue, active.options, time.monotonic()
    while queue.waiting:
        trials, started = queue.next, time.monotonic()
        if disturbance := budget.disturbance():
            active.announce(f"waiting for a calm machine: {disturbance}")
            budget.wait()
        folders = {active.folder / "trials" / trial.folder: trial for trial in trials}
        active.announce(_description(trials, queue), {each: trial.label for each, trial in folders.items()})
        valid = _run_and_judge(folders, rig)
        queue.mark_run(len(trials))
        seconds = sum(trial.seconds for trial in trials)
        active.pace.add(seconds, time.monotonic() - started, valid=valid)
        in_time = time.monotonic() - began + seconds + queue.span.middle < options.budget_seconds
        if valid:
            for trial in trials:
                queue.add_next_probe(active.experiments, trial, active.folder)
        elif trials[0].attempt < options.attempts and in_time:
            queue.add_attempt(trials)


def _description(trials: Sequence[Trial], queue: TrialQueue) -> str:
    """Which trials begin: `trial 3 of 18: monolith, repeat 1, attempt 2`.

    A trial of a search has the number of its search: nobody knows how many trials that takes.
    """
    first = trials[0]
    (start, total), (end, _) = queue.place(first), queue.place(trials[-1])
    labels = ", ".join(trial.label for trial in trials) + (" in turns" if len(trials) > 1 else "")
    again = f", attempt {first.attempt}" if first.attempt > 1 else ""
    if first.probe:
        rate = f" {first.rate:.3g} visits/s" if first.rate else ""
        return (
            f"search {start} of {total}: {labels}, repeat {first.repeat}, trial {first.probe} at{rate}{again}"
        )
    numbers = f"trial {start}" if start == end else f"trials {start} to {end}"
    return f"{numbers} of {total}: {labels}, repeat {first.repeat}{again}"


def _run_and_judge(folders: Mapping[Path, Trial], rig: Rig) -> bool:
    """Run trials that belong together; returns whether all are valid. The reason of a failure goes to failed.json."""
    try:
        run_trials([(trial, folder) for folder, trial in folders.items()], rig)
        return all(is_valid(read_trial(folder)) for folder in folders)
    except (TrialError, TargetError, LauncherError) as error:
        for folder in folders:
            write_json(folder / "failed.json", {"why": str(error)})
        return False
