"""The gateway's span of a request: a trace begins where the request enters the shop, and is found by its id.

Only requests on the public port get one. A call between services has its caller's span and its callee's already, and
the time between their bounds is the gateway's. Probes are no requests of the shop: Caddy's own never pass a route, and
the launcher's asks for a path that is not routed. Neither has a request whose body is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from microservices.launcher.gateway_requests import Json, path_matcher

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PUBLIC = "all public routes"
"""The name of the route that holds them; no service can have it."""
NOT_SAMPLED = f"00-{'f' * 32}-{'f' * 16}-00"
"""The `traceparent` of a request that nobody behind the gateway is to trace."""


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """What Caddy needs to export its spans as the shops do; empty while tracing is off."""
    if not env.get(ENDPOINT):
        return {}
    return {
        ENDPOINT: env[ENDPOINT],
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "gateway",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
    }


def named_route(routes: list[Json], error_routes: list[Json]) -> Json:
    """All public routes with their errors handled inside, so that the span gets the status that the client gets."""
    return {"handle": [{"handler": "subroute", "routes": routes, "errors": {"routes": error_routes}}]}


def traced_routes(not_traced: tuple[str, ...]) -> list[Json]:
    """The public routes inside a span, but for the paths `not_traced`.

    They come after the routes that check the body. The `tracing` handler copies the request, and the placeholder of
    the body would read it from the original: the copy would go on without one.
    """
    tracing: Json = {
        "handler": "tracing",
        "span": "{http.request.method}",
        "span_attributes": {"shop.request_id": "{http.request.header.X-Request-Id}"},
    }
    invoke: Json = {"handler": "invoke", "name": PUBLIC}
    return [
        {"match": [{"not": [path_matcher(not_traced)]}], "handle": [tracing, invoke], "terminal": True},
        {"handle": [{"handler": "headers", "request": {"set": {"traceparent": [NOT_SAMPLED]}}}, invoke]},
    ]
