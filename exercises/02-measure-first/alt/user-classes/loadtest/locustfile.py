"""Last week's traffic as four kinds of users, with the shares of the mix as weights."""

from __future__ import annotations

import random
import uuid

from locust import FastHttpUser, between, task
from shelf import CARD, WORDS, signed_in, some_sku


class Person(FastHttpUser):
    """A user who pauses between two visits."""

    abstract = True
    wait_time = between(0.5, 1.5)

    def see(self, route: str) -> None:
        """Request a route; `{sku}` in it is the chosen product."""
        self.client.get(route.format(sku=self.sku), name=route)

    def choose(self) -> None:
        self.sku = some_sku(self.host)


class AppUser(Person):
    weight = 50

    @task
    def look_at_a_product(self) -> None:
        self.choose()
        self.see("/api/products/{sku}")
        self.see("/api/inventory/{sku}")
        self.see("/api/products/{sku}/recommendations")


class Searcher(Person):
    weight = 25

    @task
    def search(self) -> None:
        words = random.choice(WORDS)
        self.client.get(f"/api/products?q={words}", name="/api/products?q={words}")


class Reader(Person):
    weight = 15

    @task
    def open_a_page(self) -> None:
        self.choose()
        self.see("/products/{sku}")


class Buyer(Person):
    weight = 10

    @task
    def buy(self) -> None:
        who = signed_in(self.host)
        self.choose()
        cart = f"/api/cart/items/{self.sku}"
        self.client.put(cart, json={"quantity": 1}, headers=who, name="/api/cart/items/{sku}")
        order = {"json": {"card_number": CARD}, "headers": {**who, "Idempotency-Key": uuid.uuid4().hex}}
        self.client.post("/api/orders", **order)
