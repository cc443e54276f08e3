"""Random histories of a shop: steps of customers, crashes, a bad network and other replicas in any order. The
invariants are checked after every step.

A step may have a fault at one of the boundaries that it passes: the process crashes, a request or an answer is lost or
late, or another action happens at that moment. Hypothesis makes the random choices, and shortens a history that
violates an invariant as far as it can.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar
from unittest.mock import patch

import requests
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from microservices.chaos.invariants import answers_match_orders, money_adds_up, stock_adds_up, violations_in
from microservices.chaos.snapshot import CONFIRMED, TERMINAL, ObservedCheckout, Snapshot
from microservices.orders import checkout
from microservices.tests.boundaries import Crash, in_transaction, installed
from microservices.tests.shops import CARD, DECLINED, SILENT, InProcessShop, Reply, observed

CUSTOMERS, SKUS = ("C00001", "C00002"), ("P00001", "P00002", "P00003")
FEW = 3
FINAL = frozenset({"cart-empty", "out-of-stock", "payment-declined", "payment-timed-out"})

customers, skus = st.sampled_from(CUSTOMERS), st.sampled_from(SKUS)
cards = st.sampled_from([CARD, CARD, CARD, DECLINED, SILENT])
RAISED = {"crash": Crash, "lost": requests.ConnectionError, "late": requests.ReadTimeout}
MEANWHILE = ["taken over", "retry", "second checkout", "more in the cart"]
kinds = st.sampled_from([*RAISED, *MEANWHILE])
faults = st.none() | st.tuples(kinds, st.integers(0, 5) | st.integers(0, 27))


@dataclass
class Purchase:
    """A checkout as its client knows it: the request, and the answer once it is final."""

    customer: str
    key: str
    card: str
    answer: Reply | None = None


@dataclass
class Fault:
    """Happens once: at the first boundary from number `at` on where its kind is possible."""

    kind: str
    at: int
    meanwhile: Callable[[], None]
    passed: int = 0
    happened: bool = False

    def __call__(self, name: str) -> None:
        """Called at each boundary."""
        self.passed += 1
        if self.happened or self.passed <= self.at or not self._is_possible(name):
            return
        self.happened = True
        if self.kind in RAISED:
            raise RAISED[self.kind]
        self.meanwhile()

    def _is_possible(self, name: str) -> bool:
        if self.kind in {"lost", "late"}:
            return " GET " in name or " POST " in name
        return self.kind == "crash" or (self.kind != "none" and not in_transaction())


@dataclass
class Tally:
    """Counts what happened in the histories, to check that they are not empty."""

    histories: int = 0
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[int | None] = field(default_factory=Counter)


class Histories(RuleBasedStateMachine):
    """One history; a subclass sets the shop."""

    shop: ClassVar[InProcessShop]
    depth: ClassVar[int]
    """The least number of boundaries that a checkout passes; a fault happens at one of so many."""
    tally: ClassVar[Tally]

    @initialize()
    def open(self) -> None:
        self.shop.restore_databases()
        self.shop.set_stock(SKUS[0], FEW)
        # So that a retry does not wait for the first request.
        self._no_waiting = patch.object(checkout, "KEEP_SECONDS", 60.0)
        self._no_waiting.start()
        self.purchases: list[Purchase] = []
        self.checkouts: list[ObservedCheckout] = []
        self.puts: Counter[tuple[str, str]] = Counter()
        self.disturbed = False
        self.unfinished: set[str] = set()
        self.tally.histories += 1

    def teardown(self) -> None:
        if hasattr(self, "purchases"):
            try:
                self.everybody_retries()
            finally:
                self._no_waiting.stop()

    @rule(customer=customers, sku=skus, quantity=st.integers(1, 3), fault=faults)
    def put(self, customer: str, sku: str, quantity: int, fault: tuple[str, int] | None) -> None:
        with self.step(fault):
            self._put(customer, sku, quantity)

    @rule(customer=customers, sku=skus)
    def take_out(self, customer: str, sku: str) -> None:
        with self.step(None):
            assert self.shop.ask(customer, "DELETE", f"/api/cart/items/{sku}").status == 204

    @rule(customer=customers, card=cards, fault=faults)
    def check_out(self, customer: str, card: str, fault: tuple[str, int] | None) -> None:
        purchase = self._new(customer, card)
        with self.step(fault, purchase):
            self._send(purchase)

    @rule(customer=customers, sku=skus, card=cards, fault=faults)
    def buy(self, customer: str, sku: str, card: str, fault: tuple[str, int] | None) -> None:
        with self.step(None):
            self._put(customer, sku, 1)
        self.check_out(customer, card, fault)

    @precondition(lambda self: self.purchases)
    @rule(which=st.integers(0, 99), fault=faults)
    def retry(self, which: int, fault: tuple[str, int] | None) -> None:
        purchase = self.purchases[-1 - which % len(self.purchases)]
        with self.step(fault, purchase):
            self._send(purchase)

    @precondition(lambda self: any(purchase.answer for purchase in self.purchases))
    @rule(which=st.integers(0, 99))
    def use_the_same_key_for_another_card(self, which: int) -> None:
        known = [purchase for purchase in self.purchases if purchase.answer]
        one = known[which % len(known)]
        other = DECLINED if one.card == CARD else CARD
        with self.step(None):
            assert self.shop.check_out(one.customer, one.key, other).status == 422

    @rule(available=st.integers(0, FEW))
    def set_the_stock(self, available: int) -> None:
        with self.step(None):
            self.shop.set_stock(SKUS[0], available)

    @rule(sku=skus, cents=st.integers(1, 5000))
    def change_the_price(self, sku: str, cents: int) -> None:
        with self.step(None):
            changed = self.shop.ask("admin", "PUT", f"/api/products/{sku}/price", {"price_cents": cents})
            assert changed.status == 200

    @rule(fault=faults)
    def another_replica_takes_over(self, fault: tuple[str, int] | None) -> None:
        with self.step(fault):
            self.shop.settle()

    @rule(fault=faults)
    def run_the_loops(self, fault: tuple[str, int] | None) -> None:
        with self.step(fault):
            self.shop.run_loops()

    @rule(seed=st.integers(0, 99))
    def events_come_again_in_any_order(self, seed: int) -> None:
        with self.step(None):
            self.shop.redeliver(random.Random(seed))

    @rule()
    def everybody_retries(self) -> None:
        """Without faults every checkout is decided within one recovery, and a retry gets the outcome."""
        self.shop.reset_memory()
        self.shop.settle()
        for purchase in self.purchases:
            self._send(purchase)
            assert purchase.answer is not None, f"{purchase.key} has no final answer"
        self.shop.settle()
        snapshot = self.shop.snapshot()
        assert violations_in(snapshot, self.checkouts) == []
        self._remember(snapshot)

    @invariant()
    def no_invariant_is_violated(self) -> None:
        snapshot = self.shop.snapshot()
        assert [
            *stock_adds_up(snapshot),
            *money_adds_up(snapshot),
            *answers_match_orders(snapshot, self.checkouts),
        ] == []
        new = _unfinished(snapshot) - self.unfinished
        assert self.disturbed or not new, f"unfinished without a fault: {new}"
        assert list(self._sold_more_often_than_put(snapshot)) == []
        self._remember(snapshot)

    def _remember(self, snapshot: Snapshot) -> None:
        self.unfinished = _unfinished(snapshot)
        self.disturbed = False

    @contextmanager
    def step(self, fault: tuple[str, int] | None, purchase: Purchase | None = None) -> Iterator[None]:
        """The context of one step: its fault may happen, and a crash ends only this step."""
        kind, at = fault or ("none", 0)
        at_boundary = Fault(kind, at % self.depth, lambda: self._meanwhile(kind, purchase))
        self.shop.reset_memory()
        with suppress(Crash), installed(at_boundary):
            yield
        self.disturbed |= at_boundary.happened
        self.tally.steps += 1
        self.tally.faults[kind] += at_boundary.happened

    def _meanwhile(self, kind: str, purchase: Purchase | None) -> None:
        """An action that happens at a boundary of another step."""
        customer = purchase.customer if purchase else CUSTOMERS[0]
        if kind == "taken over":
            self.shop.settle()
        elif kind == "retry" and purchase:
            self._send(purchase)
        elif kind == "second checkout":
            self._send(self._new(customer, CARD))
        else:
            self._put(customer, SKUS[1], 2)

    def _new(self, customer: str, card: str) -> Purchase:
        purchase = Purchase(customer, f"key-{len(self.purchases):08}", card)
        self.purchases.append(purchase)
        return purchase

    def _put(self, customer: str, sku: str, quantity: int) -> None:
        self.puts[customer, sku] += 1  # before the request: it may succeed without an answer
        self.shop.put_in_cart(customer, sku, quantity)

    def _send(self, purchase: Purchase) -> None:
        index = len(self.checkouts)
        self.checkouts.append(observed(purchase.customer, purchase.key, None))
        self.tally.answers[None] += 1
        reply = self.shop.check_out(purchase.customer, purchase.key, purchase.card)
        self.tally.answers.update({reply.status: 1, None: -1})
        assert reply.status != 500, reply.body
        self.checkouts[index] = observed(purchase.customer, purchase.key, reply)
        if purchase.answer is not None:
            assert (reply.status, reply.body) == (purchase.answer.status, purchase.answer.body)
        if reply.status == 201 or reply.replayed or reply.problem in FINAL:
            purchase.answer = reply

    def _sold_more_often_than_put(self, snapshot: Snapshot) -> Iterator[str]:
        """What was put into the cart once is in at most one confirmed order."""
        owner = {
            order["number"]: order["customer_id"]
            for order in snapshot.orders
            if order["key"] and _is_confirmed(order)
        }
        sold = Counter(
            (owner[line["order_number"]], line["sku"])
            for line in snapshot.order_lines
            if line["order_number"] in owner
        )
        for what, times in sold.items():
            if times > self.puts[what]:
                yield f"{what} was sold {times} times and put into the cart {self.puts[what]} times."


def _unfinished(snapshot: Snapshot) -> set[str]:
    return {order["id"] for order in snapshot.orders if order["step"] not in TERMINAL}


def _is_confirmed(order: dict[str, Any]) -> bool:
    return order["step"] in CONFIRMED
