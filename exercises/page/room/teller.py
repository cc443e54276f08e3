"""Tells the room where a learner is, when that changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import requests

from exercises.errors import ExerciseError
from exercises.page.room.membership import TIMEOUT_SECONDS, Membership, stored
from exercises.page.room.news import MAX_FAILING, News, Result
from exercises.workspaces import last_check
from exercises.workspaces.workspace import Workspace

LOOK_SECONDS = 1.0
STILL_HERE_SECONDS = 15.0
"""So often the room hears of somebody of whom there is nothing new."""
NO_ANSWER = "The room does not answer. It is asked again."
FORGOTTEN = "The room has forgotten you. To come in again, start exercises ui with --join."
Told = tuple[Membership, News]


class Teller:
    """Tells the room that is stored in `folder`, if any, from a thread of its own: a slow room delays nothing."""

    def __init__(self, folder: Path, news: Callable[[], News]) -> None:
        self.trouble = ""
        """A sentence for the learner when the room does not hear; empty when it does."""
        self._folder = folder
        self._news = news
        self._forgotten = ""
        """A key that the room does not know any more; it is not asked with it again."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="room", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def close(self) -> None:
        """Stop telling."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_SECONDS + LOOK_SECONDS)

    def _run(self) -> None:
        told: Told | None = None
        quiet = 0.0
        while not self._ended.is_set():
            now = self._look(told)
            if now is not None and (now != told or quiet >= STILL_HERE_SECONDS):
                told, quiet = (now, 0.0) if self._tell(*now) else (None, 0.0)
            self._ended.wait(LOOK_SECONDS)
            quiet += LOOK_SECONDS

    def _look(self, told: Told | None) -> Told | None:
        membership = stored(self._folder)
        if membership is None or membership.key == self._forgotten:
            self.trouble = self.trouble if membership else ""
            return None
        try:
            return membership, self._news().model_copy(update={"feeling": membership.feeling})
        except (ExerciseError, OSError):
            return told  # the course is being updated, or the disk is full: the page says so

    def _tell(self, membership: Membership, news: News) -> bool:
        try:
            known = membership.tell(news)
        except requests.RequestException:
            self.trouble = NO_ANSWER
            return False
        except ExerciseError as refusal:
            self.trouble = str(refusal)
            return False
        self.trouble = "" if known else FORGOTTEN
        self._forgotten = "" if known else membership.key
        return known


def where(workspace: Workspace) -> News:
    """Where the learner of this workspace is, from the files that `status` reads."""
    step = workspace.step
    last = last_check.last_check(workspace, step)
    results = [last_check.task_result(task.checks, last) for task in step.manifest.tasks]
    failing = [check for task in step.manifest.tasks for check in task.checks if last.get(check) == "not yet"]
    return News(
        step=step.label,
        task=last_check.open_task(workspace, step),
        tasks=len(results),
        passed=results.count("pass"),
        result=_worst(results),
        failing=tuple(failing[:MAX_FAILING]),
    )


def _worst(results: list[str]) -> Result:
    order: tuple[Result, ...] = ("tool error", "not yet", "inconclusive", "not run", "not checked", "pass")
    return next((each for each in order if each in results), "pass")
