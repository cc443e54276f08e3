"""Sends a request as it is written, over a connection of its own: a client library would correct or refuse it."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

LEFT_TO_THE_SERVER = frozenset({400, 404, 411, 414, 417, 431, 501, 505})
"""How a server may refuse what is not HTTP, by the contract. It may also close the connection."""
REFUSED = 400
"""Stands for all of these."""


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as it was received; the status is 0 when the connection was closed without one."""

    status: int
    headers: Mapping[str, str]
    text: str

    def without_the_servers_part(self) -> Received:
        """The same for all refusals that the contract leaves to the server."""
        return Received(REFUSED, {}, "") if self.status in {0, *LEFT_TO_THE_SERVER} else self


def exchange(url: str, request: str, *, ends_early: bool, timeout: float) -> Received:
    """Send the request to the shop at `url` and read the answer; `ends_early`: say that nothing more will be sent.

    The characters of `request` are bytes (Latin-1). Raises OSError if the shop cannot be reached or does not answer in
    `timeout` seconds.
    """
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 80), timeout) as connection:
        with suppress(ConnectionError):  # it may be refused before it was read
            connection.sendall(request.encode("latin-1"))
            if ends_early:
                connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection, method=request.partition(" ")[0])
        try:
            response.begin()
            content = response.read()
        except (http.client.HTTPException, ConnectionError):
            return Received(0, {}, "")
        return Received(response.status, dict(response.headers.items()), content.decode(errors="replace"))
