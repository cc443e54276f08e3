"""The catalog's side of a contract: products for other processes of the shop. monolith/catalog/internal.py reads it.

The public API is a contract with everybody, and stays as it is. This module is the service with both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, request
from prometheus_client import Counter

from ..chassis.database import reading
from ..chassis.runtime import runtime
from . import app, service
from .routes import MAX_SKUS
from .skus import query_skus

internal = Blueprint("internal", __name__)

OLD_READS = Counter(
    "catalog_old_price_reads", "Answers to callers that still read `price`", ["caller"], registry=None
)


@internal.get("/internal/products")
def products() -> dict[str, Any]:
    """Give other processes the products with these SKUs, in the order asked; unknown ones are left out."""
    skus = query_skus("sku", MAX_SKUS)
    with reading() as db:
        found = service.batch(db, skus)
    if request.args.get("reads") != "price_cents":
        OLD_READS.labels(request.user_agent.string).inc()
    return {"items": [as_product(item) for item in found["items"]]}


def as_product(item: Mapping[str, Any]) -> dict[str, Any]:
    """A product as others get it; `price`, a text of euros such as "12.90", is for callers that were not moved yet."""
    euros, cents = divmod(item["price_cents"], 100)
    return {**item, "price": f"{euros}.{cents:02}"}


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application, with the internal API."""
    catalog = app.create_app(env)
    catalog.register_blueprint(internal)
    runtime(catalog).metrics.registry.register(OLD_READS)
    return catalog
