"""Caddy's configuration, made from a topology: one public listener, and one internal listener per service.

The configuration is complete before Caddy starts and never changes while it runs, because a reload drops idle client
connections. So every slot that a replica may use is declared, and health checks tell which slots are live.

Each service has one `reverse_proxy` handler in a named route, and both its public and its internal routes invoke it.
Caddy keeps health per handler, so a second handler would double the probes: 8 services of 8 slots, probed every
500 ms, took 1.6 % of a core with shared handlers and 3.1 % without.

In a cluster there are no internal listeners and no slots: services call each other directly, and the cluster's DNS
says which replicas are ready.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from microservices.launcher import gateway_tracing
from microservices.launcher.addresses import HOST, Addresses, Lookup, Places
from microservices.launcher.gateway_requests import Json, path_matcher, request_id_route, request_routes
from microservices.launcher.gateway_responses import (
    NOT_FOUND,
    error_routes,
    file_routes,
    problem_response,
)
from microservices.topology import Service, Topology

NOT_ROUTED = ("/internal", "/internal/*", "/metrics", "/readyz", "/healthz")
"""Paths of a single process, not of the shop. On the public port they look like any unknown path."""
UNKNOWN = "/nowhere"
"""A path that no service has."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The gateway's timeouts and limits, the same for both shops. Times are in seconds."""

    probe_interval: float = 0.5
    probe_timeout: float = 4.0
    """Longer than a replica on a tenth of a core needs for a full queue (64 requests of 5 ms CPU take 3.2 s), so that a
    busy replica does not look dead. Probe interval and timeout together are shorter than `header_timeout`: a paused
    replica is taken out before the requests that it holds are retried."""
    dial_timeout: float = 0.5
    header_timeout: float = 5.0
    retries: int = 4
    max_in_flight: int = 64
    """Requests that one replica is given at a time. Beyond that, clients get a 503 at once instead of a long wait."""
    fails: int = 2
    fail_seconds: float = 0.5
    """After `fails` lost requests a replica gets no more for one round of probes, which then decide. More than one,
    because a single slow request must not close a service that has only one replica."""
    max_body_bytes: int = 1_000_000


def caddy() -> Path:
    """The path of the caddy program: its package installs it beside the Python interpreter."""
    return Path(sys.executable).with_name("caddy")


def variables(addresses: Addresses) -> dict[str, str]:
    """The environment of a Caddyfile written by hand: the ports to listen on, and the replicas' addresses."""
    inside = {f"SHOP_{name.upper()}_PORT": str(port) for name, port in addresses.internal.items()}
    slots = {
        f"SHOP_{name.upper()}_SLOTS": " ".join(f"{HOST}:{port}" for port in ports)
        for name, ports in addresses.slots.items()
    }
    return {"SHOP_PORT": str(addresses.public)} | inside | slots


def configuration(
    topology: Topology, addresses: Places, settings: Settings | None = None, *, traced: bool = False
) -> Json:
    """The whole configuration, ready for JSON; if `traced`, with a span for each request."""
    settings = settings or Settings()
    public, errors = _public_routes(topology, addresses, settings), error_routes(addresses.public)
    named = {
        service.name: {"handle": [_proxy(service, addresses.replicas(service.name), settings)]}
        for service in topology.services
    }
    if traced:
        named[gateway_tracing.PUBLIC] = gateway_tracing.named_route(public, errors)
        public = gateway_tracing.traced_routes(NOT_ROUTED)
    server = {
        "listen": [f"{addresses.host}:{port}" for port in (addresses.public, *addresses.internal.values())],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "named_routes": named,
        "routes": [
            _on_port(addresses.public, [*request_routes(settings.max_body_bytes), *public]),
            *(_on_port(port, [{"handle": [_invoke(name)]}]) for name, port in addresses.internal.items()),
        ],
        "errors": {"routes": [request_id_route(), *errors]},
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "ERROR", "exclude": ["http.log.error", "http.handlers"]}}},
        "apps": {"http": {"grace_period": "3s", "servers": {topology.name: server}}},
    }


def _public_routes(topology: Topology, addresses: Places, settings: Settings) -> list[Json]:
    """The routes of an accepted request on the public port, in the order of matching."""
    hide: Json = {"handler": "rewrite", "uri": UNKNOWN}
    return [
        {"match": [path_matcher(NOT_ROUTED)], "handle": [hide]},
        *(route for path, file in topology.files for route in file_routes(path, file)),
        *(
            {
                "match": [path_matcher((path, f"{path}/*"))],
                "handle": [_limited(addresses.internal[service.name], at_most, settings)],
                "terminal": True,
            }
            for service in topology.services
            for path, at_most in service.limits
        ),
        *(
            {
                "match": [path_matcher(patterns)],
                "handle": [_invoke(owner) if owner else problem_response(*NOT_FOUND)],
                "terminal": True,
            }
            for patterns, owner in public_paths(topology)
        ),
        {"handle": [problem_response(*NOT_FOUND)]},
    ]


