"""What the tests of the fault gates share: shops to break, and bounds on times that account for a busy machine.

A bound of a gate is never loosened. If it is missed while other processes used the machine, the test is skipped as
inconclusive: it has neither passed nor failed.
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

from microservices.chaos.run import ChaosRun, started
from microservices.chaos.shop_under_test import SIZES, ShopUnderTest, running_shop
from microservices.chassis.config import sqlite_url
from microservices.launcher import MONOLITH, Fleet
from microservices.launcher.environment import FLEET_ID_VARIABLE
from microservices.tests.shops import monolith_snapshot
from monolith.chassis.config import Config
from monolith.dataset import Sizes
from monolith.seed import seed as fill_monolith

BUSY_CORES = 0.3
"""CPU that other processes may use before a measured time is in doubt."""


@contextmanager
def split(home: Path, replicas: Mapping[str, int] | None = None) -> Iterator[ShopUnderTest]:
    """The split shop with a proxy before three of its services."""
    with running_shop(home, replicas=replicas) as shop:
        yield shop


@contextmanager
def monolith(home: Path, replicas: int = 1) -> Iterator[ShopUnderTest]:
    """The monolith behind the same gateway; its replicas share one database."""
    env = seed_monolith(home)
    messages: list[tuple[float, str]] = []
    with ExitStack() as stack:
        fleet = Fleet(
            MONOLITH,
            {"monolith": replicas},
            data_dir=home / "data",
            home=home,
            env=env,
            say=lambda text: messages.append((time.monotonic(), text)),
        )
        stack.enter_context(fleet)
        engine = create_engine(env["SHOP_DATABASE_URL"])
        stack.callback(engine.dispose)
        yield ShopUnderTest(fleet, {}, lambda: monolith_snapshot(engine), messages)


def seed_monolith(home: Path) -> dict[str, str]:
    """Seed a monolith's database below `home`; returns the environment of its shop."""
    url = sqlite_url(home / "data" / "monolith.sqlite3")
    env = {**SIZES, "SHOP_HOME": str(home), "SHOP_DATABASE_URL": url}
    (home / "data").mkdir(parents=True)
    fill_monolith(Config.from_env(env), Sizes.from_env(env))
    return env


@contextmanager
def under_load(shop: ShopUnderTest, seed: int = 1) -> Iterator[ChaosRun]:
    """Load while the block runs. Then the shop settles, and all invariants must hold."""
    with started(shop, seed) as run:
        yield run
        found, _ = run.settle()
    assert {name: sentences[:3] for name, sentences in found.items() if sentences} == {}
    assert run.load.history.statuses()["500"] == 0


class OtherProcesses:
    """Measures the CPU that processes outside the fleet use, in cores, while its context is entered.

    It samples often, because many processes are short.
    """

    def __init__(self, fleet_id: str) -> None:
        self.cores = 0.0
        self._fleet_id, self._ours = fleet_id, {os.getpid(): True}
        self._seen: dict[int, tuple[float, float]] = {}
        """Pid to CPU seconds at the first and at the last sample."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._began = time.time()
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        used = sum(last - first for first, last in self._seen.values())
        self.cores = used / (time.time() - self._began)

    def _watch(self) -> None:
        while not self._end.wait(0.5):
            self._sample()

    def _sample(self) -> None:
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                pid = process.pid
                if pid not in self._ours:
                    self._ours[pid] = process.environ().get(FLEET_ID_VARIABLE) == self._fleet_id
                if not self._ours[pid]:
                    times = process.cpu_times()
                    used = times.user + times.system
                    new = process.create_time() > self._began
                    first, _ = self._seen.get(pid, (0.0 if new else used, used))
                    self._seen[pid] = (first, used)


@contextmanager
def within_bounds(shop: ShopUnderTest) -> Iterator[list[tuple[str, float, float]]]:
    """Append (what, figure, bound) to the list; after the block every figure must be within its bound.

    Otherwise the test fails, or is skipped as inconclusive if other processes used the machine meanwhile.
    """
    figures: list[tuple[str, float, float]] = []
    with OtherProcesses(fleet_id_of(shop.fleet.gateway)) as others:
        yield figures
    missed = [f"{what} {figure:.2f}, gate {bound:.2f}" for what, figure, bound in figures if figure > bound]
    for what, figure, bound in figures:
        print(f"{what}: {figure:.2f} (gate {bound:.2f}; others used {others.cores:.2f} cores)")  # noqa: T201
    if missed and others.cores > BUSY_CORES:
        pytest.skip(f"inconclusive, others used {others.cores:.1f} cores: {'; '.join(missed)}")
    assert missed == []


def fleet_id_of(pid: int) -> str:
    """The id of the fleet that a process belongs to."""
    return psutil.Process(pid).environ()[FLEET_ID_VARIABLE]
