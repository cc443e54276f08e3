"""Customers who use the shop while it is broken: some browse, some buy, and all record their answers.

The load is small on purpose: some sixty requests a second, with pauses between them. The test is whether the answers
are true; on a machine at its limit a slow recovery would not be visible.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from microservices.chaos.client import MAX_RETRIES, Client, Customer, History, InconclusiveRun, Outcome, Reply

THINK_SECONDS = 0.12
"""The mean pause of a customer between two actions."""
PLENTY, SCARCE = [f"P{number:05}" for number in range(4, 24)], ["P00001", "P00002", "P00003"]
SCARCE_STOCK, PLENTY_STOCK = 40, 1_000_000
GOOD_CARD, BAD_CARD, SILENT_CARD = "4242424242424242", "4000000000000002", "4000000000000119"
CARDS = (GOOD_CARD,) * 16 + (BAD_CARD,) * 3 + (SILENT_CARD,)
PERSONAS = {"browser": 3, "widget": 2, "buyer": 5}
DEMO_PASSWORD = "correct-horse-battery"  # noqa: S105 -- of every seeded account, and public in the docs


def set_stock(port: int) -> None:
    """Set a stock of PLENTY that no run sells out, and a small stock of SCARCE."""
    admin = Client(port, History(), "admin")
    form = {"email": "admin@example.com", "password": DEMO_PASSWORD}
    signed_in = admin.ask("POST", "/api/sessions", form)
    if signed_in is None:
        raise InconclusiveRun(
            "The admin could not sign in to set the stock; see the logs in the shop's folder."
        )
    admin.headers = {"Authorization": f"Bearer {json.loads(signed_in.body)['token']}"}
    for skus, available in ((PLENTY, PLENTY_STOCK), (SCARCE, SCARCE_STOCK)):
        for sku in skus:
            if admin.ask("PUT", f"/api/inventory/{sku}", {"available": available}) is None:
                raise InconclusiveRun(
                    f"The admin could not set the stock of {sku}; see the logs in the shop's folder."
                )
    admin.close()


class Buyer(Customer):
    """Puts a product into the cart and checks out. After a final failure of the shop it tries again with a new key."""

    def __init__(self, port: int, history: History, rng: random.Random) -> None:
        super().__init__(port, history, "buyer", f"buyer-{uuid.uuid4().hex[:12]}")
        self._rng = rng

    def visit(self) -> None:
        """Buy one or two items of one product."""
        chosen = self._rng.choice(PLENTY if self._rng.random() < 0.9 else SCARCE)
        self.buy(chosen, self._rng.randint(1, 2), self._rng.choice(CARDS))

    def buy(self, sku: str, quantity: int = 1, card: str = GOOD_CARD) -> Outcome | None:
        """Returns the outcome of the purchase; None when the product could not be put into the cart."""
        if self.ask("PUT", f"/api/cart/items/{sku}", {"quantity": quantity}) is None:
            return None
        reply, outcome = self._pay(card)
        for _ in range(MAX_RETRIES):
            if outcome is not Outcome.FAILED:
                break
            time.sleep(reply.pause if reply else 0.0)
            reply, outcome = self._pay(card)
        self.history.record_outcome(self.persona, "the checkout", outcome, reply)
        if outcome is not Outcome.OK:
            # Otherwise the next purchase would include this product.
            self.ask("DELETE", f"/api/cart/items/{sku}")
        return outcome

    def _pay(self, card: str) -> tuple[Reply | None, Outcome]:
        key = f"chaos-{uuid.UUID(int=self._rng.getrandbits(128)).hex}"
        reply = self.check_out(key, card)
        if reply is None:
            return None, Outcome.UNKNOWN
        if reply.status == 201:
            if self._rng.random() < 0.1:  # a retry must get the same answer
                self.check_out(key, card)
            return reply, Outcome.OK
        by_rule = reply.status < 500 or reply.slug == "payment-timed-out"
        return reply, Outcome.REFUSED if by_rule else Outcome.FAILED


class Visitor(Client):
    """Requests pages or, as a widget, only recommendations."""

    def __init__(self, port: int, history: History, persona: str, rng: random.Random) -> None:
        super().__init__(port, history, persona)
        self._rng = rng

    def visit(self) -> None:
        """Request one page, or one list of recommendations."""
        sku = self._rng.choice(PLENTY)
        if self.persona == "widget":
            self.ask("GET", f"/api/products/{sku}/recommendations")
            return
        page = self._rng.choice(("/", f"/products/{sku}", "/search?q=a", f"/api/products/{sku}"))
        self.ask("GET", page)


class Load:
    """The threads of all customers; a context manager. `history` may be read at any time."""

    def __init__(
        self, port: int, seed: int = 1, personas: Sequence[tuple[str, int]] = tuple(PERSONAS.items())
    ) -> None:
        self.history = History()
        self.buyers: list[Buyer] = []
        self.errors: list[BaseException] = []
        self._end = threading.Event()
        visitors: list[Buyer | Visitor] = []
        for persona, count in personas:
            for number in range(count):
                rng = random.Random(f"{seed}:{persona}:{number}")  # noqa: S311 -- seeded, not a secret
                if persona == "buyer":
                    self.buyers.append(Buyer(port, self.history, rng))
                    visitors.append(self.buyers[-1])
                else:
                    visitors.append(Visitor(port, self.history, persona, rng))
        self._threads = [
            threading.Thread(
                target=self._repeat_visits, args=(visitor, visitor.visit, number), name=visitor.persona
            )
            for number, visitor in enumerate(visitors)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every customer finish the current action; returns when all have."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def resolve(self, seconds: float) -> None:
        """Retry all unresolved checkouts. Call it when the load has stopped and the shop is healthy."""
        until = time.monotonic() + seconds
        for buyer in self.buyers:
            buyer.resolve(until)

    def _repeat_visits(self, visitor: Client, visit: Callable[[], None], number: int) -> None:
        pauses = random.Random(number)  # noqa: S311
        try:
            while not self._end.wait(min(1.0, pauses.expovariate(1 / THINK_SECONDS))):
                visit()
        except Exception as error:  # noqa: BLE001 -- an error of this tool; the run ends with it
            self.errors.append(error)
        finally:
            visitor.close()
