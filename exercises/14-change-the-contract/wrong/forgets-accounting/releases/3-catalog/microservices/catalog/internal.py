"""The catalog's side of a contract: products for other processes of the shop. monolith/catalog/internal.py reads it.

The public API is a contract with everybody, and stays as it is. This module is the service with both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask

from ..chassis.database import reading
from . import app, service
from .routes import MAX_SKUS
from .skus import query_skus

internal = Blueprint("internal", __name__)


@internal.get("/internal/products")
def products() -> dict[str, Any]:
    """Give other processes the products with these SKUs, in the order asked; unknown ones are left out."""
    skus = query_skus("sku", MAX_SKUS)
    with reading() as db:
        return {"items": service.batch(db, skus)["items"]}


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application, with the internal API."""
    catalog = app.create_app(env)
    catalog.register_blueprint(internal)
    return catalog
