"""The client's address: the one that the gateway saw, or that of the connection when there is no gateway.

A client can send any header. So this header is read only behind a gateway, which replaces the client's value.
"""

from __future__ import annotations

from flask import request

from .runtime import runtime

CLIENT_ADDRESS = "X-Client-Address"


def client_address() -> str | None:
    """The client's IP address; None when the server does not give it."""
    if runtime().config.behind_gateway:
        return request.headers.get(CLIENT_ADDRESS)
    return request.remote_addr
