"""Random histories of a shop: customers, crashes, a bad network, other replicas, in any order, and the invariants
looked at after every step.

A step may have a fault, which strikes at one of the boundaries that it passes: the process crashes, a request or an
answer is lost or comes too late, or something else happens just then. What is random is drawn by Hypothesis, which
makes a history that breaks something as short as it can.
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

from microservices.chaos.invariants import (
    CONFIRMED,
    TERMINAL,
    Shop,
    Told,
    broken_in,
    money_adds_up,
    stock_adds_up,
    what_was_told_is_true,
)
from microservices.orders import checkout
from microservices.tests.boundaries import Crash, in_transaction, installed
from microservices.tests.shops import CARD, DECLINED, SILENT, InProcess, Reply

CUSTOMERS, SKUS = ("C00001", "C00002"), ("P00001", "P00002", "P00003")
FEW = 3
FINAL = frozenset({"cart-empty", "out-of-stock", "payment-declined", "payment-timed-out"})

customers, skus = st.sampled_from(CUSTOMERS), st.sampled_from(SKUS)
cards = st.sampled_from([CARD, CARD, CARD, DECLINED, SILENT])
RAISED = {"crash": Crash, "lost": requests.ConnectionError, "late": requests.ReadTimeout}
MEANWHILE = ["taken for dead", "repeat", "second checkout", "more in the cart"]
kinds = st.sampled_from([*RAISED, *MEANWHILE])
faults = st.none() | st.tuples(kinds, st.integers(0, 5) | st.integers(0, 27))


@dataclass
class Purchase:
    """A checkout as its client knows it: what was sent, and the answer once it is final."""

    customer: str
    key: str
    card: str
    answer: Reply | None = None


@dataclass
class Fault:
    """Strikes once, at the first boundary from number `at` where its kind makes sense."""

    kind: str
    at: int
    meanwhile: Callable[[], None]
    passed: int = 0
    struck: bool = False

    def __call__(self, name: str) -> None:
        """Visit a boundary."""
        self.passed += 1
        if self.struck or self.passed <= self.at or not self._makes_sense(name):
            return
        self.struck = True
        if self.kind in RAISED:
            raise RAISED[self.kind]
        self.meanwhile()

    def _makes_sense(self, name: str) -> bool:
        if self.kind in {"lost", "late"}:
            return " GET " in name or " POST " in name
        return self.kind == "crash" or (self.kind != "none" and not in_transaction())


@dataclass
class Tally:
    """What histories consisted of, to see that they are not empty."""

    histories: int = 0
    steps: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    answers: Counter[int | None] = field(default_factory=Counter)


class Histories(RuleBasedStateMachine):
    """One history; a subclass says of which shop."""

    shop: ClassVar[InProcess]
    depth: ClassVar[int]
    """How many boundaries a checkout passes at least; a fault strikes at one of so many."""
    tally: ClassVar[Tally]

    @initialize()
    def open(self) -> None:
        self.shop.rewind()
        self.shop.stock(SKUS[0], FEW)
        self._impatient = patch.object(checkout, "KEEP_SECONDS", 60.0)  # a repeat does not wait for the first
        self._impatient.start()
        self.purchases: list[Purchase] = []
        self.told: list[Told] = []
        self.puts: Counter[tuple[str, str]] = Counter()
        self.disturbed = False
        self.unfinished: set[str] = set()
        self.tally.histories += 1

    def teardown(self) -> None:
        if hasattr(self, "purchases"):
            try:
                self.everybody_asks_again()
            finally:
                self._impatient.stop()

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
    def ask_again(self, which: int, fault: tuple[str, int] | None) -> None:
        purchase = self.purchases[-1 - which % len(self.purchases)]
        with self.step(fault, purchase):
            self._send(purchase)

    @precondition(lambda self: any(purchase.answer for purchase in self.purchases))
    @rule(which=st.integers(0, 99))
    def ask_with_the_same_key_for_something_else(self, which: int) -> None:
        known = [purchase for purchase in self.purchases if purchase.answer]
        one = known[which % len(known)]
        other = DECLINED if one.card == CARD else CARD
        with self.step(None):
            assert self.shop.check_out(one.customer, one.key, other).status == 422

    @rule(available=st.integers(0, FEW))
    def count_the_stock(self, available: int) -> None:
        with self.step(None):
            self.shop.stock(SKUS[0], available)

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
    def take_a_turn(self, fault: tuple[str, int] | None) -> None:
        with self.step(fault):
            self.shop.work()

    @rule(seed=st.integers(0, 99))
    def events_come_again_in_any_order(self, seed: int) -> None:
        with self.step(None):
            self.shop.redeliver(random.Random(seed))

    @rule()
    def everybody_asks_again(self) -> None:
        """The faults are over: within one recovery everything is decided, and who asks is told what became of it."""
        self.shop.forget()
        self.shop.settle()
        for purchase in self.purchases:
            self._send(purchase)
            assert purchase.answer is not None, f"{purchase.key} has no final answer"
        self.shop.settle()
        look = self.shop.look()
        assert broken_in(look, self.told) == []
        self._remember(look)

    @invariant()
    def nothing_is_broken(self) -> None:
        look = self.shop.look()
        assert [*stock_adds_up(look), *money_adds_up(look), *what_was_told_is_true(look, self.told)] == []
        new = _unfinished(look) - self.unfinished
        assert self.disturbed or not new, f"unfinished although nothing happened: {new}"
        assert list(self._sold_without_a_cart(look)) == []
        self._remember(look)

    def _remember(self, look: Shop) -> None:
        self.unfinished = _unfinished(look)
        self.disturbed = False

    @contextmanager
    def step(self, fault: tuple[str, int] | None, purchase: Purchase | None = None) -> Iterator[None]:
        """The surroundings of one step: its fault may strike, and a crash ends no more than the step."""
        kind, at = fault or ("none", 0)
        strike = Fault(kind, at % self.depth, lambda: self._meanwhile(kind, purchase))
        self.shop.forget()
        with suppress(Crash), installed(strike):
            yield
        self.disturbed |= strike.struck
        self.tally.steps += 1
        self.tally.struck[kind] += strike.struck

    def _meanwhile(self, kind: str, purchase: Purchase | None) -> None:
        """What happens at a boundary of another step."""
        customer = purchase.customer if purchase else CUSTOMERS[0]
        if kind == "taken for dead":
            self.shop.settle()
        elif kind == "repeat" and purchase:
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
        self.puts[customer, sku] += 1  # before: whoever is not answered may have put it in all the same
        self.shop.put(customer, sku, quantity)

    def _send(self, purchase: Purchase) -> None:
        told = len(self.told)
        self.told.append(Told(purchase.customer, purchase.key, None))
        self.tally.answers[None] += 1
        reply = self.shop.check_out(purchase.customer, purchase.key, purchase.card)
        self.tally.answers.update({reply.status: 1, None: -1})
        assert reply.status != 500, reply.body
        self.told[told] = Told(
            purchase.customer, purchase.key, reply.status, reply.body if reply.status == 201 else None
        )
        if purchase.answer is not None:
            assert (reply.status, reply.body) == (purchase.answer.status, purchase.answer.body)
        if reply.status == 201 or reply.replayed or reply.body["type"].rpartition("/")[2] in FINAL:
            purchase.answer = reply

    def _sold_without_a_cart(self, look: Shop) -> Iterator[str]:
        """What was put into the cart once is in one confirmed order at most."""
        owner = {
            order["number"]: order["customer_id"] for order in look.orders if order["key"] and _stands(order)
        }
        sold = Counter(
            (owner[line["order_number"]], line["sku"]) for line in look.lines if line["order_number"] in owner
        )
        for what, times in sold.items():
            if times > self.puts[what]:
                yield f"{what} was sold {times} times and put into the cart {self.puts[what]} times."


def _unfinished(look: Shop) -> set[str]:
    return {order["id"] for order in look.orders if order["step"] not in TERMINAL}


def _stands(order: dict[str, Any]) -> bool:
    return order["step"] in CONFIRMED
