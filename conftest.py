"""What holds for all tests: none of them fails because the machine is slow, or busy with something else.

A `timed` test promises seconds, cores, or that nobody is turned away under load. It is a measurement, and has the rule
of one: when it fails while the machine was kept from it, that try is void and repeated, at most twice. Its bounds stay
as they are, and on a calm machine it fails at once.
"""

import signal
import time
from collections.abc import Iterable

import psutil
import pytest
from hypothesis import HealthCheck, settings

from exercises.checks.machine import Watcher
from exercises.checks.readings import WINDOW_SECONDS

REPEATS = 2
"""As many as a void trial of the lab gets."""

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


class Disturbances:
    """Whether the machine was kept from the test that runs now."""

    def __init__(self) -> None:
        self._watcher: Watcher | None = None
        self._began = 0.0

    def begin(self) -> None:
        """A try begins."""
        if self._watcher is None:
            self._watcher = Watcher()
            self._watcher.__enter__()
        self._began = time.monotonic()

    def end(self) -> None:
        """No test follows."""
        if self._watcher is not None:
            self._watcher.__exit__()

    def were_there(self) -> bool:
        """Since the try began; the window that is open now is waited for."""
        assert self._watcher is not None
        time.sleep(WINDOW_SECONDS)
        return self._watcher.since(self._began).is_busy


disturbances = Disturbances()


def pytest_configure(config: pytest.Config) -> None:
    """SIGTERM is as good as Ctrl-C: the fixtures end what they have started, also in the processes of xdist."""
    has_workers = bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")

    def stop(*_: object) -> None:
        for worker in psutil.Process().children() if has_workers else ():
            worker.terminate()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=REPEATS, condition=disturbances.were_there))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("timed"):
        disturbances.begin()


def pytest_sessionfinish() -> None:
    disturbances.end()
