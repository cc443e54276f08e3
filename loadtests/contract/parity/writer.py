"""The writer of a script: its random choices, its customers, and the steps so far."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from loadtests.contract.parity.steps import PASSWORD, Catalogue, Step, send, sign_in

T = TypeVar("T")


class Writer:
    """Collects steps. All random choices come from one seeded generator."""

    def __init__(self, seed: int, catalogue: Catalogue) -> None:
        self.rng = random.Random(seed)
        self.catalogue = catalogue
        self.steps: list[Step] = []
        self.customers: list[str] = []
        self._seed = seed
        self._made = 0

    def add(self, *steps: Step) -> None:
        """Append these steps."""
        self.steps.extend(steps)

    def choose(self, choices: Sequence[T]) -> T:
        """A random one of the choices."""
        return self.rng.choice(choices)

    def sku(self) -> str:
        """A SKU, popular products more often, so that customers buy the same ones."""
        skus = self.catalogue.skus
        return skus[int(len(skus) * self.rng.random() ** 3)]

    def skus(self, most: int) -> list[str]:
        """One to `most` different SKUs."""
        return list(dict.fromkeys(self.sku() for _ in range(self.rng.randint(1, most))))

    def customer(self) -> str:
        """A customer whom this script registered, so without older orders."""
        return self.choose(self.customers)

    def number(self) -> int:
        """A number that is new in this script."""
        self._made += 1
        return self._made

    def key(self) -> str:
        """An idempotency key that is new in this script."""
        return f"parity-{self._seed}-{self.number():04d}"

    def email(self) -> str:
        """An email address that no shop knows yet."""
        return f"parity-{self._seed}-{self.number()}@example.com"

    def new_customer(self) -> str:
        """Register a customer and sign them in. Returns the name under which the token is kept."""
        name, email = f"customer_{len(self.customers) + 1}", self.email()
        body = {"email": email, "password": PASSWORD, "name": f"Guest {len(self.customers) + 1}"}
        self.add(send("register", "POST", "/api/customers", body, keep=name), sign_in(name, email))
        self.customers.append(name)
        return name
