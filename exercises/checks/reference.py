"""The two reference shops of this repository, both open at once, to be looked at beside each other.

They have small data, so that both are open within seconds; no result comes from here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from exercises.checks.open_shop import OpenShop, describe, read
from exercises.checks.seeding import DATA_SIZES
from exercises.errors import ExerciseError, NotStarted
from microservices.launcher import MONOLITH, SPLIT, Fleet, LauncherError, RunFolder, default_home, sqlite_url
from microservices.launcher.control import ControlServer
from microservices.launcher.environment import inherited
from microservices.launcher.seed import database_file, seed
from microservices.topology import Topology
from microservices.tracing import receiver_in

SHOPS = {"monolith": MONOLITH, "microservices": SPLIT}
SEED = 1
STOP_SECONDS = 2.0


def home() -> Path:
    """The folder that both write to."""
    return default_home() / "show"


def find(kind: str) -> OpenShop | None:
    """The open shop of this kind; None when it is closed."""
    return read(RunFolder(home(), SHOPS[kind].name).state_file)


def require(kind: str) -> OpenShop:
    """The same; ExerciseError when it is closed."""
    shop = find(kind)
    if shop is None:
        raise ExerciseError(f"The {kind} shop is not open; exercises show opens both.")
    return shop


def load_folder(kind: str) -> Path:
    """Where what its visitors notice is written."""
    return home() / "load" / kind


@contextmanager
def both_open(say: Callable[[str], None], *, traced: bool = False) -> Iterator[None]:
    """Seed and start both, and receive their traces if wanted. NotStarted with a log's end when one does not start."""
    env = {**DATA_SIZES, "SHOP_SEED": str(SEED)}
    with ExitStack() as stack:
        try:
            if traced:
                env |= stack.enter_context(receiver_in(home())).environment()
            for kind, topology in SHOPS.items():
                data = home() / "data" / kind
                RunFolder(home(), topology.name).logs.mkdir(parents=True, exist_ok=True)
                fleet = Fleet(topology, data_dir=data, home=home(), env=env, say=say)
                fleet.folder.claim(say)
                shutil.rmtree(data, ignore_errors=True)
                data.mkdir(parents=True)
                _seed(topology, data, env)
                stack.callback(fleet.stop, STOP_SECONDS)
                fleet.start()
                describe(fleet)
                stack.enter_context(ControlServer(fleet))
                say(f"The {kind} shop is open at {fleet.url}")
        except LauncherError as error:
            raise NotStarted(str(error)) from error
        yield


def _seed(topology: Topology, data: Path, env: dict[str, str]) -> None:
    if topology is SPLIT:
        seed(data, home=home(), env=env)
        return
    (service,) = topology.services
    url = {"SHOP_DATABASE_URL": sqlite_url(database_file(data, service))}
    done = subprocess.run(
        [sys.executable, "-m", "monolith.cli", "seed"],
        env={**inherited(os.environ), **env, **url},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LauncherError(f"The monolith's data could not be made: {done.stderr.strip()[-300:]}")
