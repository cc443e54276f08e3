"""Gates in full: killed processes are restarted, nothing is lost, and almost no request fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine

from microservices.chaos.client import Outcome
from microservices.chaos.faults import Fault
from microservices.chaos.load import Load, set_stock
from microservices.chaos.run import settled
from microservices.chaos.shop_under_test import SIZES
from microservices.chaos.snapshot import Databases, Snapshot
from microservices.launcher import SPLIT
from microservices.launcher.ports import Ports
from microservices.launcher.seed import seed
from microservices.tests.conftest import call, processes_of_fleet, wait_until
from microservices.tests.gates import fleet_id_of, monolith, seed_monolith, split, under_load, within_bounds
from microservices.tests.shops import monolith_snapshot

pytestmark = [pytest.mark.processes, pytest.mark.full, pytest.mark.timed]

RECOVERY_SECONDS, MAX_FAILED = 5.0, 0.01
SHOPS = {
    "split": (split, [*(service.name for service in SPLIT.services), "gateway"]),
    "monolith": (monolith, ["monolith", "gateway"]),
}


@pytest.mark.parametrize("name", SHOPS)
def test_each_process_is_killed_in_turn_and_almost_no_request_fails(name, tmp_path):
    opened, targets = SHOPS[name]
    with opened(tmp_path) as shop, within_bounds(shop) as figures:
        with under_load(shop) as run:
            results = [run.inject(Fault("kill", target)) for target in targets]
        for result in results:
            assert result.recovered is not None, result
            figures.append((f"{result.what}: seconds until healthy", result.recovered, RECOVERY_SECONDS))
        history = run.load.history  # read when the load has stopped: some requests end only after a restart
        requests, failed = history.total(), history.total(Outcome.FAILED, Outcome.UNKNOWN)
        figures.append((f"share of {requests} requests that failed", failed / requests, MAX_FAILED))
        deaths = [text for _, text in shop.messages if " died (SIGKILL); starting it again" in text]
        assert len(deaths) == len(targets)


@contextmanager
def launched(command: list[str], env: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A running program, once its shop answers; it is stopped after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: process.poll() is not None or _answers(port), 60.0)
        assert process.poll() is None
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        return call(port, "GET", "/api/products/P00004/recommendations").status == 200
    except OSError:
        return False


def _all_pids_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The launcher or the server, and all processes that belong to it."""
    children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    fleets = {fleet_id_of(pid) for pid in children if "SHOP_FLEET" in psutil.Process(pid).environ()}
    return [process.pid, *children, *(pid for fleet in fleets for pid in processes_of_fleet(fleet))]


def _seed_split(home: Path) -> tuple[dict[str, str], Callable[[], Snapshot]]:
    env = {**SIZES, "SHOP_HOME": str(home)}
    seed(home / "data", home=home, env=env)
    databases = Databases.in_folder(home / "data")
    return env, lambda: Snapshot.read(databases)


def _seed_monolith(home: Path) -> tuple[dict[str, str], Callable[[], Snapshot]]:
    env = seed_monolith(home)
    engine = create_engine(env["SHOP_DATABASE_URL"])
    return env, lambda: monolith_snapshot(engine)


PROGRAMS = {
    "split": (
        _seed_split,
        ["microservices.cli", "up", "--no-seed", "--data", "{home}/data", "--port", "{port}"],
    ),
    "monolith": (_seed_monolith, ["monolith.cli", "serve", "--port", "{port}"]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_everything_is_killed_with_its_launcher_and_started_again(name, tmp_path):
    seeded, command = PROGRAMS[name]
    ports = Ports(1)
    (port,) = ports.numbers
    command = [part.format(home=tmp_path, port=port) for part in command]
    env, snapshot = seeded(tmp_path)
    with launched(command, env, port) as first:
        set_stock(port)
        before = snapshot()
        with Load(port) as load:
            wait_until(lambda: _bought(load) >= 20, 60.0)
            for pid in _all_pids_of(first):
                os.kill(pid, signal.SIGKILL)
            first.wait(10)
            with launched(command, env, port):
                wanted = _bought(load) + 20
                wait_until(lambda: _bought(load) >= wanted, 60.0)
                load.stop()
                load.resolve(30.0)
                found = settled(snapshot, load.history.checkouts, before, time.monotonic())
                assert {key: sentences[:3] for key, sentences in found.items() if sentences} == {}
    for buyer in load.buyers:
        buyer.close()
    ports.release()


def _bought(load: Load) -> int:
    return sum(checkout.status == 201 for checkout in load.history.checkouts)
