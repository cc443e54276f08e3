"""Last week's traffic as Locust users: which visits there are, how often each happens, and how long people wait."""

from __future__ import annotations

import random
import uuid

from locust import HttpUser, between, task
from shelf import CARD, WORDS, signed_in, some_sku


class Visitor(HttpUser):
    """Somebody who visits the shop, with a pause between two visits."""

    wait_time = between(0.5, 1.5)

    @task(50)
    def look_at_a_product(self) -> None:
        """In the app: the product, whether it is there, and what goes well with it."""
        sku = some_sku(self.host)
        self.client.get(f"/api/products/{sku}", name="/api/products/{sku}")
        self.client.get(f"/api/inventory/{sku}", name="/api/inventory/{sku}")
        self.client.get(f"/api/products/{sku}/recommendations", name="/api/products/{sku}/recommendations")

    @task(25)
    def search(self) -> None:
        """Look for a word."""
        words = random.choice(WORDS)
        self.client.get(f"/api/products?q={words}", name="/api/products?q={words}")

    @task(15)
    def open_a_page(self) -> None:
        """In a browser: a product's page."""
        self.client.get(f"/products/{some_sku(self.host)}", name="/products/{sku}")

    @task(10)
    def buy(self) -> None:
        """Put something into the cart and pay."""
        sku, customer = some_sku(self.host), signed_in(self.host)
        self.client.put(
            f"/api/cart/items/{sku}", json={"quantity": 1}, headers=customer, name="/api/cart/items/{sku}"
        )
        key = {"Idempotency-Key": uuid.uuid4().hex}
        self.client.post("/api/orders", json={"card_number": CARD}, headers={**customer, **key})
