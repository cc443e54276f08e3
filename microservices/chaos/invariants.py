"""What must hold in the shop, whatever fails: checked on the databases of all services and on the clients' records.

Each invariant is a function that returns one sentence for each violation, and none when it holds. I4, I5 and I6 hold
only once the shop has had time to settle. The others hold at any time; they do not compare the stock and money of an
unfinished checkout with its order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from microservices.chaos.snapshot import CONFIRMED, TERMINAL, Databases, ObservedCheckout, Snapshot


def stock_adds_up(snapshot: Snapshot, before: Snapshot | None = None) -> Iterator[str]:
    """I1: for each product received = available + reserved + sold, none is negative, and the orders account for them.

    `before` also requires that nothing was received since then; use it only if no admin has set the stock.
    """
    unfinished = {order["id"] for order in snapshot.orders if order["step"] in {"priced", "undoing"}}
    reserved = snapshot.reserved_for(snapshot.reservations)
    accounted = snapshot.quantities(snapshot.confirmed()) + snapshot.reserved_for(unfinished)
    for sku, stock in snapshot.stock.items():
        parts = (stock["available"], stock["reserved"], stock["sold"])
        if min(parts) < 0:
            yield f"{sku} has a negative number: available, reserved and sold are {parts}."
        if sum(parts) != stock["received"]:
            yield f"{sku}: {stock['received']} were received, but available, reserved and sold are {parts}."
        if stock["reserved"] != reserved[sku]:
            yield f"{sku}: {stock['reserved']} are reserved in the stock, {reserved[sku]} in the reservations."
        if stock["reserved"] + stock["sold"] != accounted[sku]:
            yield (
                f"{sku}: {stock['reserved'] + stock['sold']} are reserved or sold, "
                f"but the orders account for {accounted[sku]}."
            )
        if before is not None and stock["received"] != before.stock[sku]["received"]:
            yield f"{sku}: {before.stock[sku]['received']} were received before, {stock['received']} now."


def money_adds_up(snapshot: Snapshot) -> Iterator[str]:
    """I2: captured - refunded = the total of the confirmed orders; each was captured in full or not at all."""
    yield from payments_match_orders(snapshot)
    if all(order["step"] in TERMINAL for order in snapshot.orders):
        kept = sum(p["captured_cents"] - p["refunded_cents"] for p in snapshot.payments.values())
        cost = sum(order["total_cents"] for order in snapshot.confirmed())
        if kept != cost:
            yield f"{kept} were captured and not refunded, but the confirmed orders cost {cost}."


def payments_match_orders(snapshot: Snapshot) -> Iterator[str]:
    """The part of I2 that is about single orders."""
    for order in snapshot.orders:
        payment = snapshot.payments.get(order["id"], {"captured_cents": 0, "refunded_cents": 0})
        captured, refunded = payment["captured_cents"], payment["refunded_cents"]
        if captured not in {0, order["total_cents"]}:
            yield f"Order {order['id']} costs {order['total_cents']}, but {captured} were captured."
        if order["step"] in CONFIRMED and captured - refunded != order["total_cents"]:
            yield f"Order {order['id']} is confirmed for {order['total_cents']}, but {captured - refunded} were paid."
        if order["step"] == "undone" and captured != refunded:
            yield f"Order {order['id']} is rejected, but {captured - refunded} were not refunded."
    for unknown in snapshot.payments.keys() - {order["id"] for order in snapshot.orders}:
        yield f"There is a payment for {unknown}, which is no order."


def answers_match_orders(snapshot: Snapshot, observed: Iterable[ObservedCheckout]) -> Iterator[str]:
    """I3: one order for each key, and every order that a customer was told of exists once, with the told total."""
    keys = Counter((order["customer_id"], order["key"]) for order in snapshot.orders if order["key"])
    for (customer, key), count in keys.items():
        if count > 1:
            yield f"Customer {customer} has {count} orders with the key {key}."
    by_key = {(order["customer_id"], order["key"]): order for order in snapshot.orders}
    for one in observed:
        stored = by_key.get((one.customer_id, one.key))
        if one.status == 201 and one.order is not None:
            if stored is None or stored["id"] != one.order["id"] or stored["step"] not in CONFIRMED:
                yield f"The customer was told of order {one.order['id']}, but the database has {stored}."
            elif stored["total_cents"] != one.order["total_cents"]:
                yield f"Order {stored['id']} costs {stored['total_cents']}, but the customer was told another total."
        elif (one.status == 402 or one.final) and stored is not None and stored["step"] in CONFIRMED:
            yield f"The customer was told {one.status} for the key {one.key}, but order {stored['id']} is confirmed."


def retries_agree(observed: Iterable[ObservedCheckout]) -> Iterator[str]:
    """I5: retries with the same key get a final answer in the end, and all final answers to a key agree."""
    final_answers: dict[tuple[str, str], set[tuple[int | None, str]]] = {}
    for one in observed:
        answers = final_answers.setdefault((one.customer_id, one.key), set())
        if one.final:
            answers.add((one.status, str(one.order["id"]) if one.order else ""))
    for (customer, key), answers in final_answers.items():
        if not answers:
            yield f"Customer {customer} never got a final answer for the key {key}."
        if len(answers) > 1:
            yield f"Customer {customer} got different final answers for the key {key}: {sorted(answers, key=str)}."


def checkouts_are_decided(snapshot: Snapshot) -> Iterator[str]:
    """I4: no checkout is unfinished, and no item is still reserved."""
    steps = {order["id"]: order["step"] for order in snapshot.orders}
    for order_id, step in steps.items():
        if step not in TERMINAL:
            yield f"Order {order_id} is still {step}."
    for order_id, status in snapshot.reservations.items():
        if status == "reserved":
            yield f"Items are still reserved for order {order_id}, which is {steps.get(order_id, 'unknown')}."
        if status == "committed" and steps.get(order_id) not in CONFIRMED:
            yield f"Items were sold for order {order_id}, which is {steps.get(order_id, 'unknown')}."
        if status == "released" and steps.get(order_id) in CONFIRMED:
            yield f"Items were released for order {order_id}, which is confirmed."


def events_are_applied_once(snapshot: Snapshot) -> Iterator[str]:
    """I6: each confirmed order is in the outbox once, the outbox was read to its end, and each order counted once."""
    written = Counter(event["data"]["order_id"] for event in snapshot.outbox)
    confirmed = {order["id"] for order in snapshot.confirmed()}
    # Past orders have no key. They have events, except in the monolith's form of a snapshot.
    expected = {order["id"] for order in snapshot.confirmed() if order["key"]}
    for order_id in expected - written.keys():
        yield f"Order {order_id} is confirmed, but has no event."
    for order_id, count in written.items():
        if count > 1 or order_id not in confirmed:
            yield f"Order {order_id} has {count} events; confirmed: {order_id in confirmed}."
    last = snapshot.outbox[-1]["position"] if snapshot.outbox else 0
    if snapshot.feed_position != last:
        yield f"The outbox ends at {last}, but recommendations has read up to {snapshot.feed_position}."
    numbers = {order["number"] for order in snapshot.confirmed()}
    counted = Counter(line["sku"] for line in snapshot.order_lines if line["order_number"] in numbers)
    for sku in sorted(counted.keys() | snapshot.popularity.keys()):
        if counted[sku] != snapshot.popularity.get(sku, 0):
            yield f"{sku} is in {counted[sku]} orders, but recommendations counted {snapshot.popularity.get(sku, 0)}."


INVARIANTS: Mapping[str, Callable[[Snapshot], Iterator[str]]] = {
    "I1": stock_adds_up,
    "I2": money_adds_up,
    "I4": checkouts_are_decided,
    "I6": events_are_applied_once,
}

TITLES: Mapping[str, str] = {
    "I1": "stock adds up",
    "I2": "money adds up",
    "I3": "one order for each key, as answered",
    "I4": "every checkout is decided",
    "I5": "all final answers to a key agree",
    "I6": "each event is applied once",
}


def check_all(
    snapshot: Snapshot, observed: Iterable[ObservedCheckout] = (), before: Snapshot | None = None
) -> dict[str, list[str]]:
    """Violations by invariant, without I5.

    I5 (`retries_agree`) needs clients that retry until they get a final answer.
    """
    found = {name: list(check(snapshot)) for name, check in INVARIANTS.items()}
    found["I1"] = list(stock_adds_up(snapshot, before))
    found["I3"] = list(answers_match_orders(snapshot, observed))
    return dict(sorted(found.items()))


def violations(
    databases: Databases, observed: Iterable[ObservedCheckout] = (), before: Snapshot | None = None
) -> list[str]:
    """All violations at this moment, without I5; each with the invariant's name before it."""
    return violations_in(Snapshot.read(databases), observed, before)


def violations_in(
    snapshot: Snapshot, observed: Iterable[ObservedCheckout] = (), before: Snapshot | None = None
) -> list[str]:
    """The same for a snapshot that was taken before."""
    found = check_all(snapshot, observed, before)
    return [f"{name}: {sentence}" for name, sentences in found.items() for sentence in sentences]
