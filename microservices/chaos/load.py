"""Customers of all kinds who use the shop while it is broken: some look around, some buy, all remember.

The load is modest on purpose, some sixty requests a second with pauses between them: what is tested is the truth of
the answers, and a machine at its limit would hide a slow recovery behind slow everything.
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

from microservices.chaos.client import REPEATS, Client, Customer, History, NotServed, Outcome, Reply

THINKING_SECONDS = 0.12
"""The mean pause of a customer between two things."""
PLENTY, SCARCE = [f"P{number:05}" for number in range(4, 24)], ["P00001", "P00002", "P00003"]
FEW, MANY = 40, 1_000_000
GOOD_CARD, BAD_CARD, SILENT_CARD = "4242424242424242", "4000000000000002", "4000000000000119"
CARDS = (GOOD_CARD,) * 16 + (BAD_CARD,) * 3 + (SILENT_CARD,)
CROWD = {"browser": 3, "widget": 2, "buyer": 5}
DEMO_PASSWORD = "correct-horse-battery"  # noqa: S105 -- every seeded account's, printed in the docs


def stock_up(port: int) -> None:
    """Have so much of most products that a run does not sell out, and little of a few that everybody wants."""
    admin = Client(port, History(), "admin")
    form = {"email": "admin@example.com", "password": DEMO_PASSWORD}
    signed_in = admin.ask("POST", "/api/sessions", form)
    if signed_in is None:
        raise NotServed("The admin could not sign in to fill the shelves; see the logs in the shop's folder.")
    admin.headers = {"Authorization": f"Bearer {json.loads(signed_in.body)['token']}"}
    for skus, available in ((PLENTY, MANY), (SCARCE, FEW)):
        for sku in skus:
            if admin.ask("PUT", f"/api/inventory/{sku}", {"available": available}) is None:
                raise NotServed(
                    f"The admin could not fill the shelf of {sku}; see the logs in the shop's folder."
                )
    admin.close()


class Buyer(Customer):
    """Puts something into the cart and pays; after a refusal that was the shop's fault, again with a new key."""

    def __init__(self, port: int, history: History, rng: random.Random) -> None:
        super().__init__(port, history, "buyer", f"buyer-{uuid.uuid4().hex[:12]}")
        self._rng = rng

    def visit(self) -> None:
        """Buy one or two pieces of one product."""
        chosen = self._rng.choice(PLENTY if self._rng.random() < 0.9 else SCARCE)
        self.buy(chosen, self._rng.randint(1, 2), self._rng.choice(CARDS))

    def buy(self, sku: str, quantity: int = 1, card: str = GOOD_CARD) -> Outcome | None:
        """How the purchase ended; None when not even the cart could be filled."""
        if self.ask("PUT", f"/api/cart/items/{sku}", {"quantity": quantity}) is None:
            return None
        reply, outcome = self._pay(card)
        for _ in range(REPEATS):
            if outcome is not Outcome.FAILED:
                break
            time.sleep(reply.pause if reply else 0.0)
            reply, outcome = self._pay(card)
        self.history.counted(self.persona, "the checkout", outcome, reply)
        if (
            outcome is not Outcome.OK
        ):  # what nobody sells or pays for must not be in the way of the next purchase
            self.ask("DELETE", f"/api/cart/items/{sku}")
        return outcome

    def _pay(self, card: str) -> tuple[Reply | None, Outcome]:
        key = f"chaos-{uuid.UUID(int=self._rng.getrandbits(128)).hex}"
        reply = self.check_out(key, card)
        if reply is None:
            return None, Outcome.UNKNOWN
        if reply.status == 201:
            if self._rng.random() < 0.1:  # whoever asks again hears the same
                self.check_out(key, card)
            return reply, Outcome.OK
        by_rule = reply.status < 500 or reply.slug == "payment-timed-out"
        return reply, Outcome.REFUSED if by_rule else Outcome.FAILED


class Onlooker(Client):
    """Asks for pages, or only for what goes well with a product."""

    def __init__(self, port: int, history: History, persona: str, rng: random.Random) -> None:
        super().__init__(port, history, persona)
        self._rng = rng

    def visit(self) -> None:
        """One page, or one list."""
        sku = self._rng.choice(PLENTY)
        if self.persona == "widget":
            self.ask("GET", f"/api/products/{sku}/recommendations")
            return
        page = self._rng.choice(("/", f"/products/{sku}", "/search?q=a", f"/api/products/{sku}"))
        self.ask("GET", page)


class Load:
    """Threads of customers; a context manager. `history` may be read at any time."""

    def __init__(
        self, port: int, seed: int = 1, crowd: Sequence[tuple[str, int]] = tuple(CROWD.items())
    ) -> None:
        self.history = History()
        self.buyers: list[Buyer] = []
        self.errors: list[BaseException] = []
        self._end = threading.Event()
        visitors: list[Buyer | Onlooker] = []
        for persona, count in crowd:
            for number in range(count):
                rng = random.Random(f"{seed}:{persona}:{number}")  # noqa: S311 -- seeded choices hide nothing
                if persona == "buyer":
                    self.buyers.append(Buyer(port, self.history, rng))
                    visitors.append(self.buyers[-1])
                else:
                    visitors.append(Onlooker(port, self.history, persona, rng))
        self._threads = [
            threading.Thread(target=self._visits, args=(visitor, visitor.visit, number), name=visitor.persona)
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
        """Let everybody finish what they are at, and return when they have."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def resolve(self, seconds: float) -> None:
        """Once the shop is well and the load has stopped: ask about all checkouts whose end is not known."""
        until = time.monotonic() + seconds
        for buyer in self.buyers:
            buyer.resolve(until)

    def _visits(self, visitor: Client, visit: Callable[[], None], number: int) -> None:
        pauses = random.Random(number)  # noqa: S311
        try:
            while not self._end.wait(min(1.0, pauses.expovariate(1 / THINKING_SECONDS))):
                visit()
        except Exception as error:  # noqa: BLE001 -- a customer's mistake is the tool's; the run ends and says so
            self.errors.append(error)
        finally:
            visitor.close()
