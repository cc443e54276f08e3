"""Gates in full: whatever is killed comes back, nothing is lost, and almost nobody notices."""

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

from microservices.chaos.arena import SIZES
from microservices.chaos.client import Outcome
from microservices.chaos.faults import Fault
from microservices.chaos.invariants import Databases, Shop, repeats_tell_one_outcome, table
from microservices.chaos.load import Load, stock_up
from microservices.launcher import SPLIT
from microservices.launcher.ports import Ports
from microservices.launcher.seed import seed
from microservices.tests.conftest import call, processes_marked, wait_until
from microservices.tests.gates import in_time, monolith, process_mark, split, under_load
from microservices.tests.shops import look_at_monolith
from monolith.chassis.config import Config
from monolith.dataset import Sizes
from monolith.seed import seed as fill_monolith

pytestmark = [pytest.mark.processes, pytest.mark.full, pytest.mark.timed]

BACK_SECONDS, MAX_FAILED = 5.0, 0.01
SHOPS = {
    "split": (split, [*(service.name for service in SPLIT.services), "gateway"]),
    "monolith": (monolith, ["monolith", "gateway"]),
}


@pytest.mark.parametrize("shop", SHOPS)
def test_each_process_is_killed_in_turn_and_almost_nobody_notices(shop, tmp_path):
    opened, targets = SHOPS[shop]
    with opened(tmp_path) as arena, in_time(arena) as figures:
        with under_load(arena) as crowd:
            happened = [crowd.suffer(Fault("kill", target)) for target in targets]
        for one in happened:
            assert one.recovered is not None, one
            figures.append((f"{one.what}: seconds until all is well", one.recovered, BACK_SECONDS))
        history = crowd.load.history  # to the end: what was asked while something was dead is answered later
        asked, failed = history.total(), history.total(Outcome.FAILED, Outcome.UNKNOWN)
        figures.append((f"share of {asked} requests that failed", failed / asked, MAX_FAILED))
        deaths = [text for _, text in arena.said if " died (SIGKILL); starting it again" in text]
        assert len(deaths) == len(targets)


@contextmanager
def launched(command: list[str], env: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The program, once its shop answers; ended at the end if it still runs."""
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


def _everything_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The launcher, or the server, and whatever belongs to it."""
    children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    fleets = {process_mark(pid) for pid in children if "SHOP_FLEET" in psutil.Process(pid).environ()}
    return [process.pid, *children, *(pid for fleet in fleets for pid in processes_marked(fleet))]


def _fill_split(home: Path, env: dict[str, str]) -> Callable[[], Shop]:
    seed(home / "data", home=home, env=env)
    databases = Databases.in_folder(home / "data")
    return lambda: Shop.look(databases)


def _fill_monolith(home: Path, env: dict[str, str]) -> Callable[[], Shop]:
    url = f"sqlite:///{home}/data/monolith.sqlite3"
    (home / "data").mkdir()
    fill_monolith(Config.from_env({**env, "SHOP_DATABASE_URL": url}), Sizes.from_env(env))
    engine = create_engine(url)
    return lambda: look_at_monolith(engine)


PROGRAMS = {
    "split": (
        _fill_split,
        ["microservices.cli", "up", "--no-seed", "--data", "{home}/data", "--port", "{port}"],
    ),
    "monolith": (_fill_monolith, ["monolith.cli", "serve", "--port", "{port}"]),
}


@pytest.mark.parametrize("shop", PROGRAMS)
def test_everything_with_its_launcher_is_killed_and_started_again(shop, tmp_path):
    fill, command = PROGRAMS[shop]
    ports = Ports(1)
    (port,) = ports.numbers
    command = [part.format(home=tmp_path, port=port) for part in command]
    env = {**SIZES, "SHOP_HOME": str(tmp_path)}
    env |= {"SHOP_DATABASE_URL": f"sqlite:///{tmp_path}/data/monolith.sqlite3"} if shop == "monolith" else {}
    look = fill(tmp_path, env)
    with launched(command, env, port) as first:
        stock_up(port)
        before = look()
        with Load(port) as load:
            wait_until(lambda: _bought(load) >= 20, 60.0)
            for pid in _everything_of(first):
                os.kill(pid, signal.SIGKILL)
            first.wait(10)
            with launched(command, env, port):
                wanted = _bought(load) + 20
                wait_until(lambda: _bought(load) >= wanted, 60.0)
                load.stop()
                load.resolve(30.0)
                assert _settled(look, load, before) == {}
    for buyer in load.buyers:
        buyer.close()
    ports.release()


def _bought(load: Load) -> int:
    return sum(told.status == 201 for told in load.history.told)


def _settled(look: Callable[[], Shop], load: Load, before: Shop) -> dict[str, list[str]]:
    """What is broken once the shop had its half minute."""
    until = time.monotonic() + 30.0
    while True:
        found = table(look(), load.history.told, before)
        found["I5"] = list(repeats_tell_one_outcome(load.history.told))
        broken = {name: sentences[:3] for name, sentences in found.items() if sentences}
        if not broken or time.monotonic() > until:
            return broken
        time.sleep(0.25)
