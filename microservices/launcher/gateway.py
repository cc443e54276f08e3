"""Caddy's configuration, made from a topology: one public listener, one loopback listener per service.

The configuration is complete before Caddy starts and never changes while it runs, because a reload drops idle
client connections. Every slot that a replica may ever use is therefore declared; health checks tell which are live.

Each service has one `reverse_proxy` handler, and the public and the internal routes invoke the same one (a named
route). Health is kept per handler, so a second one would double the probes: 8 services of 8 slots at 500 ms took
1.6 % of a core with shared handlers and 3.1 % without.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microservices.topology import Topology

Json = dict[str, Any]

HOST = "127.0.0.1"
NOT_ROUTED = ("/internal", "/internal/*", "/metrics", "/readyz", "/healthz")
"""What belongs to a process, not to the shop: from outside these look like any unknown path."""

CLIENT_ADDRESS = "X-Client-Address"
"""Where a request came from. Not X-Forwarded-For: Caddy writes that anew on the way from service to service too."""

REQUEST_ID = {"X-Request-Id": ["{http.request.header.X-Request-Id}"]}
NOT_FOUND = (404, "not-found", "There is nothing here", "No route of the shop has this path.")
PROBLEMS = (
    (405, "method-not-allowed", "This cannot be done here", "Use GET, HEAD on this path."),
    (413, "body-too-large", "The body is too large", "The gateway takes no body of this size."),
    (502, "bad-upstream", "A part of the shop broke off", "The connection was lost; try again in a moment."),
    (
        503,
        "unavailable",
        "The shop cannot answer just now",
        "No replica is free to answer; try again in a moment.",
    ),
    (
        504,
        "upstream-timeout",
        "A part of the shop is too slow",
        "No answer came in time; try again in a moment.",
    ),
)
UNEXPECTED = (500, "internal-error", "Something went wrong", "The gateway made a mistake.")
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    '<h1>{title}</h1><p>{detail}</p><p><a href="/">Back to the shop</a></p></html>'
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Ports of one running topology, all on loopback."""

    public: int
    internal: Mapping[str, int]
    slots: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Settings:
    """How patient the gateway is; times in seconds. Both shops get the same."""

    probe_interval: float = 0.5
    probe_timeout: float = 4.0
    """Longer than a full queue of a replica on a tenth of a core (64 requests of 5 ms CPU take 3.2 s): a busy replica
    must not look dead. With the interval still shorter than `header_timeout`: a paused one is out before the requests
    that it holds are retried."""
    dial_timeout: float = 0.5
    header_timeout: float = 5.0
    retries: int = 4
    max_in_flight: int = 64
    """Requests that one replica is given at a time; beyond that clients get a 503 at once instead of a long wait."""
    fails: int = 2
    fail_seconds: float = 0.5
    """A replica that lost `fails` requests is left alone for one round of probes, which then decide. Not one: a single
    request that takes too long must not close a service that has only one replica."""
    max_body_bytes: int = 1_000_000


def caddy() -> Path:
    """Where the caddy program is: beside the interpreter, where its package installs it."""
    return Path(sys.executable).with_name("caddy")


def variables(addresses: Addresses) -> dict[str, str]:
    """What a Caddyfile written by hand is told through the environment: where to listen and whom to ask."""
    inside = {f"SHOP_{name.upper()}_PORT": str(port) for name, port in addresses.internal.items()}
    slots = {
        f"SHOP_{name.upper()}_SLOTS": " ".join(f"{HOST}:{port}" for port in ports)
        for name, ports in addresses.slots.items()
    }
    return {"SHOP_PORT": str(addresses.public)} | inside | slots


