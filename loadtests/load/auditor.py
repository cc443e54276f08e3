"""Buys, and then looks how long the shop stays out of step with itself.

An order that was confirmed has three consequences that a customer can see: the cart is empty, the stock has gone down,
and the two products are recommended together. Each becomes a row of its own, `WAIT …`, from the confirmation to the
first look that saw it; one that is not seen in time is a row that failed. The looks themselves are not rows.
"""

import itertools
import time
import uuid
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

from locust import task
from locust.exception import StopUser

from loadtests.load.shelf import ShopNotThereError, read
from loadtests.load.visitor import APPROVED_CARD, Customer, opens

WITHIN_SECONDS = 8.0
LOOK_SECONDS = 0.02
"""Pause between two looks at everything that is still missing: what a wait can be told to."""
TAIL = 200
MOST = 20  # recommendations that one answer may have


class Auditor(Customer):
    """Orders a product that is hardly ever sold together with another, and checks the consequences."""

    persona = "auditor"
    weight = 0
    first_account = 2500
    _numbers = itertools.count()
    _tails: ClassVar[dict[str, list[str]]] = {}

    def on_start(self) -> None:
        super().on_start()
        if str(self.host) not in self._tails:
            self._tails[str(self.host)] = self._tail()

    @task
    @opens("PUT /api/cart/items/{sku}")
    def buy_and_watch(self) -> None:
        """Two products, an order, and then looking until everything agrees."""
        rare, other = self.rng.sample(self._tails[str(self.host)], 2)
        try:
            before = {sku: self._stock(sku) for sku in (rare, other)}
            known = self._goes_with(rare)
        except ShopNotThereError:
            return  # nothing was confirmed, so nothing can be out of step
        for sku in (rare, other):
            self.ask("PUT", f"/api/cart/items/{sku}", "/api/cart/items/{sku}", json={"quantity": 1})
        order = self.ask(
            "POST",
            "/api/orders",
            "/api/orders",
            json={"card_number": APPROVED_CARD},
            headers={"Idempotency-Key": uuid.uuid4().hex},
        )
        if not order.ok or order.status_code != 201:
            return
        waits: dict[str, Callable[[], bool]] = {
            "cart is empty": lambda: not self._look("/api/cart")["items"],
            "stock has gone down": lambda: all(self._stock(sku) < before[sku] for sku in before),
        }
        if other not in known and len(known) < MOST // 2:  # else the list might be full of others
            waits["recommended together"] = lambda: other in self._goes_with(rare)
        self._watch(waits)

    def _watch(self, waits: Mapping[str, Callable[[], bool]]) -> None:
        confirmed, waiting = time.time(), dict(waits)
        due = self.visit.intended if self.visit else None
        while waiting and time.time() < confirmed + WITHIN_SECONDS:
            for name in [name for name, seen in waiting.items() if _seen(seen)]:
                del waiting[name]
                self._note(name, confirmed, due, None)
            time.sleep(LOOK_SECONDS)
        for name in waiting:
            self._note(name, confirmed, due, TimeoutError(f"not within {WITHIN_SECONDS:.0f} s"))

    def _note(self, name: str, since: float, due: float | None, failure: Exception | None) -> None:
        """One row, as if the wait had been a request; all waits count from the same moment."""
        if self.visit:
            self.visit.intended = due
        self.environment.events.request.fire(
            request_type="WAIT",
            name=name,
            start_time=since,
            response_time=(time.time() - since) * 1000,
            response_length=0,
            response=SimpleNamespace(status_code=0 if failure else 200),
            context=self.context(),
            exception=failure,
        )

    def _tail(self) -> list[str]:
        """Products that are sold least."""
        total = int(self._look("/api/products?page_size=1")["total"])
        size = 100
        last = -(-total // size)
        pages = range(max(1, last - TAIL // size), last + 1)
        found = [
            each["sku"]
            for page in pages
            for each in self._look(f"/api/products?page={page}&page_size={size}")["items"]
        ]
        if len(found) < 2:
            raise StopUser(f"The shop at {self.host} sells too few products to watch.")
        return found

    def _stock(self, sku: str) -> int:
        return int(self._look(f"/api/inventory/{sku}")["available"])

    def _goes_with(self, sku: str) -> set[str]:
        # Asked without a name: what this customer has in the cart would bring other products in. Those without a score
        # only fill the list up.
        path = f"/api/products/{sku}/recommendations?limit={MOST}"
        return {each["sku"] for each in self._look(path, anonymous=True)["items"] if each["score"] > 0}

    def _look(self, path: str, *, anonymous: bool = False) -> Any:
        """Ask without leaving a row."""
        headers = {} if anonymous else self.headers()
        return read(str(self.host), path, headers, timeout=WITHIN_SECONDS)


def _seen(look: Callable[[], bool]) -> bool:
    """A look that fails has not seen it: services may be down, which is what is watched."""
    try:
        return look()
    except ShopNotThereError:
        return False
