"""The recommender in this process, on the shop's own database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..chassis.database import Database
from . import service


class LocalRecommender:
    """Answers from the database; its callers see no connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def suggest(self, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
        """What goes well with `sku`."""
        with self._database.reading() as db:
            return service.suggest(db, sku, cart, customer_id, limit)