def configuration(topology: Topology, addresses: Addresses, settings: Settings | None = None) -> Json:
    """The whole configuration as a JSON-ready dict."""
    settings = settings or Settings()
    server = {
        "listen": [f"{HOST}:{port}" for port in (addresses.public, *addresses.internal.values())],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "named_routes": {
            service.name: {"handle": [_proxy(addresses.slots[service.name], settings)]}
            for service in topology.services
        },
        "routes": [
            _on_port(addresses.public, _public_routes(topology, settings)),
            *(_on_port(port, [{"handle": [_to(name)]}]) for name, port in addresses.internal.items()),
        ],
        "errors": {"routes": _error_routes(addresses.public)},
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "ERROR", "exclude": ["http.log.error", "http.handlers"]}}},
        "apps": {"http": {"grace_period": "3s", "servers": {topology.name: server}}},
    }


def _public_routes(topology: Topology, settings: Settings) -> list[Json]:
    """What a stranger may reach, in the order of matching."""
    return [
        *_clean_request(settings),
        {"match": [{"path": list(NOT_ROUTED)}], "handle": [_problem(*NOT_FOUND)], "terminal": True},
        *(_file_route(path, file) for path, file in topology.files),
        *(
            {
                "match": [{"path": list(patterns)}],
                "handle": [_to(owner) if owner else _problem(*NOT_FOUND)],
                "terminal": True,
            }
            for patterns, owner in public_paths(topology)
        ),
        {"handle": [_problem(*NOT_FOUND)]},
    ]


def public_paths(topology: Topology) -> list[tuple[tuple[str, ...], str | None]]:
    """Path patterns and who owns them, the most specific first; None where the gateway itself says "not found"."""
    owned = [(path, service.name) for service in topology.services for path in service.paths if path != "/"]
    owned.sort(key=lambda entry: (-entry[0].count("/"), entry[0]))
    routes: list[tuple[tuple[str, ...], str | None]] = [((path, f"{path}/*"), name) for path, name in owned]
    if owned:  # the API is shared between services: nobody owns the rest of it
        routes.append((("/api", "/api/*"), None))
    routes += [(("/*",), service.name) for service in topology.services if "/" in service.paths]
    return routes


def _clean_request(settings: Settings) -> list[Json]:
    """Every request gets an id here, and loses whatever claims to come from inside."""
    return [
        {
            "match": [{"not": [{"header_regexp": {"X-Request-Id": {"pattern": "^[A-Za-z0-9._-]{1,64}$"}}}]}],
            "handle": [{"handler": "headers", "request": {"set": {"X-Request-Id": ["{http.request.uuid}"]}}}],
        },
        {
            # A service token opens internal routes; those are not routed here, and this is the second lock.
            "match": [{"header_regexp": {"Authorization": {"pattern": r"(?i)^\s*service\b"}}}],
            "handle": [{"handler": "headers", "request": {"delete": ["Authorization"]}}],
        },
        {
            "handle": [
                # WSGI makes no difference between X-Customer-Id and X_Customer_Id, hence the last one.
                {
                    "handler": "headers",
                    "request": {
                        "set": {CLIENT_ADDRESS: ["{http.request.remote.host}"]},
                        "delete": ["X-Customer*", "X-Internal*", "X-Deadline*", "X_*"],
                    },
                },
                {"handler": "request_body", "max_size": settings.max_body_bytes},
            ]
        },
    ]


