"""The inventory in another process: how many of a product can be bought, and reservations for orders.

Every call with an effect is idempotent by the order's id, so the chassis' client repeats one that was lost.
Every failure becomes InventoryUnavailable. After one it is not known whether the call had its effect.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, TypedDict
from urllib.parse import quote

from microservices.chassis import errors as chassis_errors
from microservices.chassis.client import Read, Upstream, require_keys
from microservices.chassis.deadline import DeadlineAdapter
from microservices.chassis.tokens import ServiceTokens

from ..catalog import UnknownProduct
from ..chassis.errors import Problem, Unavailable
from ..chassis.runtime import runtime
from ..neighbours import STANDS_FOR, Neighbours

TIMEOUT_SECONDS = 1.0
"""For one call with all its attempts; the gateway waits three times as long for the whole answer."""
READ_SECONDS = 0.25
"""For a number that a page can do without."""


class Availability(TypedDict):
    """How many pieces of a product can be bought."""

    sku: str
    available: int


class Effect(TypedDict):
    """The state of an order's reservation."""

    order_id: str
    status: str


class OutOfStock(Problem):
    status, slug, title = 409, "out-of-stock", "Not enough in stock"

    def __init__(self, sku: str, wanted: int, available: int) -> None:
        super().__init__(
            f"There are {available} of {sku} left, and {wanted} were wanted.",
            sku=sku,
            wanted=wanted,
            available=available,
        )


class InventoryUnavailable(Unavailable):
    """The inventory gave no proper answer in time."""


class _OutOfStock(chassis_errors.Problem):
    slug = OutOfStock.slug


class _NoSuchProduct(chassis_errors.Problem):
    slug = UnknownProduct.slug


AVAILABILITY, EFFECT = require_keys(Availability), require_keys(Effect)


def availability(sku: str) -> dict[str, Any]:
    """How many of a product can be bought now; raises UnknownProduct."""
    path = f"/api/inventory/{quote(sku, safe='')}"
    answer: dict[str, Any] = _call("GET", path, AVAILABILITY, timeout=READ_SECONDS)
    return answer


def reserve(order_id: str, wanted: Mapping[str, int]) -> None:
    """Reserve all of these pieces for the order or none; raises OutOfStock or UnknownProduct, and then it was none."""
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in sorted(wanted.items())]
    done = _done(order_id, "reserved", "committed")
    _call("POST", "/internal/reservations", done, {"order_id": order_id, "items": items})


def commit(order_id: str) -> None:
    """Sell what is reserved for the order."""
    _call("POST", f"/internal/reservations/{order_id}/commit", _done(order_id, "committed"))


def release(order_id: str) -> None:
    """Make what is reserved for the order available again; a request to reserve that comes later is refused."""
    _call("POST", f"/internal/reservations/{order_id}/release", _done(order_id, "released"))


def _done(order_id: str, *statuses: str) -> Read[Effect]:
    """A `read` that accepts an answer only if it names this order and one of these statuses."""

    def read(answer: Any) -> Effect:
        effect = EFFECT(answer)
        if effect["order_id"] != order_id or effect["status"] not in statuses:
            raise ValueError(answer)
        return effect

    return read


def _call(
    method: str,
    path: str,
    read: Read[Any],
    body: Mapping[str, Any] | None = None,
    timeout: float | None = None,
) -> Any:
    """The answer; raises InventoryUnavailable when there is no proper one."""
    raises = (_OutOfStock, _NoSuchProduct)
    try:
        return _upstream().call(
            method, path, body, idempotent=True, raises=raises, read=read, timeout=timeout
        )
    except _OutOfStock as refusal:
        facts = refusal.facts
        raise OutOfStock(facts["sku"], facts["wanted"], facts["available"]) from None
    except _NoSuchProduct as refusal:
        raise UnknownProduct(str(refusal.facts["sku"])) from None
    except chassis_errors.UpstreamError as error:
        raise InventoryUnavailable(
            "The inventory does not answer just now; try again in a moment."
        ) from error


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
        tokens=ServiceTokens(STANDS_FOR, neighbours.service_key, {}),
        metrics=runtime().metrics,
    )
