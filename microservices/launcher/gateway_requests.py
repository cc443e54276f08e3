"""What the gateway does with a client's request before a service sees it: it refuses what nobody can use, and cleans
the headers.

A request is refused here if its body is too large, has no stated length or ends early. `reverse_proxy` counts an error
while it sends a body as a failure of the replica, also when the client caused it. So it may only get complete bodies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

CLIENT_ADDRESS = "X-Client-Address"
"""The client's address. X-Forwarded-For will not do: Caddy also rewrites it between services."""

LENGTH = "int({http.request.header.Content-Length})"
# The size of a text is its number of characters; the size of bytes is what was sent.
RECEIVED = "size(bytes({http.request.body}))"


def request_routes(max_body_bytes: int) -> list[Json]:
    """The first routes on the public port: a request that is refused ends there, every other one goes on."""
    return [request_id_route(), *_trusted_headers(), *_complete_bodies(max_body_bytes)]


def request_id_route() -> Json:
    """Give the request an id unless the client sent a well-formed one."""
    return {
        "match": [{"not": [{"header_regexp": {"X-Request-Id": {"pattern": "^[A-Za-z0-9._-]{1,64}$"}}}]}],
        "handle": [_headers(set={"X-Request-Id": ["{http.request.uuid}"]})],
    }


def path_matcher(patterns: Iterable[str]) -> Json:
    """Matches paths in their upper and lower case, as the services do; Caddy's own `path` ignores the case.

    In a pattern, `*` is one segment, or everything that follows if it is the last one. Caddy removes dots and doubled
    slashes from a path before it compares.
    """
    return {"path_regexp": {"pattern": f"^(?:{'|'.join(map(path_regexp, patterns))})$"}}


def path_regexp(pattern: str) -> str:
    """The pattern as a regular expression of Go and of Python."""
    begin = "[^/]+".join(map(re.escape, pattern.removesuffix("/*").split("*")))
    return begin + ("/(?s:.*)" if pattern.endswith("/*") else "")


def _trusted_headers() -> list[Json]:
    """Remove the headers that only services and the gateway may set."""
    return [
        {
            # A service token opens internal routes. They are not routed here; this is a second line of defence.
            "match": [{"header_regexp": {"Authorization": {"pattern": r"(?i)^\s*service\b"}}}],
            "handle": [_headers(delete=["Authorization"])],
        },
        {
            "handle": [
                _headers(
                    set={CLIENT_ADDRESS: ["{http.request.remote.host}"]},
                    # Connection names headers that a proxy has to remove. A client would name those that the gateway
                    # sets. Without it, Upgrade has no effect either.
                    # X_*: WSGI cannot tell X_Customer_Id from X-Customer-Id.
                    delete=["Connection", "X-Customer*", "X-Internal*", "X-Deadline*", "X_*"],
                )
            ]
        },
    ]


def _complete_bodies(max_body_bytes: int) -> list[Json]:
    """Refuse a body without a length, a body that is too large, and one that ends early."""
    too_large = {"match": [{"expression": f"{LENGTH} > {max_body_bytes}"}], "handle": [_refuse(413)]}
    # This reads the body, however slowly it comes; meanwhile it takes up no place at a replica.
    incomplete = {"match": [{"expression": f"{RECEIVED} != {LENGTH}"}], "handle": [_refuse(400)]}
    return [
        # Caddy does not say whether chunks ended early, so it could only pass on a part as if it were the whole.
        {"match": [{"header": {"Transfer-Encoding": ["*"]}}], "handle": [_refuse(411)]},
        {
            "match": [{"header": {"Content-Length": ["*"]}}],
            "handle": [{"handler": "subroute", "routes": [too_large, incomplete]}],
        },
    ]


def _refuse(status: int) -> Json:
    return {"handler": "error", "status_code": status}


def _headers(**operations: Any) -> Json:
    return {"handler": "headers", "request": operations}
