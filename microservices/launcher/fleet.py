"""A topology as running processes: start it, scale one service while it runs, stop it, leave nothing behind.

    with Fleet(SPLIT, {"recommendations": 4}, data_dir=data) as fleet:
        requests.get(fleet.url + "/api/products")
        fleet.scale("recommendations", 2)

Entering returns once the gateway routes to every service. `on_ready` is called, from another thread, for every
replica that answers for the first time: at the start, in `scale`, and after a restart. The replica counts as ready
when it returns, so whatever must hold before it is used is done there; what it raises, `start` and `scale` raise.
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
from microservices.launcher.blueprint import GATEWAY, Blueprint
from microservices.launcher.errors import NotStarted, WrongScale
from microservices.launcher.folder import RunFolder, default_home
from microservices.launcher.process import Child, created, end_all
from microservices.launcher.replica import Death, Phase, Replica
from microservices.launcher.supervisor import Supervisor
from microservices.topology import Service, Topology

GATEWAY_PATIENCE = 4.0  # the grace period in its configuration is 3 s
REPLICA_PATIENCE = 8.0  # longer than any request may take
DRAIN_MARGIN = 0.25
OK = 200
log = logging.getLogger(__name__)


class Fleet:
    """A running topology; a context manager."""

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
            self._launch, self._became_ready, say, restart=restart, ready_seconds=ready_seconds
        )
        self._scaling = threading.Lock()
        self._stopping = threading.Lock()
        self._blueprint: Blueprint | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the shop is."""
        return f"http://{gateway.HOST}:{self._plan.addresses.public}"

    @property
    def gateway(self) -> int:
        """Pid of the gateway."""
        return self._supervisor.members[GATEWAY].pid

    @property
    def died(self) -> list[Death]:
        """Processes that ended without being asked to, in order; the gateway's slot is 0."""
        return list(self._supervisor.died)

    @property
    def internal_ports(self) -> Mapping[str, int]:
        """Where the gateway listens for each service's callers."""
        return self._plan.addresses.internal

    def replicas(self, name: str | None = None) -> list[Replica]:
        """The replicas, in the topology's order and by slot; of one service when `name` is given."""
        names = [name] if name else [service.name for service in self.topology.services]
        return [replica for one in names for replica in self._supervisor.of(one)]

    def members(self) -> list[Replica]:
        """The gateway and all replicas."""
        return [*self._supervisor.of(GATEWAY), *self.replicas()]

    def start(self) -> None:
        """Start everything; on any failure nothing is left running."""
        self.folder.claim(self._say)
        try:
            self._plan_everything()
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
        """Have `count` replicas of the service; returns them once the gateway knows. No request is lost."""
        _check(self.topology, name, count)
        with self._scaling:
            present = self._supervisor.of(name)
            if len(present) < count:
                self._scale_up(self.topology.service(name), present, count)
            elif len(present) > count:
                self._scale_down(present[count:])
        return self._supervisor.of(name)

    def restart(self, name: str) -> list[Replica]:
        """Replace the replicas of the service by fresh ones, one after another; returns those. No request is lost.

        Each new one serves before an old one drains, so one more runs meanwhile. Where every slot is taken there is no
        place for it, and the old one leaves first.
        """
        if refusal := self.topology.refusal(name, 0):
            raise WrongScale(refusal)
        service = self.topology.service(name)
        with self._scaling:
            for old in self._supervisor.of(name):
                present = self._supervisor.of(name)
                if len(present) == service.slots:
                    self._scale_down([old])
                    present.remove(old)
                    self._scale_up(service, present, len(present) + 1)
                else:
                    self._scale_up(service, present, len(present) + 1)
                    self._scale_down([old])
        return self._supervisor.of(name)

    def revive(self) -> None:
        """Start again what died, in a fleet that does not do so by itself; returns when all of it is ready."""
        with self._supervisor.lock:
            dead = [member for member in self.members() if member.phase is Phase.DOWN]
            for member in dead:
                self._launch(member)
        self._wait_until_ready(dead)

    def stop(self) -> None:
        """End everything, the gateway first: what it took on still finds its replicas, and nothing new comes."""
        with self._stopping:
            if self.stopped.is_set() or not self.folder.claimed:
                return
            self._supervisor.stop()
            children = {member.label: member.child for member in self.members() if member.child}
            edge = children.pop(GATEWAY, None)
            end_all([edge] if edge else [], GATEWAY_PATIENCE, ask_again=False)
            end_all(children.values(), REPLICA_PATIENCE)
            if self._blueprint:
                state.sweep(self._state)  # whatever left its process group
                self._state.path.unlink(missing_ok=True)
                self._blueprint.release()
            self.folder.release()
            self.stopped.set()

    def listens_at(self, control: str) -> None:
        """Write down where the launcher takes commands."""
        with self._supervisor.lock:
            self._state.control = control
            self._state.save()

    @property
    def _plan(self) -> Blueprint:
        if self._blueprint is None:
            raise NotStarted("The shop is not started yet; call start() or use it as a context manager.")
        return self._blueprint

    def _plan_everything(self) -> None:
        self._blueprint = Blueprint(
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
        """Start the member's process; the supervisor holds its lock."""
        command, env = self._plan.command(member)
        member.drain_file.unlink(missing_ok=True)
        child = Child(command, env, member.log, self.topology.folder)
        member.started(child)
        self._state.entries[member.label] = state.Entry(member.label, child.pid, child.created, member.port)
        self._state.save()

    def _became_ready(self, member: Replica) -> None:
        if self._on_ready and member.name != GATEWAY:
            self._on_ready(member)

    def _start_gateway(self) -> None:
        """Last, because its first probes are at once and the next ones only half a second later."""
        edge = self._plan.gateway()
        self._supervisor.add(edge)
        self._wait_until_ready([edge])
        inside = self.topology.called_inside()
        served = [self._plan.addresses.internal[name] for name in inside if self._wanted[name]]
        deadline = time.monotonic() + self._ready_seconds
        while not all(readiness.status(port) == OK for port in served):
            if time.monotonic() > deadline:
                raise NotStarted(f"The gateway does not reach every service; its log is {edge.log}.")
            time.sleep(0.02)

    def _wait_until_ready(self, members: list[Replica]) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while late := [member for member in members if member.phase is not Phase.READY]:
            for member in late:
                if member.problem:
                    raise member.problem
                if member.phase is Phase.FAILED:
                    raise NotStarted(
                        f"{member.label} ended while it was started; its log, {member.log}, ends with:\n"
                        + member.last_lines()
                    )
            if time.monotonic() > deadline or self._supervisor.is_stopped():
                names = ", ".join(member.label for member in late)
                raise NotStarted(f"Not ready in time: {names}; their logs are in {self.folder.logs}.")
            time.sleep(0.01)

    def _scale_up(self, service: Service, present: list[Replica], count: int) -> None:
        used = {replica.slot for replica in present}
        free = [slot for slot in range(1, service.slots + 1) if slot not in used]
        fresh = [self._plan.replica(service, slot) for slot in free[: count - len(present)]]
        try:
            for replica in fresh:
                self._supervisor.add(replica)
            self._wait_until_ready(fresh)
        except BaseException:
            self._end(fresh)
            raise
        time.sleep(self._settings.probe_interval)  # until the gateway has seen them too

    def _scale_down(self, leaving: list[Replica]) -> None:
        with self._supervisor.lock:
            for replica in leaving:
                replica.drain_file.touch()
                replica.phase = Phase.DRAINING
        started = time.monotonic()
        while any(replica.answers_ready() for replica in leaving):
            if time.monotonic() > started + REPLICA_PATIENCE:
                break
            time.sleep(0.02)
        slowest = time.monotonic() - started  # a busy replica answers the gateway's probe as late as this one
        time.sleep(self._settings.probe_interval + slowest + DRAIN_MARGIN)
        self._end(leaving)

    def _end(self, leaving: list[Replica]) -> None:
        with self._supervisor.lock:
            for replica in leaving:
                replica.phase = Phase.DRAINING
        end_all([replica.child for replica in leaving if replica.child], REPLICA_PATIENCE)
        with self._supervisor.lock:
            for replica in leaving:
                self._supervisor.members.pop(replica.label, None)
                self._state.entries.pop(replica.label, None)
                replica.drain_file.unlink(missing_ok=True)
            self._state.save()


def _check(topology: Topology, name: str, count: int) -> None:
    if refusal := topology.refusal(name, count):
        raise WrongScale(refusal)
