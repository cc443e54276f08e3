"""The API of the inventory."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from pydantic import Field

from ..chassis.auth import require_admin
from ..chassis.database import writing
from ..chassis.validation import Body, body
from . import reads, service

api = Blueprint("inventory", __name__)


class Available(Body):
    available: Annotated[int, Field(ge=0, le=1_000_000)]


@api.get("/api/inventory/<sku>")
def availability(sku: str) -> dict[str, Any]:
    """Show how many of a product can be bought."""
    return reads.availability(sku)


@api.put("/api/inventory/<sku>")
def set_available(sku: str) -> dict[str, Any]:
    """Set how many of a product can be bought."""
    require_admin()
    wanted = body(Available)
    with writing() as db:
        return service.set_available(db, sku, wanted.available)
