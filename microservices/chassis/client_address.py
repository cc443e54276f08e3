"""Where a request came from: the address that the gateway saw, or that of the connection when there is no gateway.

Anybody can write any header. This one is believed only where a gateway is in front, which replaces what it was sent.
"""

from __future__ import annotations

from flask import request

from .runtime import runtime

CLIENT_ADDRESS = "X-Client-Address"


def client_address() -> str | None:
    """The client's IP address; None where the server does not tell."""
    if runtime().config.behind_gateway:
        return request.headers.get(CLIENT_ADDRESS)
    return request.remote_addr