def _proxy(slots: tuple[int, ...], settings: Settings) -> Json:
    """Balance over the live slots of one service.

    The replica with the fewest requests in flight is chosen. A replica on a slice of CPU stands still for most of a
    period once its slice is used up, and requests differ in cost by a factor of a hundred: round robin would queue
    behind the one that stands still. The danger of this choice is that a dead replica looks idle and attracts
    everything; lost connections therefore put it out (`passive`) until the probes have seen it.
    """
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{HOST}:{port}", "max_requests": settings.max_in_flight} for port in slots],
        "load_balancing": {
            "selection_policy": {"policy": "least_conn"},
            "retries": settings.retries,
            "try_interval": _seconds(0.01),
            # One more try after a header timeout, not four.
            "try_duration": _seconds(settings.header_timeout + 0.25),
            "retry_match": [
                {"method": ["GET", "HEAD", "PUT", "DELETE"]},
                {"method": ["POST"], "header": {"Idempotency-Key": ["*"]}},
            ],
        },
        "health_checks": {
            "active": {
                "uri": "/readyz",
                "interval": _seconds(settings.probe_interval),
                "timeout": _seconds(settings.probe_timeout),
                "expect_status": 200,
            },
            "passive": {"fail_duration": _seconds(settings.fail_seconds), "max_fails": settings.fails},
        },
        # Without a buffer a retry would send an empty body. Services refuse more than 64 KiB, so this holds all.
        "request_buffers": 128 * 1024,
        "transport": {
            "protocol": "http",
            "versions": ["1.1"],
            "compression": False,
            "dial_timeout": _seconds(settings.dial_timeout),
            "response_header_timeout": _seconds(settings.header_timeout),
            # Replicas close an idle connection after 30 s; whoever closes first must be this side.
            "keep_alive": {"idle_timeout": _seconds(20), "max_idle_conns_per_host": settings.max_in_flight},
        },
    }


def _error_routes(public: int) -> list[Json]:
    """What the gateway says itself when no replica answered: a page, a problem, or plain text to another service."""
    pages: Json = {
        "vars": {"{http.request.local.port}": [str(public)]},
        "not": [{"path": ["/api/*", "/.well-known/*"]}],
    }
    services: Json = {"not": [{"vars": {"{http.request.local.port}": [str(public)]}}]}
    return [
        {
            "match": [pages],
            "handle": [{"handler": "subroute", "routes": [_for_status(p[0], _page(*p)) for p in PROBLEMS]}],
        },
        {
            # Plain text, so that the calling service can tell it from a problem that the called one sent.
            "match": [services],
            "handle": [{"handler": "subroute", "routes": [_for_status(p[0], _plain(*p)) for p in PROBLEMS]}],
        },
        *(_for_status(problem[0], _problem(*problem)) for problem in PROBLEMS),
        {"handle": [_problem(*UNEXPECTED)]},
    ]


def _for_status(status: int, handler: Json) -> Json:
    return {
        "match": [{"vars": {"{http.error.status_code}": [str(status)]}}],
        "handle": [handler],
        "terminal": True,
    }


def _on_port(port: int, routes: list[Json]) -> Json:
    return {
        "match": [{"vars": {"{http.request.local.port}": [str(port)]}}],
        "handle": [{"handler": "subroute", "routes": routes}],
        "terminal": True,
    }


def _to(service: str) -> Json:
    return {"handler": "invoke", "name": service}


def _file_route(path: str, file: Path) -> Json:
    return {
        "match": [{"path": [path]}],
        "handle": [
            {"handler": "rewrite", "uri": f"/{file.name}"},
            {"handler": "headers", "response": {"set": {"Content-Type": ["application/yaml"], **REQUEST_ID}}},
            {"handler": "file_server", "root": str(file.parent)},
        ],
        "terminal": True,
    }


def _problem(status: int, slug: str, title: str, detail: str) -> Json:
    body = {"type": f"/problems/{slug}", "title": title, "status": status, "detail": detail}
    return _answer(status, "application/problem+json", json.dumps(body))


def _page(status: int, _slug: str, title: str, detail: str) -> Json:
    return _answer(status, "text/html; charset=utf-8", PAGE.format(title=title, detail=detail))


def _plain(status: int, _slug: str, title: str, _detail: str) -> Json:
    return _answer(status, "text/plain; charset=utf-8", title)


def _answer(status: int, content_type: str, body: str) -> Json:
    headers = {"Content-Type": [content_type], **REQUEST_ID}
    if status == 503:
        headers["Retry-After"] = ["1"]
    return {"handler": "static_response", "status_code": status, "headers": headers, "body": body}


def _seconds(value: float) -> str:
    return f"{round(value * 1000)}ms"
