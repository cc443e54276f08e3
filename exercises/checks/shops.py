"""A learner's shop as processes: seeded, started on free ports, with injected faults, and ended completely.

A folder with a topology.py is started by the launcher, with its gateway. One without runs only its monolith.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from exercises.checks.answers import Answer
from exercises.checks.checking import CheckError, NotYet
from exercises.checks.seeding import Seeds
from exercises.checks.solo import Solo
from exercises.checks.visitors import ADMIN, Person
from exercises.errors import NotStarted
from microservices.chaos.faultproxy import FaultProxy
from microservices.chaos.pause import paused_processes
from microservices.launcher import Fleet, LauncherError, Phase, Replica
from microservices.topology import Topology, WorkspaceError, load

READY_SECONDS = 40.0
GONE_SECONDS = 10.0
STOP_SECONDS = 1.0
SEEN_SECONDS = 0.6
"""A gateway's probe interval and a little more: until it has noticed a process that came back."""
GATEWAY = "gateway"


@dataclass(frozen=True)
class ShopSpec:
    """Which shop to run, and how."""

    folder: Path
    """The folder with its code."""
    home: Path
    """The folder it may write to."""
    seeds: Seeds
    env: Mapping[str, str] = field(default_factory=dict)
    scale: Mapping[str, int] = field(default_factory=dict)
    proxied: tuple[str, ...] = ()
    port: int | None = None
    restart: bool = False
    """Whether the launcher restarts a process that died. In the checks it must not, so that a death is noticed."""
    mine: bool = True
    """Whether it is the learner's shop."""


