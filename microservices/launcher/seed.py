"""Fills each service's database with its part of the shop's data.

`monolith dataset` writes the data set that both shops share; each service's own `seed` module loads its part. SQLite
databases are filled once, kept below SHOP_HOME/cache and copied from there. A service's database is filled again only
when the data set or the files that define its tables have changed, so that an exercise in one service need not wait
for all services. PostgreSQL databases are filled directly, every time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from microservices.chassis.config import sqlite_url
from microservices.launcher.environment import database_url, inherited
from microservices.launcher.errors import LauncherError
from microservices.launcher.folder import default_home
from microservices.sealing import LOADED, in_workspace, of_course
from microservices.topology import SPLIT, Service, Topology, Workspace

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
SIZES = ("SHOP_SEED", "SHOP_PRODUCTS", "SHOP_CUSTOMERS", "SHOP_ORDERS")
WORKERS = 2
MAX_CACHED = 4
"""Files of one kind and service in the cache: people often switch between a few versions or sizes."""
LAST_LINES = 15
NO_EFFECT_ON_DATA = {"__init__.py", "app.py", "routes.py", "clients.py"}
DATASET = "{dataset}"
"""The placeholder in a workspace's command for the folder with the data set."""


def seed(
    data_dir: Path,
    *,
    topology: Topology = SPLIT,
    only: Collection[str] | None = None,
    home: Path | None = None,
    env: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Replace the databases in `data_dir` (or those of SHOP_DATABASE_URL in `env`) by new ones.

    `only` names the services whose databases are replaced; None: all. `env` is added to this process's environment for
    the seeding commands: sizes, and the URL of the databases.
    """
    say = say or (lambda _: None)
    env = {**os.environ, **(env or {})}
    cache = (home or default_home()) / "cache"
    services = [service for service in topology.with_database if only is None or service.name in only]
    dataset = _dataset(cache, env, say)
    pattern = env.get("SHOP_DATABASE_URL", "")
    if _is_on_a_server(pattern):
        say(f"Filling {len(services)} databases directly ...")
        urls = {service.name: database_url(topology, service, data_dir, pattern) for service in services}
        _in_parallel(lambda service: _run_seed(service, dataset, urls[service.name], env), services)
        return
    templates = {service.name: _template(cache, service, dataset) for service in services}
    missing = [service for service in services if not templates[service.name].exists()]
    if missing:
        say(f"Filling the databases of {', '.join(service.name for service in missing)} ...")
    _in_parallel(lambda service: _fill_template(templates[service.name], service, dataset, env), missing)
    for service in services:
        _copy(templates[service.name], database_file(data_dir, service))


def seed_workspace(
    workspace: Workspace,
    data_dir: Path,
    *,
    home: Path | None = None,
    env: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Replace the workspace's SQLite databases in `data_dir` by new ones that its own commands fill.

    They are cached as in `seed`, and filled again when the data set, a Python file that the command has loaded, or the
    list of the workspace's Python files has changed.
    """
    say = say or (lambda _: None)
    home = home or default_home()
    env = {**os.environ, **(env or {}), "SHOP_HOME": str(home.absolute())}
    cache = home / "cache"
    folder = workspace.topology.folder
    assert folder is not None
    wanted = any(DATASET in command for command in workspace.seed.values())
    dataset = _dataset(cache, env, say) if wanted else Path()
    sizes = [env.get(name, "") for name in SIZES]
    there = {str(file.relative_to(folder)): file for file in _python_files(folder)}

    def fill(name: str) -> None:
        command = [part.replace(DATASET, str(dataset)) for part in workspace.seed[name]]
        loaded = cache / f"{name}-{_fingerprint((), *sizes, *command, *sorted(there))}.loaded"

        def template() -> Path:
            known = set(loaded.read_text(encoding="utf-8").splitlines()) if loaded.exists() else there
            files = [
                there[file] for file in known if file in there and there[file].name not in NO_EFFECT_ON_DATA
            ]
            return cache / f"{name}-{_fingerprint(files, loaded.stem)}.sqlite3"

        if not template().exists():
            say(f"Filling the database of {name} ...")
            database, now_loaded = _temporary(template()), _temporary(loaded)
            own = {"SHOP_SERVICE": name, "SHOP_DATABASE_URL": sqlite_url(database), LOADED: str(now_loaded)}
            failure = f"The database of {name} could not be filled"
            _python(command, inherited(env) | own, failure, folder)
            if now_loaded.exists():
                _store(now_loaded, loaded, name)
            _store(database, template(), name)
        _copy(template(), database_file(data_dir, workspace.topology.service(name)))

    _in_parallel(fill, workspace.seed)


def without_data(data_dir: Path, topology: Topology = SPLIT) -> list[str]:
    """The services that have no data: no SQLite file in `data_dir`, or no table in the database on a server.

    Raises LauncherError when a server cannot be asked.
    """
    pattern = os.environ.get("SHOP_DATABASE_URL", "")
    services = topology.with_database
    if _is_on_a_server(pattern):
        urls = {service.name: database_url(topology, service, data_dir, pattern) for service in services}
        return [name for name, url in urls.items() if not _has_tables(name, url)]
    return [service.name for service in services if not _is_filled(database_file(data_dir, service))]


def database_file(data_dir: Path, service: Service) -> Path:
    """The path of a service's SQLite database."""
    return data_dir / f"{service.name}.sqlite3"


def _is_on_a_server(pattern: str) -> bool:
    return bool(pattern) and not pattern.startswith("sqlite")


def _is_filled(file: Path) -> bool:
    return (
        file.exists() and file.stat().st_size > 0
    )  # looking into a missing file with sqlite3 makes an empty one


def _has_tables(service: str, url: str) -> bool:
    # Imported here because it takes 0.3 s, and only databases on a server need it.
    from sqlalchemy import NullPool, create_engine, inspect, make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
        return bool(inspect(engine).get_table_names())
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise LauncherError(
            f"The database of {service} cannot be opened ({cause}); start PostgreSQL, create what is missing with "
            "microservices databases create, or correct SHOP_DATABASE_URL."
        ) from error


def _dataset(cache: Path, env: Mapping[str, str], say: Callable[[str], None]) -> Path:
    sources = [ROOT / "monolith" / name for name in ("dataset.py", "seed.py")]
    folder = cache / f"dataset-{_fingerprint(sources, *(env.get(name, '') for name in SIZES))}"
    if not folder.exists():
        say("Making the data set ...")
        temporary = _temporary(folder)
        _run(("monolith.cli", "dataset", str(temporary)), inherited(env), "The data set could not be made")
        _move(temporary, folder)
    return folder


def _template(cache: Path, service: Service, dataset: Path) -> Path:
    here = Path(__file__).parents[1]
    own = [file for file in (here / service.name).glob("*.py") if file.name not in NO_EFFECT_ON_DATA]
    shared = [here / "chassis" / "database.py", here / "seeding.py"]
    return cache / f"{service.name}-{_fingerprint([*own, *shared], dataset.name)}.sqlite3"


def _fill_template(template: Path, service: Service, dataset: Path, env: Mapping[str, str]) -> None:
    temporary = _temporary(template)
    _run_seed(service, dataset, sqlite_url(temporary), env)
    _store(temporary, template, service.name)


def _store(temporary: Path, template: Path, name: str) -> None:
    _move(temporary, template)
    cached = sorted(template.parent.glob(f"{name}-*{template.suffix}"), key=lambda file: file.stat().st_mtime)
    for old in cached[:-MAX_CACHED]:
        old.unlink(missing_ok=True)


def _run_seed(service: Service, dataset: Path, url: str, env: Mapping[str, str]) -> None:
    own = {"SHOP_SERVICE": service.name, "SHOP_DATABASE_URL": url}
    _run(
        (f"microservices.{service.name}.seed", str(dataset)),
        inherited(env) | own,
        f"The database of {service.name} could not be filled",
    )


def _run(module: tuple[str, ...], env: Mapping[str, str], failure: str) -> None:
    _python(("-m", *module), env, failure, None)


def _python(arguments: Iterable[str], env: Mapping[str, str], failure: str, folder: Path | None) -> None:
    env = in_workspace(env, folder) if folder else of_course(env)
    done = subprocess.run(  # noqa: S603 -- our own modules, or those of a workspace
        [sys.executable, *arguments], env=env, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        log = lines[-LAST_LINES:] if folder else []  # a learner's own code: the place is in its traceback
        raise LauncherError("\n".join([f"{failure}: {lines[-1]}", *log]))


def _in_parallel(work: Callable[[T], None], items: Iterable[T]) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(work, items):
            pass


def _python_files(folder: Path) -> list[Path]:
    """The Python files below a folder, without hidden ones."""
    return [
        file
        for file in folder.rglob("*.py")
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def _fingerprint(files: Iterable[Path], *words: str) -> str:
    digest = hashlib.sha256("\0".join(words).encode())
    for file in sorted(files):
        digest.update(os.fsencode(file.name) + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _temporary(target: Path) -> Path:
    """A path beside `target`. Written first and renamed then, `target` is never half written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f"{target.name}.{os.getpid()}")


def _move(temporary: Path, target: Path) -> None:
    try:
        temporary.replace(target)
    except OSError:  # another process made the same folder meanwhile
        shutil.rmtree(temporary)


def _copy(template: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in ("-wal", "-shm"):
        target.with_name(target.name + leftover).unlink(missing_ok=True)
    temporary = _temporary(target)
    shutil.copyfile(template, temporary)
    temporary.replace(target)
