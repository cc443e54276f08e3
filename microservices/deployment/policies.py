"""Who may open a connection to whom: everything is closed, and the calls of the topology are opened one by one."""

from __future__ import annotations

from microservices.deployment import facts
from microservices.deployment.objects import NAME, Object, metadata
from microservices.topology import Service, Topology

DNS_PORT = 53


def all_closed(topology: Topology) -> list[Object]:
    """No connection from or to any pod, but for names."""
    dns = {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
        "ports": [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")],
    }
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(topology, "all-closed"),
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [dns]},
        }
    ]


def of_service(topology: Topology, service: Service) -> Object:
    """In from those that call it, and from the gateway if it has public paths; out to those that it calls."""
    callers = [*facts.callers(topology, service), *(["gateway"] if facts.is_public(service) else [])]
    callees = {topology.resolve(name).name for name in topology.addresses_for(service)}
    outward = [_to(name, facts.PORT) for name in sorted(callees)]
    if service.has_database:
        outward.append(_to(facts.DATABASE_HOST, facts.DATABASE_PORT))
    return _policy(topology, service.name, _from(callers, facts.PORT), outward)


def of_gateway(topology: Topology) -> Object:
    """In from everywhere, out to the services with public paths."""
    public = filter(facts.is_public, topology.services)
    anybody = {"ports": [{"protocol": "TCP", "port": facts.PUBLIC_PORT}]}
    return _policy(topology, "gateway", [anybody], [_to(service.name, facts.PORT) for service in public])


def of_databases(topology: Topology) -> list[Object]:
    """To the database server: services with a database, and the one-off jobs."""
    owners = [service.name for service in topology.services if service.has_database]
    jobs = ["databases", *(f"seed-{service.name}" for service in topology.with_database)]
    server = _policy(topology, facts.DATABASE_HOST, _from([*owners, *jobs], facts.DATABASE_PORT), [])
    outward = [_to(facts.DATABASE_HOST, facts.DATABASE_PORT)]
    return [server, *(_policy(topology, job, [], outward) for job in jobs)]


def _policy(topology: Topology, name: str, inward: list[Object], outward: list[Object]) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(topology, name),
        "spec": {
            "podSelector": {"matchLabels": {NAME: name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": inward,
            "egress": outward,
        },
    }


def _from(names: list[str], port: int) -> list[Object]:
    if not names:
        return []
    return [{"from": [_pods(name) for name in names], "ports": [{"protocol": "TCP", "port": port}]}]


def _to(name: str, port: int) -> Object:
    return {"to": [_pods(name)], "ports": [{"protocol": "TCP", "port": port}]}


def _pods(name: str) -> Object:
    return {"podSelector": {"matchLabels": {NAME: name}}}
