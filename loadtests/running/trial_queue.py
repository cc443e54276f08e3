"""The trials that a run still has to do: all of them, or what an interrupted run left, read from its folders."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

from loadtests.analysis.measure import measure
from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.raw import read_trial
from loadtests.analysis.results import is_valid
from loadtests.analysis.searches import next_probe, trials_left
from loadtests.experiments.experiment import Experiment
from loadtests.planning.remaining import Span, fresh_searches, span_of
from loadtests.planning.trials import Trial

ENDED = ("trial.json", "failed.json")
"""A trial's folder holds one of these when the trial has ended, successfully or not."""


@dataclass
class TrialQueue:
    """The trials to run, how many were run before, and the highest order number that a trial has got so far.

    `planned` are the trials that the run began with. Their numbers are shown to people, and never change: another
    attempt has the number of the first one, and a search is one number, however many trials it takes.
    """

    waiting: list[Trial]
    done: int = 0
    order: int = 0
    experiments: Sequence[Experiment] = ()
    planned: Sequence[Trial] = ()
    probes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By key: how many trials each search that has not ended needs, at least and at most."""

    def __post_init__(self) -> None:
        self.order = max([self.order, *(trial.order for trial in self.waiting)])
        self._places: dict[str, tuple[int, int]] = {}
        self.number(self.planned or self.waiting)

    def number(self, planned: Iterable[Trial]) -> None:
        """Give the planned trials their numbers, the searches apart from the others."""
        keys = list(dict.fromkeys(trial.key for trial in planned))
        searches = {trial.key for trial in planned if trial.probe}
        for kind in ([key for key in keys if key not in searches], [key for key in keys if key in searches]):
            self._places |= {key: (place, len(kind)) for place, key in enumerate(kind, start=1)}
        self.probes = fresh_searches(planned, self.experiments) | self.probes

    def place(self, trial: Trial) -> tuple[int, int]:
        """The number of the trial, or of its search, and of how many."""
        return self._places[trial.key]

    @property
    def span(self) -> Span:
        """About how many seconds the waiting trials take, with the trials that searches add to them."""
        return span_of(self.waiting, self.probes)

    @property
    def next(self) -> list[Trial]:
        """The next trial, with all others of its group: their shops take turns, so they run at the same time."""
        first = self.waiting[0]
        together = takewhile(lambda trial: _attempt_of(trial) == _attempt_of(first), self.waiting)
        return list(together) if first.group else [first]

    def mark_run(self, count: int) -> None:
        """The first `count` waiting trials were run."""
        del self.waiting[:count]
        self.done += count

    def append(self, trial: Trial) -> None:
        """Put a trial at the end."""
        self.order = max(self.order, trial.order)
        self.waiting.append(trial)

    def add_repeat(self, trials: Sequence[Trial]) -> None:
        """Put the trials of one more repeat at the end. They are numbered apart: an announced total never grows."""
        self.number(trials)
        for trial in trials:
            self.append(replace(trial, order=self.order + 1))

    def add_attempt(self, trials: Sequence[Trial]) -> None:
        """Put another attempt at these trials at the end: what disturbed this one may be over by then."""
        for trial in trials:
            self.append(replace(trial, attempt=trial.attempt + 1, order=self.order + 1))

    def add_next_probe(self, experiments: Sequence[Experiment], trial: Trial, folder: Path) -> None:
        """Put the next probe at the end, if the trial belongs to a search that has not ended."""
        if trial.rate is None:
            return
        experiment = _experiment(experiments, trial)
        probes = _probes(experiment, trial, folder)
        self.probes[trial.key] = trials_left(experiment, trial, probes)
        following = next_probe(experiment, trial, probes)
        if following is not None:
            self.append(replace(following, order=self.order + 1))


def _attempt_of(trial: Trial) -> tuple[str, int]:
    return trial.group, trial.attempt


def _experiment(experiments: Sequence[Experiment], trial: Trial) -> Experiment:
    return next(each for each in experiments if each.name == trial.experiment)


def _probes(experiment: Experiment, trial: Trial, folder: Path) -> list[PhaseResult]:
    """The valid results of the searched phase in the trial's own search, in order."""
    places = sorted((folder / "trials").glob(f"[0-9][0-9][0-9]-{trial.id}-r{trial.repeat}-p[0-9]*"))
    measured = (measure(read_trial(place)) for place in places if (place / "trial.json").is_file())
    valid = (results for results in measured if not any(result.doubts for result in results))
    return [
        each
        for results in valid
        for each in results
        if experiment.search and each.phase == experiment.search.phase
    ]


def remaining(
    trials: Sequence[Trial], experiments: Sequence[Experiment], folder: Path, attempts: int
) -> TrialQueue:
    """The planned trials that were not run yet, then new attempts at void ones, each with its whole group.

    A trial that was cut off is run again, so its folder is removed. A search goes on from its last probe.
    """
    ended = _ended_attempts(folder)
    places = [place for each in ended.values() for place in each]
    highest = max((int(place.name.partition("-")[0]) for place in places), default=0)
    queue = TrialQueue(
        [],
        done=len(places),
        order=max([highest, *(trial.order for trial in trials)]),
        experiments=experiments,
        planned=trials,
    )
    run = []
    for trial in trials:
        last = _last_probe(trial, experiments, folder, ended)
        if trial.probe:
            experiment = _experiment(experiments, trial)
            queue.probes[trial.key] = trials_left(experiment, trial, _probes(experiment, trial, folder))
        if last.name in ended:
            run.append(replace(last, attempt=len(ended[last.name])))
        else:
            queue.append(last if last is trial else replace(last, order=queue.order + 1))
    void = {trial.name for trial in run if not any(map(_was_valid, ended[trial.name]))}
    groups = {trial.group for trial in run if trial.name in void} - {""}
    again = [trial for trial in run if trial.name in void or trial.group in groups]
    queue.add_attempt([trial for trial in again if trial.attempt < attempts])
    return queue


def _ended_attempts(folder: Path) -> dict[str, list[Path]]:
    """Name of a trial → the folders of its attempts that came to an end. The other folders are removed."""
    ended: dict[str, list[Path]] = {}
    for place in sorted((folder / "trials").glob("[0-9]*-*")):
        if any((place / name).is_file() for name in ENDED):
            ended.setdefault(place.name.partition("-")[2].partition("-try")[0], []).append(place)
        else:
            shutil.rmtree(place)
    return ended


def _last_probe(
    trial: Trial, experiments: Sequence[Experiment], folder: Path, ended: Mapping[str, Sequence[Path]]
) -> Trial:
    """The probe that the trial's search has come to; the trial itself if it belongs to no search."""
    if trial.rate is None:
        return trial
    experiment = _experiment(experiments, trial)
    probes = _probes(experiment, trial, folder)
    while any(map(_was_valid, ended.get(trial.name, ()))):
        following = next_probe(experiment, trial, probes[: trial.probe])
        if following is None:
            break
        trial = following
    return trial


def _was_valid(place: Path) -> bool:
    return (place / "trial.json").is_file() and is_valid(read_trial(place))
