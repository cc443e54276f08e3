"""What a run still has to do: everything, or what an interrupted run left. Read from the folders of its trials."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from loadtests.analysis.measure import measure
from loadtests.analysis.phase_result import PhaseResult
from loadtests.analysis.raw import read_trial
from loadtests.analysis.results import is_valid
from loadtests.analysis.searches import next_probe
from loadtests.experiments.experiment import Experiment
from loadtests.planning.trials import Trial

ENDED = ("trial.json", "failed.json")
"""One of these in a trial's folder says that the trial came to its end, for better or worse."""


@dataclass
class Work:
    """The trials to run, how many were run before, and the highest number of order given so far."""

    waiting: list[Trial]
    done: int = 0
    order: int = 0

    def __post_init__(self) -> None:
        self.order = max([self.order, *(trial.order for trial in self.waiting)])

    @property
    def count(self) -> int:
        """Trials in all, as far as is known by now."""
        return self.done + len(self.waiting)

    @property
    def seconds(self) -> float:
        """How long what is waiting takes, about."""
        return sum(trial.seconds for trial in self.waiting)

    @property
    def next(self) -> list[Trial]:
        """The trial whose turn it is, and those beside it that it takes turns with."""
        first = self.waiting[0]
        together = takewhile(lambda trial: _attempt_of(trial) == _attempt_of(first), self.waiting)
        return list(together) if first.group else [first]

    def tick_off(self, count: int) -> None:
        """The first so many of those that wait were run."""
        del self.waiting[:count]
        self.done += count

    def take(self, trial: Trial) -> None:
        """Put a trial at the end."""
        self.order = max(self.order, trial.order)
        self.waiting.append(trial)

    def again(self, trials: Sequence[Trial]) -> None:
        """Put another attempt at the end, when whatever disturbed this one may be over."""
        for trial in trials:
            self.take(replace(trial, attempt=trial.attempt + 1, order=self.order + 1))

    def follow(self, experiments: Sequence[Experiment], trial: Trial, folder: Path) -> None:
        """Put the next probe at the end if the trial belongs to a search that goes on."""
        if trial.rate is None:
            return
        experiment = _experiment(experiments, trial)
        following = next_probe(experiment, trial, _probes(experiment, trial, folder))
        if following is not None:
            self.take(replace(following, order=self.order + 1))


def _attempt_of(trial: Trial) -> tuple[str, int]:
    return trial.group, trial.attempt


def _experiment(experiments: Sequence[Experiment], trial: Trial) -> Experiment:
    return next(each for each in experiments if each.name == trial.phases[0].experiment)


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
) -> Work:
    """The planned trials that were not run yet, then another attempt at those that were void, and at their groups.

    The folder of a trial that was cut off is removed: it is run again. A search goes on from its last probe.
    """
    tried: dict[str, list[Path]] = {}
    for place in sorted((folder / "trials").glob("[0-9]*-*")):
        if any((place / name).is_file() for name in ENDED):
            tried.setdefault(place.name.partition("-")[2].partition("-try")[0], []).append(place)
        else:
            shutil.rmtree(place)
    places = [place for each in tried.values() for place in each]
    highest = max((int(place.name.partition("-")[0]) for place in places), default=0)
    work = Work([], done=len(places), order=max([highest, *(trial.order for trial in trials)]))
    run = []
    for trial in trials:
        last = _last(trial, experiments, folder, tried)
        if last.name in tried:
            run.append(replace(last, attempt=len(tried[last.name])))
        else:
            work.take(last if last is trial else replace(last, order=work.order + 1))
    void = {trial.name for trial in run if not any(map(_was_valid, tried[trial.name]))}
    groups = {trial.group for trial in run if trial.name in void} - {""}
    again = [trial for trial in run if trial.name in void or trial.group in groups]
    work.again([trial for trial in again if trial.attempt < attempts])
    return work


def _last(
    trial: Trial, experiments: Sequence[Experiment], folder: Path, tried: Mapping[str, Sequence[Path]]
) -> Trial:
    """The trial itself, or where its search has come to."""
    if trial.rate is None:
        return trial
    experiment = _experiment(experiments, trial)
    probes = _probes(experiment, trial, folder)
    while any(map(_was_valid, tried.get(trial.name, ()))):
        following = next_probe(experiment, trial, probes[: trial.probe])
        if following is None:
            break
        trial = following
    return trial


def _was_valid(place: Path) -> bool:
    return (place / "trial.json").is_file() and is_valid(read_trial(place))
