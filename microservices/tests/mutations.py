"""The mutations: each removes one protection of the shops, by replacing a piece of code.

The piece must occur exactly once in its file; test_mutants.py says when the list no longer fits the code. The tests
named with a mutation are those that must fail with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TESTS = "microservices/tests"
HISTORIES = f"{TESTS}/test_histories.py"
CRASHES = f"{TESTS}/test_crash_points.py"
RACES = f"{TESTS}/test_races.py"
EVENTS = f"{TESTS}/test_events_end_to_end.py"
STORAGE = f"{TESTS}/test_storage_faults.py"
AUTHORISATION = f"{TESTS}/test_authorisation.py"
CHECKOUT = "microservices/orders/tests"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One protection and the code that removes it."""

    what: str
    """The name of the protection."""
    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]
    """Test files, or folders of them."""
    database: Literal["any", "postgresql"] = "any"
    """The database on which it has an effect. SQLite's single writer gives some protections by itself."""


MUTATIONS = (
    Mutation(
        "monolith: BEGIN IMMEDIATE",
        "monolith/chassis/database.py",
        'db.exec_driver_sql("BEGIN IMMEDIATE")',
        'db.exec_driver_sql("BEGIN")',
        (RACES, "monolith/tests/test_checkout.py"),
    ),
    Mutation(
        "split: BEGIN IMMEDIATE",
        "microservices/chassis/database.py",
        'db.exec_driver_sql("BEGIN IMMEDIATE")',
        'db.exec_driver_sql("BEGIN")',
        (RACES,),
    ),
    Mutation(
        "monolith: an idempotency key is unique",
        "monolith/orders/models.py",
        "    customer_id: Mapped[str] = mapped_column(String(32), primary_key=True)\n"
        "    key: Mapped[str] = mapped_column(String(64), primary_key=True)",
        "    row: Mapped[int] = mapped_column(primary_key=True)\n"
        "    customer_id: Mapped[str] = mapped_column(String(32))\n"
        "    key: Mapped[str] = mapped_column(String(64))",
        (RACES,),
        "postgresql",
    ),
    Mutation(
        "split: an idempotency key is unique",
        "microservices/orders/models.py",
        '        UniqueConstraint("customer_id", "key", name="one_order_for_each_key"),\n',
        "",
        (RACES,),
    ),
    Mutation(
        "monolith: the answer is looked up by key",
        "monolith/orders/checkout.py",
        "        if earlier is not None:\n            return _repeat(earlier, fingerprint)",
        "        if earlier is not None and earlier.fingerprint != fingerprint:\n"
        "            return _repeat(earlier, fingerprint)",
        (RACES,),
    ),
    Mutation(
        "monolith: a key belongs to one body",
        "monolith/orders/checkout.py",
        "    if earlier.fingerprint != fingerprint:",
        "    if False:",
        (RACES,),
    ),
    Mutation(
        "split: a key belongs to one body",
        "microservices/orders/checkout.py",
        "    if earlier.fingerprint != claim.fingerprint:",
        "    if False:",
        (RACES,),
    ),
    Mutation(
        "monolith: a refused order is rolled back",
        "monolith/orders/checkout.py",
        "            with db.begin_nested():\n                outcome",
        "            if True:\n                outcome",
        (HISTORIES, CRASHES),
    ),
    Mutation(
        "split: the refund of a refused order",
        "microservices/orders/checkout.py",
        "    undone = [_is_undone(order, clients.refund), _is_undone(order, clients.release_reservation)]",
        "    undone = [_is_undone(order, clients.release_reservation)]",
        (CRASHES,),
    ),
    Mutation(
        "split: the release of a refused order's stock",
        "microservices/orders/checkout.py",
        "    undone = [_is_undone(order, clients.refund), _is_undone(order, clients.release_reservation)]",
        "    undone = [_is_undone(order, clients.refund)]",
        (CRASHES,),
    ),
    Mutation(
        "split: an undo that fails is not done",
        "microservices/orders/checkout.py",
        "    if all(undone):",
        "    if undone:",
        (CRASHES, CHECKOUT),
    ),
    Mutation(
        "split: unfinished checkouts are taken over",
        "microservices/orders/app.py",
        '    add_loop(app, "recovery", recover, RECOVERY_SECONDS)\n',
        "",
        (CRASHES,),
    ),
    Mutation(
        "split: a step is taken only from the one expected",
        "microservices/orders/store.py",
        '    .where(Order.id == bindparam("b_id"), Order.step == bindparam("b_step"))',
        '    .where(Order.id == bindparam("b_id"), Order.step + "!" != bindparam("b_step"))',
        (HISTORIES, CHECKOUT),
    ),
    Mutation(
        "split: one checkout of a customer at a time",
        "microservices/orders/models.py",
        "            unique=True,\n            sqlite_where",
        "            unique=False,\n            sqlite_where",
        (RACES,),
        "postgresql",
    ),
    Mutation(
        "split: a cart that was read before another checkout is not sold",
        "microservices/orders/store.py",
        '        if db.execute(NEWEST, {"customer_id": claim.customer_id}).scalar() != newest:',
        "        if newest is False:",
        (RACES,),
    ),
    Mutation(
        "split: a cart that another checkout is selling is not read",
        "microservices/orders/store.py",
        "    if newest is not None and newest.step in SELLING:",
        "    if newest is False:",
        (RACES,),
    ),
    Mutation(
        "split: the event is in the order's transaction",
        "microservices/orders/store.py",
        "        if number is not None:\n"
        "            publish(db, Outbox, CONFIRMED_EVENT, event(order, number))",
        "    if number is not None:\n"
        "        with writing() as db:\n"
        "            publish(db, Outbox, CONFIRMED_EVENT, event(order, number))",
        (CRASHES, CHECKOUT),
    ),
    Mutation(
        "split: the outbox's writers take turns",
        "microservices/chassis/events.py",
        '    if db.dialect.name == "postgresql":',
        "    if False:",
        (EVENTS,),
        "postgresql",
    ),
    Mutation(
        "split: an event counts once",
        "microservices/chassis/events.py",
        '            if event["position"] > position:',
        "            if True:",
        (EVENTS,),
    ),
    Mutation(
        "split: a reader that is ahead of a restored feed starts over",
        "microservices/chassis/events.py",
        "        if newest < position:",
        "        if False:",
        (EVENTS,),
    ),
    Mutation(
        "monolith: an order is learnt from once",
        "monolith/recommendations/learning.py",
        "    position = upsert(dialect, FeedPosition).values(id=1, position=orders[-1].number)",
        "    position = upsert(dialect, FeedPosition).values(id=1, position=orders[0].number)",
        (EVENTS,),
    ),
    Mutation(
        "monolith: replicas learn one after the other",
        "monolith/recommendations/learning.py",
        "        orders = _next_orders(db, _position(db, lock=True))",
        "        orders = _next_orders(db, _position(db))",
        (EVENTS,),
        "postgresql",
    ),
    Mutation(
        "monolith: stock is sold only where there is enough",
        "monolith/inventory/service.py",
        "    .where(THESE, Stock.available >= QUANTITY)",
        "    .where(THESE)",
        (RACES,),
    ),
    Mutation(
        "split: stock is reserved only where there is enough",
        "microservices/inventory/service.py",
        "    .where(THESE, Stock.available >= QUANTITY)",
        "    .where(THESE)",
        (RACES,),
    ),
    Mutation(
        "split: a reservation counts once",
        "microservices/inventory/service.py",
        "    if is_new:",
        "    if True:",
        (HISTORIES, "microservices/inventory/tests"),
    ),
    Mutation(
        "split: a release is remembered for a request that is still on its way",
        "microservices/inventory/service.py",
        "    _store(db, order_id, Status.RELEASED)\n    status = _find(db, order_id)",
        "    status = db.execute(STATUS, {'order_id': order_id}).scalar() or Status.RELEASED",
        (CRASHES,),
    ),
    Mutation(
        "split: a refund is remembered for a request that is still on its way",
        "microservices/payments/service.py",
        "    _store(db, order_id, Status.REFUNDED, 0)\n    refunded_cents = db.execute(refund).scalar_one()",
        "    refunded_cents = db.execute(refund).scalar() or 0",
        (CRASHES,),
    ),
    Mutation(
        "split: a call ends at its deadline",
        "microservices/chassis/deadline.py",
        "Timeout(connect=CONNECT_SECONDS, total=timeout)",
        "Timeout(connect=CONNECT_SECONDS, total=60.0)",
        ("microservices/chassis/tests/test_client.py",),
    ),
    Mutation(
        "split: a request's deadline holds for the calls that it makes",
        "microservices/chassis/client.py",
        "deadline if here is None else min(deadline, here.deadline)",
        "deadline",
        ("microservices/chassis/tests/test_client.py",),
    ),
    Mutation(
        "monolith: nobody waits for a lock for ever",
        "monolith/chassis/database.py",
        '{"options": f"-c lock_timeout={LOCK_TIMEOUT_MS}"}',
        "{}",
        (STORAGE,),
        "postgresql",
    ),
    Mutation(
        "split: nobody waits for a lock for ever",
        "microservices/chassis/database.py",
        '{"options": f"-c lock_timeout={LOCK_TIMEOUT_MS}"}',
        "{}",
        (STORAGE,),
        "postgresql",
    ),
    Mutation(
        "monolith: an order is shown to its owner only",
        "monolith/orders/service.py",
        'MINE = Order.customer_id == bindparam("customer_id")',
        'MINE = Order.customer_id == func.coalesce(Order.customer_id, bindparam("customer_id"))',
        (AUTHORISATION,),
    ),
    Mutation(
        "split: an order is shown to its owner only",
        "microservices/orders/service.py",
        'MINE = and_(Order.customer_id == bindparam("customer_id"),',
        'MINE = and_(Order.customer_id == func.coalesce(Order.customer_id, bindparam("customer_id")),',
        (AUTHORISATION,),
    ),
    Mutation(
        "monolith: a token is for this audience",
        "monolith/chassis/tokens.py",
        'options={"require": ["sub", "exp", "iat"]}',
        'options={"require": ["sub", "exp", "iat"], "verify_aud": False}',
        (AUTHORISATION,),
    ),
    Mutation(
        "split: a customer's token is for this audience",
        "microservices/chassis/tokens.py",
        'options={"require": ["sub", "exp", "iat"]}',
        'options={"require": ["sub", "exp", "iat"], "verify_aud": False}',
        (AUTHORISATION,),
    ),
    Mutation(
        "split: a service's token is for the one it calls",
        "microservices/chassis/tokens.py",
        'options={"require": ["exp", "iat"]}',
        'options={"require": ["exp", "iat"], "verify_aud": False}',
        (AUTHORISATION, "microservices/chassis/tests/test_tokens.py"),
    ),
)
