"""The gateway's configuration where replicas are containers: found by fixed names, or by the cluster's DNS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from microservices.deployment import facts
from microservices.launcher.addresses import Lookup, Places
from microservices.launcher.gateway import configuration
from microservices.topology import Topology

PROJECT = "shop"
"""Compose's name of the project: its containers are named PROJECT-SERVICE-NUMBER."""


@dataclass(frozen=True, slots=True)
class ContainerNames:
    """Compose numbers the containers of a service from 1. The engine's DNS knows those that run."""

    topology: Topology
    host: str = ""
    public: int = facts.PUBLIC_PORT

    @property
    def internal(self) -> Mapping[str, int]:
        """One port for each service, as with the launcher."""
        return {
            service.name: facts.INTERNAL_PORTS + index for index, service in enumerate(self.topology.services)
        }

    def replicas(self, name: str) -> tuple[str, ...]:
        """The names of the containers that the service may have."""
        slots = range(1, self.topology.service(name).slots + 1)
        return tuple(f"{PROJECT}-{name}-{slot}:{facts.PORT}" for slot in slots)


@dataclass(frozen=True, slots=True)
class ClusterNames:
    """In a cluster a headless Service's name stands for its ready replicas, and services call each other directly."""

    host: str = ""
    public: int = facts.PUBLIC_PORT

    @property
    def internal(self) -> Mapping[str, int]:
        """None."""
        return {}

    def replicas(self, name: str) -> Lookup:
        """The name of the headless Service."""
        return Lookup(f"{name}-replicas", facts.PORT)


def for_compose(topology: Topology) -> str:
    """The configuration as JSON, with a slot for each container that a service may have."""
    return _text(topology, ContainerNames(topology))


def for_cluster(topology: Topology) -> str:
    """The configuration as JSON; only services with public paths are known to the gateway."""
    public = tuple(filter(facts.is_public, topology.services))
    return _text(replace(topology, services=public), ClusterNames())


def _text(topology: Topology, places: Places) -> str:
    files = tuple((path, facts.CONTRACT) for path, _ in topology.files)
    return json.dumps(configuration(replace(topology, files=files), places), indent=1) + "\n"
