"""What holds in the split shop whatever fails, read from the databases of all services and from what clients know.

Each invariant is a function that returns sentences, one for each time that it is broken; none when it holds. Only
who tests may look into all databases at once: no service can. I4 and I6 hold once the shop had time to settle, the
others always, except that stock and money of an unfinished checkout are not compared with its order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, NullPool, create_engine, make_url, text

CONFIRMED = frozenset({"paid", "settled"})
REJECTED = frozenset({"undoing", "undone"})
TERMINAL = frozenset({"settled", "undone"})
SERVICES = ("orders", "inventory", "payments", "recommendations")


class Databases:
    """The databases of a split shop, opened for reading."""

    def __init__(self, pattern: str) -> None:
        self._engines: dict[str, Engine] = {}
        for service in SERVICES:
            url = make_url(pattern.replace("{service}", service))
            if url.get_backend_name() == "postgresql":
                url = url.set(drivername="postgresql+psycopg")
            self._engines[service] = create_engine(url, poolclass=NullPool)

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """The SQLite files of a fleet's data folder."""
        return cls(f"sqlite:///{folder.absolute()}/{{service}}.sqlite3")

    def rows(self, service: str, query: str) -> list[dict[str, Any]]:
        """The rows of a query to one service's database."""
        with self._engines[service].connect() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]


@dataclass(frozen=True, slots=True)
class Told:
    """What a client knows of a checkout that it sent: the answer's status, or None when there was none."""

    customer_id: str
    key: str
    status: int | None
    order: Mapping[str, Any] | None = None
    final: bool = False
    """Whether this is the end of it by what docs/api.md says, as a refusal that is repeated for the key is."""


@dataclass(frozen=True, slots=True)
class Shop:
    """One look at all databases; take it while nobody writes, for the looks are one after the other."""

    orders: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    outbox: list[dict[str, Any]]
    stock: dict[str, dict[str, Any]]
    reservations: dict[str, str]
    reserved: list[dict[str, Any]]
    payments: dict[str, dict[str, Any]]
    popularity: dict[str, int]
    read_to: int

    @classmethod
    def look(cls, databases: Databases) -> Self:
        """Everything that the invariants are about."""
        rows = databases.rows
        position = rows("recommendations", "SELECT position FROM feed_position WHERE feed = 'orders'")
        outbox = rows("orders", "SELECT position, data FROM outbox ORDER BY position")
        return cls(
            orders=rows("orders", "SELECT number, id, customer_id, key, step, total_cents FROM orders"),
            lines=rows("orders", "SELECT order_number, sku, quantity FROM order_lines"),
            outbox=[{**row, "data": _parsed(row["data"])} for row in outbox],
            stock={row["sku"]: row for row in rows("inventory", "SELECT * FROM stock")},
            reservations={
                row["order_id"]: row["status"] for row in rows("inventory", "SELECT * FROM reservations")
            },
            reserved=rows("inventory", "SELECT * FROM reserved_lines"),
            payments={row["order_id"]: row for row in rows("payments", "SELECT * FROM payments")},
            popularity={
                row["sku"]: row["orders"]
                for row in rows("recommendations", "SELECT sku, orders FROM popularity")
            },
            read_to=position[0]["position"] if position else 0,
        )

    def confirmed(self) -> list[dict[str, Any]]:
        """The orders that stand."""
        return [order for order in self.orders if order["step"] in CONFIRMED]

    def pieces(self, orders: Iterable[dict[str, Any]]) -> Counter[str]:
        """How many pieces of each product these orders have."""
        numbers = {order["number"] for order in orders}
        pieces: Counter[str] = Counter()
        for line in self.lines:
            if line["order_number"] in numbers:
                pieces[line["sku"]] += line["quantity"]
        return pieces

    def held_for(self, order_ids: Iterable[str]) -> Counter[str]:
        """How many pieces of each product are reserved for these orders and not decided yet."""
        wanted, pieces = set(order_ids), Counter[str]()
        for line in self.reserved:
            if line["order_id"] in wanted and self.reservations[line["order_id"]] == "reserved":
                pieces[line["sku"]] += line["quantity"]
        return pieces


