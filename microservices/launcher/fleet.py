"""A topology as running processes: start it, scale a service while it runs, stop it and leave no process behind.

    with Fleet(SPLIT, {"recommendations": 4}, data_dir=data) as fleet:
        requests.get(fleet.url + "/api/products")
        fleet.scale("recommendations", 2)

Entering returns once the gateway routes to every service. `on_ready` is called, from another thread, with every
replica whose process answers for the first time: at the start, in `scale`, and after a restart. Only when `on_ready`
has returned does the replica count as ready, so prepare it there. `start` and `scale` raise what `on_ready` raises.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from microservices.launcher import gateway, readiness, state
from microservices.launcher.addresses import HOST
from microservices.launcher.errors import NotStarted, WrongScale
from microservices.launcher.folder import RunFolder, default_home
from microservices.launcher.launch_plan import GATEWAY, LaunchPlan
from microservices.launcher.process import Child, created, end_all
from microservices.launcher.replica import Death, Phase, Replica
from microservices.launcher.supervisor import Supervisor
from microservices.topology import Service, Topology

GATEWAY_STOP_SECONDS = 4.0  # the grace period in its configuration is 3 s
REPLICA_STOP_SECONDS = 8.0  # longer than any request may take
DRAIN_MARGIN_SECONDS = 0.25
OK = 200
log = logging.getLogger(__name__)


class Fleet:
    """A running topology; a context manager.

    `replicas` is by service, one each by default. `port` is the public port, a free one by default. `env` is added to
    the environment of all services, `env_for` to that of single ones. `say` gets messages for people. With
    `restart=False` dead processes stay dead. What the launcher cannot do raises LauncherError.
    """

    def __init__(
        self,
        topology: Topology,
        replicas: Mapping[str, int] | None = None,
        *,
        data_dir: Path,
        home: Path | None = None,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        env_for: Mapping[str, Mapping[str, str]] | None = None,
        settings: gateway.Settings | None = None,
        on_ready: Callable[[Replica], None] | None = None,
        say: Callable[[str], None] = log.info,
        restart: bool = True,
        ready_seconds: float = 60.0,
    ) -> None:
        self.topology = topology
        self.folder = RunFolder((home or default_home()).absolute(), topology.name)
        self.stopped = threading.Event()
        self._wanted = {service.name: 1 for service in topology.services} | dict(replicas or {})
        for name, count in self._wanted.items():
            _check(topology, name, count)
        self._data_dir = data_dir.absolute()
        self._port = port
        self._env = env or {}
        self._env_for = env_for or {}
        self._settings = settings or gateway.Settings()
        self._ready_seconds = ready_seconds
        self._say = say
        self._id = uuid.uuid4().hex
        self._on_ready = on_ready
        self._supervisor = Supervisor(
            self._launch, self._prepare, say, restart=restart, ready_seconds=ready_seconds
        )
        self._scaling = threading.Lock()
        self._stopping = threading.Lock()
        self._launch_plan: LaunchPlan | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The public address of the shop."""
        return f"http://{HOST}:{self._plan.addresses.public}"

    @property
    def gateway(self) -> int:
        """The gateway's pid."""
        return self._supervisor.members[GATEWAY].pid

    @property
    def died(self) -> list[Death]:
        """Processes that ended without being asked to, in order. The gateway has slot 0."""
        return list(self._supervisor.died)

    @property
    def internal_ports(self) -> Mapping[str, int]:
        """By service: the port on which the gateway takes calls of other services."""
        return self._plan.addresses.internal

    def replicas(self, name: str | None = None) -> list[Replica]:
        """The replicas of all services, or of the one with this name; in the topology's order and by slot."""
        names = [name] if name else [service.name for service in self.topology.services]
        return [replica for one in names for replica in self._supervisor.replicas_of(one)]

    def environment(self, name: str) -> dict[str, str]:
        """The environment of the service's replicas, for a program that works beside them as the same service."""
        return self._plan.environment(name)

    def wanted(self, name: str) -> int:
        """How many replicas the service is to have; while `scale` runs, it has more or fewer."""
        return self._wanted[name]

    def members(self) -> list[Replica]:
        """The gateway and all replicas."""
        return [*self._supervisor.replicas_of(GATEWAY), *self.replicas()]

    def start(self) -> None:
        """Start everything; after a failure no process is left running."""
        self.folder.claim(self._say)
        try:
            self._make_plan()
            self._supervisor.start()
            for service in self.topology.services:
                for slot in range(1, self._wanted[service.name] + 1):
                    self._supervisor.add(self._plan.replica(service, slot))
            self._wait_until_ready(self.replicas())
            self._start_gateway()
        except BaseException:
            self.stop()
            raise

    def scale(self, name: str, count: int) -> list[Replica]:
        """Change to `count` replicas; returns them once the gateway routes to these only. No request is lost.

        When it is called again meanwhile, from another thread, the newest call decides.
        """
        _check(self.topology, name, count)
        self._wanted[name] = count
        with self._scaling:
            present, count = self._supervisor.replicas_of(name), self._wanted[name]
            if len(present) < count:
                self._scale_up(self.topology.service(name), present, count)
            elif len(present) > count:
                self._scale_down(present[count:])
        return self._supervisor.replicas_of(name)

    def restart(self, name: str) -> list[Replica]:
        """Replace the replicas of the service one after another; returns the new ones. No request is lost.

        Each new replica is ready before an old one drains, so meanwhile there is one more. If all slots are taken, the
        old one drains first.
        """
        _check(self.topology, name, 0)
        service = self.topology.service(name)
        with self._scaling:
            for old in self._supervisor.replicas_of(name):
                present = self._supervisor.replicas_of(name)
                if len(present) == service.slots:
                    self._scale_down([old])
                    present.remove(old)
                    self._scale_up(service, present, len(present) + 1)
                else:
                    self._scale_up(service, present, len(present) + 1)
                    self._scale_down([old])
        return self._supervisor.replicas_of(name)

    def revive(self) -> None:
        """Restart the members that died, in a fleet without automatic restarts; returns when all are ready."""
        with self._supervisor.lock:
            dead = [member for member in self.members() if member.phase is Phase.DOWN]
            for member in dead:
                self._launch(member)
        self._wait_until_ready(dead)

    def stop(self, seconds: float | None = None) -> None:
        """Stop everything. The gateway first: requests in flight still find their replicas, and no new ones come.

        After `seconds`, what did not end is killed; by default only when it has had time for every request.
        """
        with self._stopping:
            if self.stopped.is_set() or not self.folder.claimed:
                return
            self._supervisor.stop()
            children = {member.label: member.child for member in self.members() if member.child}
            gateway_process = children.pop(GATEWAY, None)
            end_all(
                [gateway_process] if gateway_process else [],
                GATEWAY_STOP_SECONDS if seconds is None else seconds / 2,
                signal_again=False,
            )
            end_all(children.values(), REPLICA_STOP_SECONDS if seconds is None else seconds / 2)
            if self._launch_plan:
                state.end_leftovers(self._state)  # processes that left their process group
                self._state.path.unlink(missing_ok=True)
                self._launch_plan.release()
            self.folder.release()
            self.stopped.set()

    def record_control_socket(self, path: str) -> None:
        """Write the path of the control socket into the state file."""
        with self._supervisor.lock:
            self._state.control = path
            self._state.save()

    @property
    def _plan(self) -> LaunchPlan:
        if self._launch_plan is None:
            raise NotStarted("The fleet is not started; call start() or use it as a context manager.")
        return self._launch_plan

    def _make_plan(self) -> None:
        self._launch_plan = LaunchPlan(
            self.topology,
            self._id,
            folder=self.folder.path,
            home=self.folder.home,
            data_dir=self._data_dir,
            port=self._port,
            env=self._env,
            env_for=self._env_for,
            settings=self._settings,
        )
        pid = os.getpid()
        self._state = state.State(self.folder.state_file, self._id, pid, created(pid), self.url)
        self._state.save()

    def _launch(self, member: Replica) -> None:
        """Start the member's process. Called with the supervisor's lock held."""
        command, env = self._plan.command(member)
        member.drain_file.unlink(missing_ok=True)
        child = Child(command, env, member.log, self.topology.folder)
        member.started(child)
        self._state.entries[member.label] = state.Entry(member.label, child.pid, child.created, member.port)
        self._state.save()

    def _prepare(self, member: Replica) -> None:
        if self._on_ready and member.name != GATEWAY:
            self._on_ready(member)

    def _start_gateway(self) -> None:
        """Start it last: its first probes come at once, and the next ones only half a second later."""
        member = self._plan.gateway()
        self._supervisor.add(member)
        self._wait_until_ready([member])
        called = self.topology.internal_services()
        ports = [self._plan.addresses.internal[name] for name in called if self._wanted[name]]
        deadline = time.monotonic() + self._ready_seconds
        while not all(readiness.status(port) == OK for port in ports):
            if time.monotonic() > deadline:
                raise NotStarted(f"The gateway does not reach every service; its log is {member.log}.")
            time.sleep(0.02)

    def _wait_until_ready(self, members: list[Replica]) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while late := [member for member in members if member.phase is not Phase.READY]:
            for member in late:
                if member.error:
                    raise member.error
                if member.phase is Phase.FAILED:
                    raise NotStarted(
                        f"{member.label} ended while it was starting; its log, {member.log}, ends with:\n"
                        + member.last_lines()
                    )
            if time.monotonic() > deadline or self._supervisor.is_stopped():
                names = ", ".join(member.label for member in late)
                raise NotStarted(f"Not ready in time: {names}; their logs are in {self.folder.logs}.")
            time.sleep(0.01)

    def _scale_up(self, service: Service, present: list[Replica], count: int) -> None:
        used = {replica.slot for replica in present}
        free = [slot for slot in range(1, service.slots + 1) if slot not in used]
        added = [self._plan.replica(service, slot) for slot in free[: count - len(present)]]
        try:
            for replica in added:
                self._supervisor.add(replica)
            self._wait_until_ready(added)
        except BaseException:
            self._end(added)
            raise
        time.sleep(self._settings.probe_interval)  # until the gateway has probed them too

    def _scale_down(self, leaving: list[Replica]) -> None:
        with self._supervisor.lock:
            for replica in leaving:
                replica.drain_file.touch()
                replica.phase = Phase.DRAINING
        started = time.monotonic()
        while any(replica.is_ready() for replica in leaving):
            if time.monotonic() > started + REPLICA_STOP_SECONDS:
                break
            time.sleep(0.02)
        slowest = time.monotonic() - started  # a busy replica answers the gateway's probe as late as ours
        time.sleep(self._settings.probe_interval + slowest + DRAIN_MARGIN_SECONDS)
        self._end(leaving)

    def _end(self, leaving: list[Replica]) -> None:
        with self._supervisor.lock:
            for replica in leaving:
                replica.phase = Phase.DRAINING
        end_all([replica.child for replica in leaving if replica.child], REPLICA_STOP_SECONDS)
        with self._supervisor.lock:
            for replica in leaving:
                self._supervisor.members.pop(replica.label, None)
                self._state.entries.pop(replica.label, None)
                replica.drain_file.unlink(missing_ok=True)
            self._state.save()


def _check(topology: Topology, name: str, count: int) -> None:
    if error := topology.scale_error(name, count):
        raise WrongScale(error)
