"""Stands between a service and its callers. A check says what becomes of each call: passed on, held, lost, repeated.

    relay = Relay()
    shop = bench.shop(env={name_of_the_setting: relay.url})
    relay.upstream = shop.fleet.internal_ports["inventory"]
    relay.rule = lambda call: LOSE if call.path.endswith("/commit") else call.send()

So a check stops a program at a boundary without touching its code: the rule runs in a thread of its own for each call,
and may wait in it, before or after the call has its effect, and kill the caller meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from exercises.checks.altering import OF_THE_CONNECTION
from loadtests.contract.client import new_session
from microservices.chaos.standin import LOSE, Answer, Asked, StandIn

SECONDS = 10.0


@dataclass(frozen=True)
class Call:
    """One call, as its caller sent it."""

    asked: Asked
    send: Callable[[], Answer] = field(repr=False)
    """Pass it on to the service, and return what that answers. LOSE when it does not. It can be done more than once."""

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.asked.route

    @property
    def sent(self) -> dict[str, Any]:
        """The body as an object; empty when it is none."""
        try:
            found = json.loads(self.asked.body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


Rule = Callable[[Call], Answer]


def pass_on(call: Call) -> Answer:
    """The rule that changes nothing."""
    return call.send()


class Relay:
    """Listens until the process ends, so that every check of a run uses the same address."""

    def __init__(self) -> None:
        self.upstream = 0
        """The port of the service."""
        self.rule: Rule = pass_on
        self._stand_in = StandIn(self._respond)

    @property
    def url(self) -> str:
        """The address to use instead of the service's."""
        return self._stand_in.url

    def _respond(self, asked: Asked) -> Answer:
        return self.rule(Call(asked, lambda: self._send(asked)))

    def _send(self, asked: Asked) -> Answer:
        given = {name: text for name, text in asked.headers.items() if name.lower() not in OF_THE_CONNECTION}
        try:
            with new_session() as session:
                answer = session.request(
                    asked.method,
                    f"http://127.0.0.1:{self.upstream}{asked.path}",
                    data=asked.body,
                    headers={**given, "Connection": "close"},
                    timeout=SECONDS,
                    allow_redirects=False,
                )
        except (OSError, HTTPException):
            return LOSE
        kept = {name: text for name, text in answer.headers.items() if name.lower() not in OF_THE_CONNECTION}
        return answer.status_code, answer.content, kept