def stock_adds_up(shop: Shop, before: Shop | None = None) -> Iterator[str]:
    """I1: for each product received = available + reserved + sold, none below zero, and orders hold what left.

    With `before`, nothing was received since: good only while no admin has set the stock.
    """
    unfinished = {order["id"] for order in shop.orders if order["step"] in {"priced", "undoing"}}
    held = shop.held_for(shop.reservations)
    accounted = shop.pieces(shop.confirmed()) + shop.held_for(unfinished)
    for sku, stock in shop.stock.items():
        parts = (stock["available"], stock["reserved"], stock["sold"])
        if min(parts) < 0:
            yield f"{sku} has less than nothing: available, reserved and sold are {parts}."
        if sum(parts) != stock["received"]:
            yield f"{sku}: {stock['received']} were received, but {parts} are available, reserved and sold."
        if stock["reserved"] != held[sku]:
            yield f"{sku}: {stock['reserved']} count as reserved, the reservations hold {held[sku]}."
        if stock["reserved"] + stock["sold"] != accounted[sku]:
            yield (
                f"{sku}: {stock['reserved'] + stock['sold']} were taken out, "
                f"the orders account for {accounted[sku]}."
            )
        if before is not None and stock["received"] != before.stock[sku]["received"]:
            yield f"{sku}: {before.stock[sku]['received']} were received before, {stock['received']} now."


def money_adds_up(shop: Shop) -> Iterator[str]:
    """I2: captured - refunded is what the confirmed orders cost; for each order all of it or nothing was captured."""
    for order in shop.orders:
        payment = shop.payments.get(order["id"], {"captured_cents": 0, "refunded_cents": 0})
        captured, refunded = payment["captured_cents"], payment["refunded_cents"]
        if captured not in {0, order["total_cents"]}:
            yield f"Order {order['id']} costs {order['total_cents']}, but {captured} were captured."
        if order["step"] in CONFIRMED and captured - refunded != order["total_cents"]:
            yield f"Order {order['id']} is confirmed for {order['total_cents']} and paid with {captured - refunded}."
        if order["step"] == "undone" and captured != refunded:
            yield f"Order {order['id']} is rejected, and {captured - refunded} were kept."
    for stranger in shop.payments.keys() - {order["id"] for order in shop.orders}:
        yield f"Money was moved for {stranger}, which is no order."
    if all(order["step"] in TERMINAL for order in shop.orders):
        kept = sum(p["captured_cents"] - p["refunded_cents"] for p in shop.payments.values())
        cost = sum(order["total_cents"] for order in shop.confirmed())
        if kept != cost:
            yield f"{kept} were taken in all, and the confirmed orders cost {cost}."


def what_was_told_is_true(shop: Shop, told: Iterable[Told]) -> Iterator[str]:
    """I3: one order for each key, and whoever was told of an order has it exactly once, as it was told."""
    keys = Counter((order["customer_id"], order["key"]) for order in shop.orders if order["key"])
    for (customer, key), count in keys.items():
        if count > 1:
            yield f"Customer {customer} has {count} orders with the key {key}."
    by_key = {(order["customer_id"], order["key"]): order for order in shop.orders}
    for one in told:
        stored = by_key.get((one.customer_id, one.key))
        if one.status == 201 and one.order is not None:
            if stored is None or stored["id"] != one.order["id"] or stored["step"] not in CONFIRMED:
                yield f"The customer was told of order {one.order['id']}, and it is {stored}."
            elif stored["total_cents"] != one.order["total_cents"]:
                yield f"Order {stored['id']} costs {stored['total_cents']}, and was told otherwise."
        elif (one.status == 402 or one.final) and stored is not None and stored["step"] in CONFIRMED:
            yield f"The customer was told {one.status} for the key {one.key}, and order {stored['id']} stands."


