"""The mailer in another process: one POST for one event. What an answer means is for the caller to decide."""

from __future__ import annotations

import os
from functools import cache
from typing import Any, TypedDict

import requests

from microservices.chassis.deadline import DeadlineAdapter
from microservices.chassis.tokens import ServiceTokens

from ..neighbours import STANDS_FOR, Neighbours

TAKEN = 200
SILENT = 0
"""The status when no answer came in time. Nobody knows whether the mailer has got the event."""
PATH = "/internal/events"
TIMEOUT_SECONDS = 2.0


class Event(TypedDict):
    """An event as it is sent."""

    id: str
    """Of the event, not of the order. It is the same however often the event is sent."""
    type: str
    data: dict[str, Any]


def post(event: Event) -> int:
    """Send the event once; returns the status of the answer, SILENT when none comes within 2 s."""
    url, tokens, session = _connection()
    headers = {"Authorization": f"Service {tokens.issue('mailer')}"}
    try:
        answer = session.post(
            url + PATH, json=event, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
        )
    except requests.RequestException:
        return SILENT
    return answer.status_code


@cache
def _connection() -> tuple[str, ServiceTokens, requests.Session]:
    neighbours = Neighbours.from_env(os.environ)
    if neighbours.mailer_url is None:
        raise RuntimeError("SHOP_MAILER_URL is not set: in topology.py the monolith needs mailer.")
    session = requests.Session()
    session.trust_env = False  # never a proxy between services
    session.mount("http://", DeadlineAdapter(pool_maxsize=8))
    return neighbours.mailer_url, ServiceTokens(STANDS_FOR, neighbours.service_key, {}), session
