"""A shop that is asked through somebody who alters its answers: how a check makes a broken shop of a sound one.

    def forgets_the_total(shop: Behind, asked: Asked) -> Reply:
        reply = shop.send(asked)
        return reply.with_json({**reply.json, "total_cents": 0}) if is_checkout(asked) else reply

    with altered(bench.oracle(), forgets_the_total) as broken:
        ...  # ask at broken.url

A broken shop costs a thread, and no second copy of the shop has to start.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from exercises.checks.checking import Shop, Visitor
from loadtests.contract.client import new_session
from microservices.chaos.standin import Answer, Asked, StandIn

OF_THE_CONNECTION = {"connection", "content-length", "transfer-encoding", "date", "server", "keep-alive"}
SECONDS = 30.0


@dataclass(frozen=True)
class Reply:
    """One answer of the shop behind."""

    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> dict[str, Any]:
        """The body as an object; empty when it is none."""
        return _object(self.content)

    def with_json(self, document: dict[str, Any], status: int | None = None) -> Reply:
        """The same with another body, and perhaps another status."""
        return replace(self, content=json.dumps(document).encode(), status=status or self.status)


class Behind:
    """The sound shop behind an altered one."""

    def __init__(self, shop: Shop) -> None:
        self._url = shop.url
        self.admin: Visitor = shop.admin()
        self.memory: dict[Any, Any] = {}
        """What the altered shop remembers between requests."""

    def send(
        self,
        asked: Asked,
        *,
        method: str = "",
        path: str = "",
        json: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Pass a request on, as it came or with changes; `json={}` sends no body."""
        body = asked.body if json is None else _bytes(json)
        given = {name: value for name, value in asked.headers.items() if name.lower() != "content-length"}
        given = {**given, "Accept-Encoding": "identity", "Connection": "close", **(headers or {})}
        with new_session() as session:
            answer = session.request(
                method or asked.method,
                self._url + (path or asked.path),
                data=body,
                headers=given,
                timeout=SECONDS,
                allow_redirects=False,
            )
        kept = {name: text for name, text in answer.headers.items() if name.lower() not in OF_THE_CONNECTION}
        return Reply(answer.status_code, answer.content, kept)


Alteration = Callable[[Behind, Asked], Reply]


def altered(shop: Shop, alter: Alteration) -> AbstractContextManager[StandIn]:
    """The shop as it is seen through `alter`, until the block ends."""
    behind = Behind(shop)

    def respond(asked: Asked) -> Answer:
        reply = alter(behind, asked)
        return reply.status, reply.content, reply.headers

    return StandIn(respond)


def sent(asked: Asked) -> dict[str, Any]:
    """A request's body as an object; empty when it is none."""
    return _object(asked.body)


def _bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() if document else b""


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