def public_paths(topology: Topology) -> list[tuple[tuple[str, ...], str | None]]:
    """Path patterns and the service that owns them, the most specific first; None: the gateway answers 404."""
    owned = [(path, service.name) for service in topology.services for path in service.paths if path != "/"]
    owned.sort(key=lambda entry: (-entry[0].count("/"), entry[0]))
    routes: list[tuple[tuple[str, ...], str | None]] = [((path, f"{path}/*"), name) for path, name in owned]
    if owned:  # several services share the API, so no service owns the rest of it
        routes.append((("/api/*",), None))
    routes += [(("/*",), service.name) for service in topology.services if "/" in service.paths]
    return routes


def _proxy(service: Service, replicas: tuple[str, ...] | Lookup, settings: Settings) -> Json:
    """Balance the load over the live replicas of one service.

    The policy is "fewest requests in flight". A replica that has used up its slice of CPU is stopped for most of a
    period, and requests differ in cost by a factor of a hundred: round robin would queue behind the stopped replica.
    The danger of this policy is that a dead replica looks idle and attracts all requests. So lost connections take it
    out (`passive`) until the probes have seen it. A client's mistake would count too, so `gateway_requests` refuses it
    before.
    """
    repeatable: list[Json] = [{"method": ["GET", "HEAD", "PUT", "DELETE"]}]
    if service.keyed_posts:
        keyed = {"method": ["POST"], "header": {"Idempotency-Key": ["*"]}}
        repeatable.append({**path_matcher(service.keyed_posts), **keyed})
    return {
        "handler": "reverse_proxy",
        **_upstreams(replicas, settings),
        "load_balancing": {
            "selection_policy": {"policy": "least_conn"},
            "retries": settings.retries,
            "try_interval": _seconds(0.01),
            # After a header timeout there is time for one retry, not for four.
            "try_duration": _seconds(settings.header_timeout + 0.25),
            "retry_match": repeatable,
        },
        # Without a buffer a retry would send an empty body. Caddy takes a body that fills the buffer for incomplete.
        "request_buffers": settings.max_body_bytes + 1,
        "transport": {
            "protocol": "http",
            "versions": ["1.1"],
            "compression": False,
            "dial_timeout": _seconds(settings.dial_timeout),
            "response_header_timeout": _seconds(settings.header_timeout),
            # Replicas close an idle connection after 30 s; the gateway must be first.
            "keep_alive": {"idle_timeout": _seconds(20), "max_idle_conns_per_host": settings.max_in_flight},
        },
    }


def _upstreams(replicas: tuple[str, ...] | Lookup, settings: Settings) -> Json:
    """The replicas, and how it is found out which of them are live."""
    passive: Json = {"fail_duration": _seconds(settings.fail_seconds), "max_fails": settings.fails}
    if isinstance(replicas, Lookup):
        # Caddy probes only upstreams that it has from the start. Here the name stands for the ready replicas.
        lookup = {
            "source": "a",
            "name": replicas.name,
            "port": str(replicas.port),
            "refresh": _seconds(1),
            "dial_timeout": _seconds(1),
            "versions": {"ipv4": True, "ipv6": False},
        }
        passive["unhealthy_request_count"] = settings.max_in_flight
        return {"dynamic_upstreams": lookup, "health_checks": {"passive": passive}}
    active = {
        "uri": "/readyz",
        "interval": _seconds(settings.probe_interval),
        "timeout": _seconds(settings.probe_timeout),
        "expect_status": 200,
    }
    return {
        "upstreams": [{"dial": replica, "max_requests": settings.max_in_flight} for replica in replicas],
        "health_checks": {"active": active, "passive": passive},
    }


def _limited(port: int, at_most: int, settings: Settings) -> Json:
    """Pass at most so many requests at a time on to the service's internal port, and refuse the others at once.

    Caddy limits requests for each upstream address, and the limit of a replica counts all its requests. The internal
    port as the only upstream makes the limit that of the whole service, and of this route alone.
    """
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{HOST}:{port}", "max_requests": at_most}],
        "transport": {
            "protocol": "http",
            "versions": ["1.1"],
            "compression": False,
            "dial_timeout": _seconds(settings.dial_timeout),
            "keep_alive": {"idle_timeout": _seconds(20), "max_idle_conns_per_host": at_most},
        },
    }


def _on_port(port: int, routes: list[Json]) -> Json:
    return {
        "match": [{"vars": {"{http.request.local.port}": [str(port)]}}],
        "handle": [{"handler": "subroute", "routes": routes}],
        "terminal": True,
    }


def _invoke(service: str) -> Json:
    return {"handler": "invoke", "name": service}


def _seconds(value: float) -> str:
    return f"{round(value * 1000)}ms"
