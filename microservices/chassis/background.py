"""Background loops beside the requests: they read an event feed, or finish what a crash interrupted.

They start in the serving process, not at import and not when the application is made: the server forks its worker,
and a thread does not survive a fork.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask

from . import context, spans
from .errors import UpstreamError
from .runtime import runtime

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
"""Before the first step: when all services start together, those that a loop calls are not ready yet."""
SLOWEST_SECONDS = 10.0


@dataclass(slots=True)
class Loop:
    """Repeats a step; the step returns True when there may be more to do at once."""

    app: Flask
    name: str
    step: Callable[[], bool]
    pause: float
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Run in a thread of its own, until the process ends."""
        threading.Thread(target=self.run, name=self.name, daemon=True).start()

    def run(self) -> None:
        """Take steps until `stop`; after failures the pauses grow, up to 10 s."""
        wait = min(self.pause, FIRST_PAUSE_SECONDS)
        while not self._stopping.wait(wait):
            try:
                wait = 0.0 if self.turn() else self.pause
            except Exception as error:  # otherwise one error would end the loop for good
                known = isinstance(error, UpstreamError)
                log.warning("%s: %s", self.name, error, exc_info=None if known else error)
                wait = min(SLOWEST_SECONDS, max(self.pause, wait * 2)) * random.uniform(0.5, 1)  # noqa: S311

    def turn(self) -> bool:
        """Take one step, in an application context and with the deadline of one request.

        It is traced only where the step says so with `spans.linked`, when it has found something to do.
        """
        with self.app.app_context(), context.work(runtime(self.app).config.timeout), spans.unrecorded():
            return self.step()

    def stop(self) -> None:
        """End after the current step."""
        self._stopping.set()


def add_loop(app: Flask, name: str, step: Callable[[], bool], pause: float) -> Loop:
    """Run `step` every `pause` seconds in each serving process, and again at once when it returns True."""
    loop = Loop(app, name, step, pause)
    runtime(app).loops.append(loop)
    return loop


def start_loops(app: Flask) -> None:
    """Start the loops of an application; the serving process calls this once."""
    for loop in runtime(app).loops:
        loop.start()