def repeats_tell_one_outcome(told: Iterable[Told]) -> Iterator[str]:
    """I5: whoever repeats with the same key learns how the checkout ended, and hears the same every time."""
    ends: dict[tuple[str, str], set[tuple[int | None, str]]] = {}
    for one in told:
        end = ends.setdefault((one.customer_id, one.key), set())
        if one.final:
            end.add((one.status, str(one.order["id"]) if one.order else ""))
    for (customer, key), answers in ends.items():
        if not answers:
            yield f"Customer {customer} repeated the key {key} and never learnt how the checkout ended."
        if len(answers) > 1:
            yield f"Customer {customer} was told different ends of the key {key}: {sorted(answers, key=str)}."


def everything_is_decided(shop: Shop) -> Iterator[str]:
    """I4: no checkout is unfinished and no piece is left reserved."""
    steps = {order["id"]: order["step"] for order in shop.orders}
    for order_id, step in steps.items():
        if step not in TERMINAL:
            yield f"Order {order_id} is still {step}."
    for order_id, status in shop.reservations.items():
        if status == "reserved":
            yield f"Pieces are still reserved for order {order_id}, which is {steps.get(order_id, 'unknown')}."
        if status == "committed" and steps.get(order_id) not in CONFIRMED:
            yield f"Pieces were sold for order {order_id}, which is {steps.get(order_id, 'unknown')}."
        if status == "released" and steps.get(order_id) in CONFIRMED:
            yield f"Pieces were given back for order {order_id}, which is confirmed."


def events_had_their_effect_once(shop: Shop) -> Iterator[str]:
    """I6: each confirmed order is in the outbox once, the outbox was read to its end, each order counted once."""
    written = Counter(event["data"]["order_id"] for event in shop.outbox)
    expected = {order["id"] for order in shop.confirmed() if order["key"]}  # past orders have no key
    for order_id in expected - written.keys():
        yield f"Order {order_id} is confirmed, and no event says so."
    for order_id, count in written.items():
        if count > 1 or order_id not in expected:
            yield f"{count} events tell of order {order_id}; confirmed: {order_id in expected}."
    last = shop.outbox[-1]["position"] if shop.outbox else 0
    if shop.read_to != last:
        yield f"The outbox goes to {last}, and recommendations has read to {shop.read_to}."
    numbers = {order["number"] for order in shop.confirmed()}
    counted = Counter(line["sku"] for line in shop.lines if line["order_number"] in numbers)
    for sku in sorted(counted.keys() | shop.popularity.keys()):
        if counted[sku] != shop.popularity.get(sku, 0):
            yield f"{sku} is in {counted[sku]} orders, and recommendations counted {shop.popularity.get(sku, 0)}."


INVARIANTS: Mapping[str, Callable[[Shop], Iterator[str]]] = {
    "I1": stock_adds_up,
    "I2": money_adds_up,
    "I4": everything_is_decided,
    "I6": events_had_their_effect_once,
}


MEANINGS: Mapping[str, str] = {
    "I1": "stock adds up",
    "I2": "money adds up",
    "I3": "one order for each key, as it was told",
    "I4": "every checkout is decided",
    "I5": "a repeat tells the one true end",
    "I6": "each event had its effect once",
}


def table(shop: Shop, told: Iterable[Told] = (), before: Shop | None = None) -> dict[str, list[str]]:
    """Each invariant that one look can tell of, with the sentences about how it is broken.

    I5 needs clients that repeat until they know the end (`Told.final`), so `repeats_tell_one_outcome` is apart.
    """
    found = {name: list(check(shop)) for name, check in INVARIANTS.items()}
    found["I1"] = list(stock_adds_up(shop, before))
    found["I3"] = list(what_was_told_is_true(shop, told))
    return dict(sorted(found.items()))


def broken(databases: Databases, told: Iterable[Told] = (), before: Shop | None = None) -> list[str]:
    """All sentences about what does not hold now, each with the invariant's name before it."""
    return broken_in(Shop.look(databases), told, before)


def broken_in(shop: Shop, told: Iterable[Told] = (), before: Shop | None = None) -> list[str]:
    """The same, of a look that was taken before."""
    found = table(shop, told, before)
    return [f"{name}: {sentence}" for name, sentences in found.items() for sentence in sentences]


def _parsed(data: Any) -> Any:
    """A JSON column as SQLite's driver gives it, a text, or as PostgreSQL's does."""
    return json.loads(data) if isinstance(data, str) else data
