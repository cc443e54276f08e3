"""A spike for Locust's own web page, beside the visitors: `-f loadtests/locustfile.py,loadtests/shape.py`.

Its numbers are users, who wait for their answers: where the shop slows down, they come less often. The lab's curves are
arrivals, which do not wait.
"""

from typing import ClassVar

from locust import LoadTestShape

SPAWNED_PER_SECOND = 20.0


class Spike(LoadTestShape):
    """Ten users, a hundred for half a minute, ten again; Locust stops after 90 seconds."""

    stages: ClassVar[tuple[tuple[float, int], ...]] = ((30.0, 10), (60.0, 100), (90.0, 10))
    """Until which second, how many users."""

    def tick(self) -> tuple[int, float] | None:
        """Users wanted now and how many of them to start in a second; None ends the run."""
        now: float = self.get_run_time()  # type: ignore[no-untyped-call]  # it has no types of its own
        return next(((users, SPAWNED_PER_SECOND) for until, users in self.stages if now < until), None)