class LogFile:
    """The end of a log file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tail(self, lines: int = 15) -> list[str]:
        """The last lines; empty when nothing was written."""
        try:
            return self.path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        except OSError:
            return []


class RunningShop:
    """A running shop: implements `exercises.checks.checking.Shop`. Use it in a `with` block, or start and stop it."""

    def __init__(self, spec: ShopSpec, on_answer: Callable[[Answer], None] = lambda _: None) -> None:
        self.folder = spec.folder
        self._spec = spec
        self._on_answer = on_answer
        self._data = spec.home / "data"
        self._people: list[Person] = []
        self._stranger = Person(lambda: self.url, on_answer, cookies=False, mine=spec.mine)
        self._proxies: dict[str, FaultProxy] = {}
        self._stack = ExitStack()
        self._running: Solo | Fleet | None = None
        self.email = self.password = self.id = ""

    # ---- life

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Seed and start it; NotStarted with the end of its log when it does not start."""
        try:
            self._seed()
            self._start()
        except (LauncherError, WorkspaceError) as error:
            self.stop()
            raise NotStarted(str(error)) from error

    def stop(self) -> None:
        """End all of its processes, soon: nobody needs its data any more."""
        if self._running:
            self._running.stop(STOP_SECONDS)
        for person in [*self._people, self._stranger]:
            person.close()
        self._stack.close()

    def restart(self) -> None:
        """Stop everything and start it again on the same data."""
        if self._running:
            self._running.stop()
        try:
            self._start()
        except LauncherError as error:
            raise NotStarted(str(error)) from error

    def is_ready(self) -> bool:
        """Whether every process runs and is ready. A check must leave its shop like that."""
        return all(member.phase is Phase.READY and _lives(member) for member in self._members())

    @property
    def url(self) -> str:
        """Its address."""
        return self._backend.url

    @property
    def fleet(self) -> Any:
        """The launcher's fleet; None when the monolith runs alone."""
        return self._running if isinstance(self._running, Fleet) else None

    # ---- visitors

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        """Ask as a stranger without cookies."""
        return self._stranger.ask(method, path, **options)

    def try_ask(self, method: str, path: str, **options: Any) -> Answer:
        """Like `ask`, but without an answer it returns one with status 0."""
        return self._stranger.try_ask(method, path, **options)

    def visitor(self) -> Person:
        """A stranger with a cookie jar."""
        person = Person(lambda: self.url, self._on_answer, mine=self._spec.mine)
        self._people.append(person)
        return person

    def customer(self, email: str | None = None) -> Person:
        """A customer, signed in; a new one unless an email is given."""
        person = self.visitor()
        if email is None:
            person.register()
        else:
            person.sign_in(email)
        return person

    def admin(self) -> Person:
        """The demo administrator."""
        return self.customer(ADMIN)

    # ---- parts

    def names(self) -> list[str]:
        """Labels of the running processes."""
        return [member.label for member in self._members()]

    def pids(self, name: str) -> list[int]:
        """The process ids of a service, a replica or the gateway."""
        return [pid for member in self._named(name) for pid in member.pids()]

    def log(self, name: str) -> LogFile:
        """The log of a service (its first replica) or of a replica."""
        return LogFile(self._named(name)[0].log)

    def logs(self) -> dict[str, LogFile]:
        """All logs by label."""
        return {member.label: LogFile(member.log) for member in self._members()}

    def environment(self, service: str) -> dict[str, str]:
        """The environment of a service's processes, for a program that works beside them as the same service."""
        self._named(service)
        return self._fleet.environment(service)

    def database(self, service: str) -> Path:
        """The SQLite file of a service."""
        path = self._data / f"{service}.sqlite3"
        if not path.exists():
            there = sorted(file.stem for file in self._data.glob("*.sqlite3"))
            raise CheckError(f"{service} has no database here; there are {', '.join(there)}.")
        return path

    # ---- faults

    def scale(self, name: str, count: int) -> None:
        """Run this number of replicas of a service."""
        try:
            self._fleet.scale(name, count)
        except LauncherError as error:
            raise _not_yet(f"scaled {name} to {count} replicas", str(error)) from error

    def kill(self, name: str) -> None:
        """SIGKILL all processes of a service, a replica or the gateway; they stay dead."""
        members = self._named(name)
        for member in members:
            if member.child:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(member.pid, signal.SIGKILL)
        deadline = time.monotonic() + GONE_SECONDS
        while any(_lives(member) or member.phase is Phase.READY for member in members):
            if isinstance(self._running, Solo):
                self._running.replica.phase = Phase.DOWN
            if time.monotonic() > deadline:
                raise CheckError(f"{name} did not end within {GONE_SECONDS:.0f} s of being killed.")
            time.sleep(0.01)

    def revive(self) -> None:
        """Start again what was killed; returns when it is ready and the gateway has noticed it."""
        try:
            self._backend.revive()
        except LauncherError as error:
            raise _not_yet("killed a process of the shop and started it again", str(error)) from error
        if self.fleet:
            time.sleep(SEEN_SECONDS)

    @contextmanager
    def killed(self, name: str) -> Iterator[None]:
        """Dead while the block runs."""
        self.kill(name)
        try:
            yield
        finally:
            self.revive()

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Hung while the block runs: connections are accepted and never answered."""
        try:
            with paused_processes(self.pids(name)):
                yield
        finally:
            if self.fleet:
                time.sleep(SEEN_SECONDS)

    def proxy(self, name: str) -> FaultProxy:
        """The fault proxy in front of a service."""
        if name not in self._proxies:
            raise CheckError(f"{name} has no fault proxy; use bench.shop(proxied=({name!r},)).")
        return self._proxies[name]

    @contextmanager
    def toxic(self, name: str, kind: str, stream: str = "downstream", **attributes: int) -> Iterator[None]:
        """A network fault in front of a service while the block runs."""
        with self.proxy(name).toxic(kind, stream, **attributes):
            yield

    @contextmanager
    def without_tables(self, service: str, *tables: str) -> Iterator[None]:
        """Tables of a service (all when none is named) are missing while the block runs: their queries fail."""
        file = self.database(service)
        with contextlib.closing(_connect(file)) as db:
            there = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            chosen = [
                name for name in there if not name.startswith("sqlite_") and (name in tables or not tables)
            ]
            if missing := set(tables) - set(there):
                raise CheckError(
                    f"{service} has no table {', '.join(sorted(missing))}; it has {', '.join(there)}."
                )
            _rename(db, [(name, f"{name}_away") for name in chosen])
        try:
            yield
        finally:
            with contextlib.closing(_connect(file)) as db:
                _rename(db, [(f"{name}_away", name) for name in chosen])

    def without_database(self, service: str) -> contextlib.AbstractContextManager[None]:
        """Every query of the service fails while the block runs."""
        return self.without_tables(service)

    # ---- inside

    @property
    def _backend(self) -> Solo | Fleet:
        if self._running is None:
            raise NotStarted("The shop is not running.")
        return self._running

    @property
    def _fleet(self) -> Fleet:
        if not isinstance(self._running, Fleet):
            raise CheckError("Only a shop with a topology.py can be scaled.")
        return self._running

    def _members(self) -> list[Replica]:
        return self._running.members() if self._running else []

    def _named(self, name: str) -> list[Replica]:
        found = [member for member in self._members() if name in {member.name, member.label}]
        if not found:
            raise _not_yet(
                f"looked for {name} among the shop's processes",
                f"there are {', '.join(self.names()) or 'none'}",
            )
        return found

    def _seed(self) -> None:
        if (self.folder / "topology.py").exists():
            self._spec.seeds.workspace(load(self.folder), self._data, self._spec.env)
        else:
            self._spec.seeds.monolith(self.folder, self._data / "monolith.sqlite3", self._spec.env)

    def _start(self) -> None:
        spec = self._spec
        env = {**spec.seeds.env, **spec.env}
        if not (self.folder / "topology.py").exists():
            if spec.proxied or spec.scale:
                raise LauncherError("There is no topology.py yet, so the shop is only one process.")
            self._running = Solo(
                self.folder,
                home=spec.home,
                database=self._data / "monolith.sqlite3",
                env=env,
                port=spec.port,
                ready_seconds=READY_SECONDS,
            )
            self._running.start()
            return
        topology = load(self.folder).topology
        for name in spec.proxied:
            if name not in self._proxies:
                self._proxies[name] = self._stack.enter_context(FaultProxy())
        fleet = Fleet(
            topology,
            spec.scale,
            data_dir=self._data,
            home=spec.home,
            port=spec.port,
            env=env,
            env_for=self._proxy_addresses(topology),
            restart=spec.restart,
            ready_seconds=READY_SECONDS,
        )
        self._running = fleet
        fleet.start()
        for name, proxy in self._proxies.items():
            proxy.upstream = fleet.internal_ports[topology.resolve(name).name]

    def _proxy_addresses(self, topology: Topology) -> dict[str, dict[str, str]]:
        """For each service, settings that replace the addresses of the services it calls by those of proxies."""
        return {
            service.name: {
                f"SHOP_{name.upper()}_URL": self._proxies[name].url
                for name in topology.addresses_for(service)
                if name in self._proxies
            }
            for service in topology.services
        }


def _lives(member: Replica) -> bool:
    return member.child is not None and member.child.exit_status() is None


def _not_yet(did: str, got: str) -> NotYet:
    return NotYet(
        did=did,
        expected="the shop's processes as topology.py names them, and each can be started",
        got=got,
        why="The checks start, stop and scale the processes of your shop by their names.",
        look="topology.py",
    )


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=10, isolation_level=None)


def _rename(db: sqlite3.Connection, pairs: list[tuple[str, str]]) -> None:
    db.execute("PRAGMA legacy_alter_table = ON")  # references in other tables stay as they are
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("BEGIN IMMEDIATE")
    for old, new in pairs:
        db.execute(f'ALTER TABLE "{old}" RENAME TO "{new}"')
    db.execute("COMMIT")
