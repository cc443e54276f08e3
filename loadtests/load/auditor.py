"""The auditor: a persona that buys, and then measures how long the shop stays inconsistent.

A confirmed order has three effects that a customer can see: the cart is empty, the stock is lower, and the two products
are recommended together. Each effect is a row of its own in the log, `WAIT …`. It lasts from the confirmation to the
first poll that sees the effect, and fails if none does in time. The polls themselves are not logged.
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
from loadtests.load.visitor import APPROVED_CARD, Customer, first_request

MAX_WAIT_SECONDS = 8.0
POLL_SECONDS = 0.02
"""The pause between two polls, and so the resolution of a wait."""
RARELY_SOLD = 200
MAX_RECOMMENDATIONS = 20  # of one response


class Auditor(Customer):
    """Orders two products that are hardly ever sold together, and polls for the effects."""

    persona = "auditor"
    weight = 0
    first_account = 2500
    _numbers = itertools.count()
    _rare: ClassVar[dict[str, list[str]]] = {}

    def on_start(self) -> None:
        super().on_start()
        if str(self.host) not in self._rare:
            self._rare[str(self.host)] = self._rarely_sold()

    @task
    @first_request("PUT /api/cart/items/{sku}")
    def buy_and_watch(self) -> None:
        """Put two products into the cart, order them, and poll until all effects are seen."""
        rare, other = self.rng.sample(self._rare[str(self.host)], 2)
        try:
            before = {sku: self._stock(sku) for sku in (rare, other)}
            known = self._goes_with(rare)
        except ShopNotThereError:
            return  # nothing was confirmed, so nothing can be inconsistent
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
        # A fuller list might have no room for it.
        if other not in known and len(known) < MAX_RECOMMENDATIONS // 2:
            waits["recommended together"] = lambda: other in self._goes_with(rare)
        self._watch(waits)

    def _watch(self, waits: Mapping[str, Callable[[], bool]]) -> None:
        """Poll until every condition holds or the time is over, and log each wait."""
        confirmed, waiting = time.time(), dict(waits)
        due = self.visit.intended if self.visit else None
        while waiting and time.time() < confirmed + MAX_WAIT_SECONDS:
            for name in [name for name, seen in waiting.items() if _seen(seen)]:
                del waiting[name]
                self._note(name, confirmed, due, None)
            time.sleep(POLL_SECONDS)
        for name in waiting:
            self._note(name, confirmed, due, TimeoutError(f"not within {MAX_WAIT_SECONDS:.0f} s"))

    def _note(self, name: str, since: float, due: float | None, failure: Exception | None) -> None:
        """Log a wait as if it were a request. All waits of a visit count from the same time."""
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

    def _rarely_sold(self) -> list[str]:
        """The SKUs at the end of the bestseller list."""
        total = int(self._look("/api/products?page_size=1")["total"])
        size = 100
        last = -(-total // size)
        pages = range(max(1, last - RARELY_SOLD // size), last + 1)
        found = [
            each["sku"]
            for page in pages
            for each in self._look(f"/api/products?page={page}&page_size={size}")["items"]
        ]
        if len(found) < 2:
            raise StopUser(f"The shop at {self.host} sells too few products for the auditor.")
        return found

    def _stock(self, sku: str) -> int:
        return int(self._look(f"/api/inventory/{sku}")["available"])

    def _goes_with(self, sku: str) -> set[str]:
        # An anonymous request: a customer's cart would add other products. Products without a score only fill the
        # list.
        path = f"/api/products/{sku}/recommendations?limit={MAX_RECOMMENDATIONS}"
        return {each["sku"] for each in self._look(path, anonymous=True)["items"] if each["score"] > 0}

    def _look(self, path: str, *, anonymous: bool = False) -> Any:
        """Read from the shop without a row in the log."""
        headers = {} if anonymous else self.headers()
        return read(str(self.host), path, headers, timeout=MAX_WAIT_SECONDS)


def _seen(look: Callable[[], bool]) -> bool:
    """Whether the poll saw the effect. A failed poll did not: a service may be down, which is what is measured."""
    try:
        return look()
    except ShopNotThereError:
        return False
