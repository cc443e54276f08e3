"""What a cluster is asked for, as a table for people: replicas, resources and connections of each part."""

from __future__ import annotations

from rich.table import Table

from microservices.deployment import facts, objects
from microservices.topology import Service, Topology


def table(topology: Topology) -> Table:
    """A row for each Deployment and for the database server."""
    made = Table("part", "CPU asked for", "memory", "is called by", "calls")
    for column in made.columns[1:3]:
        column.justify = "right"
    public = [service.name for service in topology.services if facts.is_public(service)]
    made.add_row(
        "gateway", *_resources(objects.GATEWAY_CPU, facts.GATEWAY_MEMORY), "everybody", ", ".join(public)
    )
    for service in topology.services:
        made.add_row(
            service.name, *_resources(service.cpu_request, service.memory), *_connections(topology, service)
        )
    owners = [service.name for service in topology.services if service.has_database]
    made.add_row(
        facts.DATABASE_HOST,
        *_resources(objects.DATABASE_CPU, facts.DATABASE_MEMORY),
        ", ".join([*owners, "its jobs"]),
        "",
    )
    return made


def _resources(cpu: int, memory: int) -> tuple[str, str]:
    return f"{cpu}m", f"{memory} MiB"


def _connections(topology: Topology, service: Service) -> tuple[str, str]:
    callers = [*(["gateway"] if facts.is_public(service) else []), *facts.callers(topology, service)]
    callees = list(dict.fromkeys(topology.resolve(name).name for name in topology.addresses_for(service)))
    if service.has_database:
        callees.append(facts.DATABASE_HOST)
    return ", ".join(callers), ", ".join(callees)
