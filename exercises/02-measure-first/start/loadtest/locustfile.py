"""Last week's traffic as Locust users: which visits there are, how often each happens, and how long people wait.

One visit is finished. The README says what the others do and how often they happen.
"""

from __future__ import annotations

import random

from locust import HttpUser, between, task
from shelf import WORDS


class Visitor(HttpUser):
    """Somebody who visits the shop, with a pause between two visits."""

    wait_time = between(0.5, 1.5)

    @task
    def search(self) -> None:
        """Look for a word."""
        words = random.choice(WORDS)
        self.client.get(f"/api/products?q={words}", name="/api/products?q={words}")
