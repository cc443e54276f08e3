"""Products for the tests to buy: picked at random, stocked by the admin, restored afterwards."""

from __future__ import annotations

import secrets
from typing import Any

from loadtests.contract.acceptance.visitors import Customer

PLENTY = 1000


class Shelf:
    """The stock and prices that the admin changes for a test, and restores.

    Random choices come from `secrets`. The test runner reseeds `random` before every test, so with it all tests would
    pick the same products.
    """

    def __init__(self, admin: Customer) -> None:
        self._admin = admin
        self._stock: dict[str, int] = {}
        self._prices: dict[str, int] = {}

    def pick(self, available: int = PLENTY) -> dict[str, Any]:
        """A random product that this test has not picked yet, with `available` in stock."""
        return self.pick_many(1, available)[0]

    def pick_many(self, count: int, available: int = PLENTY) -> list[dict[str, Any]]:
        """Different random products of the whole catalogue."""
        total = self._admin.get("/api/products?page_size=1").json()["total"]
        pages = max(1, total // 50)
        items: list[dict[str, Any]] = []
        while len(items) < count:
            page = 1 + secrets.randbelow(pages)
            listed = self._admin.get(f"/api/products?page_size=50&page={page}").json()["items"]
            fresh = [item for item in listed if item["sku"] not in self._stock]
            for item in secrets.SystemRandom().sample(fresh, min(len(fresh), count - len(items))):
                self.stock(item["sku"], available)
                items.append(item)
        return items

    def stock(self, sku: str, available: int) -> None:
        """Set the stock."""
        self._stock.setdefault(sku, self._admin.available(sku))
        assert self._admin.put(f"/api/inventory/{sku}", {"available": available}).status_code == 200

    def price(self, sku: str, price_cents: int) -> None:
        """Set the price."""
        if sku not in self._prices:
            self._prices[sku] = self._admin.get(f"/api/products/{sku}").json()["price_cents"]
        assert self._admin.put(f"/api/products/{sku}/price", {"price_cents": price_cents}).status_code == 200

    def restore(self) -> None:
        """Restore the stock and prices of before the test."""
        for sku, available in self._stock.items():
            self._admin.put(f"/api/inventory/{sku}", {"available": available})
        for sku, price_cents in self._prices.items():
            self._admin.put(f"/api/products/{sku}/price", {"price_cents": price_cents})
