"""What every scene of a script shares: the random choices, the people, and the requests so far."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from loadtests.contract.parity.steps import PASSWORD, Catalogue, Step, send, sign_in

T = TypeVar("T")


class Writer:
    """Collects steps; all chance comes from one seeded generator."""

    def __init__(self, seed: int, catalogue: Catalogue) -> None:
        self.rng = random.Random(seed)
        self.catalogue = catalogue
        self.steps: list[Step] = []
        self.customers: list[str] = []
        self._seed = seed
        self._made = 0

    def add(self, *steps: Step) -> None:
        """Let these requests follow."""
        self.steps.extend(steps)

    def some(self, choices: Sequence[T]) -> T:
        """One of them."""
        return self.rng.choice(choices)

    def sku(self) -> str:
        """A product, popular ones more often: that is where customers meet."""
        skus = self.catalogue.skus
        return skus[int(len(skus) * self.rng.random() ** 3)]

    def skus(self, most: int) -> list[str]:
        """One to `most` different products."""
        return list(dict.fromkeys(self.sku() for _ in range(self.rng.randint(1, most))))

    def customer(self) -> str:
        """Somebody who arrived in this script, and whom nobody has ordered for before it."""
        return self.some(self.customers)

    def number(self) -> int:
        """A number that this script has not used."""
        self._made += 1
        return self._made

    def key(self) -> str:
        """An idempotency key that this script has not used."""
        return f"parity-{self._seed}-{self.number():04d}"

    def email(self) -> str:
        """An email that no shop knows yet."""
        return f"parity-{self._seed}-{self.number()}@example.com"

    def newcomer(self) -> str:
        """Register a customer and sign them in; the name under which their token is kept."""
        name, email = f"customer_{len(self.customers) + 1}", self.email()
        body = {"email": email, "password": PASSWORD, "name": f"Guest {len(self.customers) + 1}"}
        self.add(send("register", "POST", "/api/customers", body, keep=name), sign_in(name, email))
        self.customers.append(name)
        return name
