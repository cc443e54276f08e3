"""The inventory service, as the monolith calls it: to send states of stock, to read them back, and to show stock.

A state is all numbers of one product with their version. Every failure becomes InventoryUnavailable.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypedDict

from microservices.chassis import errors as chassis_errors
from microservices.chassis.client import Upstream, require_keys
from microservices.chassis.deadline import DeadlineAdapter
from microservices.chassis.observability import Metrics
from microservices.chassis.tokens import ServiceTokens

from ..chassis.errors import Unavailable
from ..neighbours import Neighbours

TIMEOUT_SECONDS = 1.0
READ_SECONDS = 0.25
"""For a page that shows stock, which can get it elsewhere."""
INTERNAL = "/internal/stock"


class State(TypedDict):
    """All numbers of one product, and how often they had been changed."""

    sku: str
    received: int
    available: int
    sold: int
    version: int


class States(TypedDict):
    states: list[State]


class Available(TypedDict):
    sku: str
    available: int


class InventoryUnavailable(Unavailable):
    """The inventory service gave no proper answer in time."""


def send(states: Sequence[State]) -> None:
    """Send states to the service; it has them when this returns. Sending them again does no harm."""
    _call("PUT", INTERNAL, {"states": list(states)})


def stored(after: str, limit: int) -> list[State]:
    """Up to `limit` states that the service has, in the order of their SKUs, from the first one after `after`."""
    params = {"after": after, "limit": limit}
    found: list[State] = _call("GET", INTERNAL, params=params, read=require_keys(States))["states"]
    return found


def availability(sku: str) -> dict[str, Any]:
    """What the service's public API says about a product. One that it does not have is InventoryUnavailable too."""
    path = f"/api/inventory/{sku}"
    answer: dict[str, Any] = _call("GET", path, read=require_keys(Available), timeout=READ_SECONDS)
    return answer


def _call(method: str, path: str, body: Mapping[str, Any] | None = None, **options: Any) -> Any:
    try:
        return _upstream().call(method, path, body, **options)
    except chassis_errors.UpstreamError as error:
        raise InventoryUnavailable(f"The inventory service gave no answer: {error.detail}") from error


@cache
def _upstream() -> Upstream:
    neighbours = Neighbours.from_env(os.environ)
    if neighbours.inventory_url is None:
        raise RuntimeError("SHOP_INVENTORY_URL is not set: in topology.py the monolith needs inventory.")
    return Upstream(
        "inventory",
        neighbours.inventory_url,
        DeadlineAdapter(pool_maxsize=8),
        timeout=TIMEOUT_SECONDS,
        tokens=ServiceTokens("monolith", neighbours.service_key, {}),
        metrics=Metrics(),
    )
