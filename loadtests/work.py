"""What a run still has to do: everything, or what an interrupted run left. Read from the folders of its trials."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.analysis import is_valid
from loadtests.plan import Trial
from loadtests.raw import read_trial

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

    def again(self, trial: Trial) -> None:
        """Put another attempt at the end, when whatever disturbed this one may be over."""
        self.order += 1
        self.waiting.append(replace(trial, attempt=trial.attempt + 1, order=self.order))


def remaining(trials: Sequence[Trial], folder: Path, attempts: int) -> Work:
    """The planned trials that were not run yet, then another attempt at those that were void.

    The folder of a trial that was cut off is removed: it is run again.
    """
    tried: dict[str, list[Path]] = {}
    for place in sorted((folder / "trials").glob("[0-9]*-*")):
        if any((place / name).is_file() for name in ENDED):
            tried.setdefault(place.name.partition("-")[2].partition("-try")[0], []).append(place)
        else:
            shutil.rmtree(place)
    places = [place for each in tried.values() for place in each]
    highest = max((int(place.name.partition("-")[0]) for place in places), default=0)
    work = Work(
        [trial for trial in trials if trial.name not in tried],
        done=len(places),
        order=max([highest, *(trial.order for trial in trials)]),
    )
    for trial in trials:
        before = tried.get(trial.name, [])
        if 0 < len(before) < attempts and not any(map(_was_valid, before)):
            work.again(replace(trial, attempt=len(before)))
    return work


def _was_valid(place: Path) -> bool:
    return (place / "trial.json").is_file() and is_valid(read_trial(place))
