"""What the tests of the fault gates share: shops to break, and the honest end of a measurement on a busy machine.

A bound of a gate is never loosened. When it is missed while other processes used the machine, the test says so and is
skipped as inconclusive: it then has neither passed nor failed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil
import pytest
from sqlalchemy import create_engine

from microservices.chaos import arena as arenas
from microservices.chaos.arena import SIZES, Arena
from microservices.chaos.crowd import Crowd, admitted
from microservices.launcher import MONOLITH, Fleet
from microservices.launcher.environment import FLEET_ID_VARIABLE
from microservices.tests.shops import look_at_monolith
from monolith.config import Config
from monolith.dataset import Sizes
from monolith.seed import seed as fill_monolith

BUSY_CORES = 0.3
"""CPU that others may use before a measurement of time is in doubt."""


@contextmanager
def split(home: Path, replicas: Mapping[str, int] | None = None) -> Iterator[Arena]:
    """The split shop with a proxy before three of its services."""
    with arenas.opened(home, replicas=replicas) as arena:
        yield arena


@contextmanager
def monolith(home: Path, replicas: int = 1) -> Iterator[Arena]:
    """The monolith behind the same gateway; its replicas share the one database."""
    url = f"sqlite:///{home}/data/monolith.sqlite3"
    env = {**SIZES, "SHOP_HOME": str(home), "SHOP_DATABASE_URL": url}
    (home / "data").mkdir(parents=True)
    fill_monolith(Config.from_env(env), Sizes.from_env(env))
    said: list[tuple[float, str]] = []
    with ExitStack() as stack:
        fleet = Fleet(
            MONOLITH,
            {"monolith": replicas},
            data_dir=home / "data",
            home=home,
            env=env,
            say=lambda text: said.append((time.monotonic(), text)),
        )
        stack.enter_context(fleet)
        engine = create_engine(url)
        stack.callback(engine.dispose)
        yield Arena(fleet, {}, lambda: look_at_monolith(engine), said)


@contextmanager
def under_load(arena: Arena, seed: int = 1) -> Iterator[Crowd]:
    """Customers while the block runs; then the shop heals and settles, and I1 to I6 must hold."""
    with admitted(arena, seed) as crowd:
        yield crowd
        found, _ = crowd.settle()
    assert {name: sentences[:3] for name, sentences in found.items() if sentences} == {}
    assert crowd.load.history.statuses()["500"] == 0


class Bystanders:
    """How much of the machine others use while the context is entered; looked at often, for many live briefly."""

    def __init__(self, mark: str) -> None:
        self.cores = 0.0
        self._mark, self._ours = mark, {os.getpid(): True}
        self._seen: dict[int, tuple[float, float]] = {}
        """Pid to CPU seconds at the first and at the last look."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._began = time.time()
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        used = sum(last - first for first, last in self._seen.values())
        self.cores = used / (time.time() - self._began)

    def _watch(self) -> None:
        while not self._end.wait(0.5):
            self._look()

    def _look(self) -> None:
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                pid = process.pid
                if pid not in self._ours:
                    self._ours[pid] = process.environ().get(FLEET_ID_VARIABLE) == self._mark
                if not self._ours[pid]:
                    times = process.cpu_times()
                    used = times.user + times.system
                    new = process.create_time() > self._began
                    first, _ = self._seen.get(pid, (0.0 if new else used, used))
                    self._seen[pid] = (first, used)


@contextmanager
def in_time(arena: Arena) -> Iterator[list[tuple[str, float, float]]]:
    """Append (what, figure, bound) to the list; at the end every figure must be within its bound.

    One that is not makes the test fail, or inconclusive where others used the machine meanwhile.
    """
    figures: list[tuple[str, float, float]] = []
    (mark,) = {process_mark(member.pid) for member in arena.fleet.members()[:1]}
    with Bystanders(mark) as bystanders:
        yield figures
    missed = [f"{what} {figure:.2f}, gate {bound:.2f}" for what, figure, bound in figures if figure > bound]
    for what, figure, bound in figures:
        print(f"{what}: {figure:.2f} (gate {bound:.2f}; others used {bystanders.cores:.2f} cores)")  # noqa: T201
    if missed and bystanders.cores > BUSY_CORES:
        pytest.skip(f"inconclusive, others used {bystanders.cores:.1f} cores: {'; '.join(missed)}")
    assert missed == []


def process_mark(pid: int) -> str:
    """The id of the fleet that a process belongs to."""
    return psutil.Process(pid).environ()[FLEET_ID_VARIABLE]
