"""The catalog in another process: its public API, asked over HTTP, and the client for its internal API.

The chassis' client does what exercise 08 was about: a deadline, a repeat, a breaker. Every failure becomes
CatalogUnavailable, which the API and the pages answer with 503.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, TypedDict

from microservices.chassis import errors as chassis_errors
from microservices.chassis.client import Read, Upstream, require_keys
from microservices.chassis.deadline import DeadlineAdapter
from microservices.chassis.tokens import ServiceTokens

from ..chassis.errors import Problem, Unavailable
from ..chassis.runtime import runtime
from ..neighbours import Neighbours

TIMEOUT_SECONDS = 1.0
"""For one call with all its attempts; the gateway waits three times as long for the whole answer."""


class Product(TypedDict):
    """What the shop relies on in a product."""

    sku: str
    name: str
    description: str
    category: str
    price_cents: int


class Products(TypedDict):
    """A list of products."""

    items: list[Product]


class Categories(TypedDict):
    """The list of categories."""

    items: list[Any]


class UnknownProduct(Problem):
    status, slug, title = 404, "unknown-product", "There is no such product"

    def __init__(self, sku: str) -> None:
        super().__init__(f"The shop has no product {sku}.", sku=sku)


class CatalogUnavailable(Unavailable):
    """The catalog gave no proper answer in time."""


def products(category: str, q: str, page: int, page_size: int) -> dict[str, Any]:
    """One page of products, bestsellers first; `category` and `q` narrow it when they are not empty."""
    wanted = {"category": category, "q": q, "page": page, "page_size": page_size}
    return get("/api/products", wanted, require_keys(Products))


def categories() -> dict[str, Any]:
    """Every category with its number of products, by name."""
    return get("/api/categories", {}, require_keys(Categories))


def get(
    path: str, params: Mapping[str, Any], read: Read[Any], headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The answer to a GET; raises CatalogUnavailable when there is no proper one, which is when `read` raises too."""
    try:
        answer: dict[str, Any] = _upstream().get(path, params, read=read, headers=headers)
    except chassis_errors.UpstreamError as error:
        raise CatalogUnavailable("The catalog does not answer just now; try again in a moment.") from error
    return answer


@cache
def _upstream() -> Upstream:
    url = Neighbours.from_env(os.environ).catalog_url
    if url is None:
        raise RuntimeError("SHOP_CATALOG_URL is not set: in topology.py the monolith needs catalog.")
    return Upstream(
        "catalog",
        url,
        DeadlineAdapter(pool_maxsize=8),
        timeout=TIMEOUT_SECONDS,
        tokens=ServiceTokens("monolith", None, {}),
        metrics=runtime().metrics,
    )
