"""12: a checkout over two databases: whatever fails in between, stock, orders and money agree in the end."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from exercises.checks.checking import Answer, Bench, NotYet, Shop, Visitor, check
from exercises.checks.locking import longest_lock
from exercises.checks.relay import Call, Relay, Rule, pass_on
from exercises.checks.solo import Solo
from microservices.chaos.invariants import checkouts_are_decided, payments_match_orders, stock_adds_up
from microservices.chaos.pause import paused_processes
from microservices.chaos.snapshot import Snapshot
from microservices.chaos.standin import LOSE
from microservices.chaos.standin import Answer as Said
from microservices.launcher import LauncherError

SERVICE, MONOLITH = "inventory", "monolith"
CHECKOUT, STORE, CLIENT = (
    "monolith/orders/checkout.py",
    "monolith/orders/store.py",
    "monolith/inventory/client.py",
)
APPROVED, DECLINED, SILENT = "4242424242424242", "4000000000000002", "4000000000000119"
THREADS = "8"
"""Requests that the monolith works on at a time: as many as a check holds."""
PIECES = 5
"""In stock of each product that a check buys."""
AGREE_SECONDS, WAIT_SECONDS, BUSY_SECONDS = 15, 18.0, 25.0
"""What the README promises after a failure; how long a check waits for it, and how long on a busy machine."""
HELD_SECONDS = 0.7
"""A call may be held for so long. The client gives up after a second."""
READY_SECONDS = 40.0
STANDS_SECONDS, AFTERWARDS_SECONDS = 0.5, 2.0
"""Until a process waits for a lock; and for what it does when it goes on."""
MAX_LOCKED_SECONDS = 0.3
"""A transaction that does not wait for the inventory takes less, or less than half of the request on a busy machine."""
BUYERS, BUY_EACH = 4, 5
ATTEMPTS, BUSY = 3, 0.5
"""How often something is tried while other programs use more than so many cores."""
SAMPLE_SECONDS = 0.002


# ---- task 1


@check("nobody-pays-for-nothing", task="reserve", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """The monolith dies as it takes the only piece out of the stock; then another customer wants it."""
    shop = _shop(bench)
    (sku,) = _products(bench, 1, pieces=1)
    first, second = (_buyer(bench, sku) for _ in range(2))
    before = _orders_and_money(shop, sku)
    dying, dead = threading.Event(), threading.Event()

    def die(call: Call) -> Said:
        if _kind(call) == "other" or dying.is_set():
            return call.send()
        dying.set()
        shop.kill(MONOLITH)
        dead.set()
        return LOSE

    with _rule(die):
        one = _check_out(first, _key(bench))
        for _ in range(ATTEMPTS):
            if not dying.is_set() and one.status >= 500:  # on a busy machine something else was too slow
                one = _check_out(first, _key(bench))
    bench.expect(
        dying.is_set(),
        did="bought the only piece of a product, and looked at what comes to the inventory service",
        expected="a call that takes the piece out of its stock",
        got=f"none; the answer to the checkout: {one}",
        why="The stock is the inventory's now: what is not sold there is sold again.",
        look=CHECKOUT,
    )
    dead.wait()
    shop.revive()
    two = _buy(second, _key(bench))
    orders, cents = (now - old for now, old in zip(_orders_and_money(shop, sku), before, strict=True))
    stock = _stock_of(shop, sku)
    gone = 1 - stock["available"]
    bench.expect(
        orders <= gone,
        did=f"killed the monolith as its first call to take the only piece of {sku} arrived, started it "
        "again, and let a second customer buy",
        expected="no more orders that are paid than pieces that have left the stock",
        got=f"{orders} orders and {_euros(cents)} paid, for {gone} piece that the inventory has sold or reserved: "
        "one customer has paid and gets nothing",
        why="The order is committed in one database and the stock is taken in another. Between the two, anything dies.",
        look=f"{CHECKOUT}: what is done before the commit, and what after it?",
    )
    bench.note(
        f"the customers got {one.status or 'no answer'} and {two.status}; {orders} paid, {gone} piece gone"
    )
    _expect_agreement(bench, shop, "killed the monolith as it took the only piece")


@check("refusals-as-before", task="reserve", shop=False, oracle=True, seconds=20)
def _(bench: Bench) -> None:
    """Too little stock, a card without success and an empty cart are refused as before: nothing changes, for good."""
    shop = _shop(bench)
    short, plenty, other = _products(bench, 3)
    for sku in (short, plenty, other):
        _stock(bench, sku, PIECES, bench.oracle())
    for what, cart, card in (
        ("more than there is", {short: PIECES + 1, plenty: 1}, APPROVED),
        ("with a card that is declined", {plenty: 2, other: 1}, DECLINED),
        ("with a card whose provider does not answer", {other: 1}, SILENT),
        ("an empty cart", {}, APPROVED),
    ):
        mine, theirs = shop.customer(), bench.oracle().customer()
        for sku, quantity in cart.items():
            for each in (mine, theirs):
                _put(bench, each, sku, quantity)
        key = _key(bench)
        for again in ("", ", and sent it again with the same key"):
            got, expected = (_buy(each, key, card) for each in (mine, theirs))
            bench.expect(
                _refusal(got) == _refusal(expected),
                did=f"bought {what}{again}: {got.curl}",
                expected=f"what the untouched monolith answers: {_refusal(expected)}",
                got=f"{_refusal(got)}",
                why="A refusal is final: a customer who sends the request again must not be charged after all.",
                look=f"{CHECKOUT}: what is stored under the key, and what is raised",
            )
        _expect_nothing_happened(bench, mine, cart, f"bought {what}")
        if cart and card == APPROVED:
            for each in (shop, bench.oracle()):
                _stock(bench, short, 3 * PIECES, each)
            got, expected = (_buy(each, key, card) for each in (mine, theirs))
            bench.expect(
                _refusal(got) == _refusal(expected),
                did=f"put more into the stock, and sent the same request again: {got.curl}",
                expected=f"the same refusal as before: {_refusal(expected)}",
                got=got,
                why="The first answer said that it is final, and the customer has bought elsewhere.",
                look=f"{CHECKOUT}: what is stored under the key",
            )
    _expect_agreement(bench, shop, "let checkouts be refused")


@check("the-last-piece", task="reserve", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """Of customers who buy the last piece at the same moment, exactly one gets it, and only he pays."""
    shop = _shop(bench)
    for sku in _products(bench, 3, pieces=1):
        before = _orders_and_money(shop, sku)
        buyers = [_buyer(bench, sku) for _ in range(BUYERS)]
        answers = _all_at_once(_buy, [(each, _key(bench)) for each in buyers])
        orders, cents = (now - old for now, old in zip(_orders_and_money(shop, sku), before, strict=True))
        bench.expect(
            orders == 1 and sorted(answer.status for answer in answers) == [201] + [409] * (BUYERS - 1),
            did=f"let {BUYERS} customers buy the last piece of {sku} at the same moment",
            expected=f"201 once, 409 /problems/out-of-stock {BUYERS - 1} times, and one order",
            got=f"{', '.join(str(answer.status) for answer in answers)}; {orders} orders and {_euros(cents)} paid",
            why="Between a look at the stock and the sale, somebody else buys. Reserving does both in one step.",
            look=f"{CHECKOUT}: reserve before anything is paid",
        )
    _expect_agreement(bench, shop, "let several customers buy the last piece")


@check("no-transaction-waits", task="reserve", shop=False, load=True, seconds=20)
def _(bench: Bench) -> None:
    """While a checkout waits for the inventory, to reserve, commit or release, others can write."""
    shop = _shop(bench)
    for kind, card in (("reserve", APPROVED), ("commit", APPROVED), ("release", DECLINED)):
        someone, key = _buyer(bench, *_products(bench, 1)), _key(bench)

        def hang(call: Call, kind: str = kind) -> Said:
            if _kind(call) == kind:
                time.sleep(2 * HELD_SECONDS)
            return call.send()

        def send(someone: Visitor = someone, key: str = key, card: str = card) -> None:
            _check_out(someone, key, card)

        with _rule(hang):
            locked, lasted = longest_lock(shop.database(MONOLITH), send)
        bench.expect(
            locked < max(MAX_LOCKED_SECONDS, lasted / 2),
            did=f"let the inventory hang when it is to {kind}, sent a checkout, and tried the lock of the monolith's "
            "database meanwhile",
            expected="a lock that is free for others while the request waits",
            got=f"it was held for {locked:.1f} of {lasted:.1f} s without a pause",
            why="One database has one writer: while it waits for the inventory, nobody in the whole shop can buy.",
            look=f"{CHECKOUT}: no call inside `writing()`",
        )


@check("all-or-nothing-here", task="reserve", shop=False, load=True, seconds=20)
def _(bench: Bench) -> None:
    """When the order cannot be written down, nothing is paid, the cart is full, and the pieces are available again."""
    shop = _shop(bench)
    (sku,) = _products(bench, 1)
    someone = _buyer(bench, sku)
    with shop.without_tables(MONOLITH, "order_lines"):
        answer = _check_out(someone, _key(bench))
    did = f"took the table order_lines away: {answer.curl}"
    bench.expect(
        answer.status >= 500,
        did=did,
        expected="an answer from 500 on: nobody can say that this order exists",
        got=answer,
        why="What is not stored has not been bought.",
        look=CHECKOUT,
    )
    _expect_nothing_happened(bench, someone, {sku: 1}, did)
    _expect_agreement(bench, shop, did)


# ---- task 2


@dataclass
class Crossing:
    """One customer's checkout that is interrupted at one boundary."""

    kind: str
    """Which call is held: reserve, commit or release."""
    after: bool
    """Whether it has had its effect."""
    sku: str
    card: str = APPROVED
    key: str = ""
    customer: Any = None
    held: Call | None = None
    reached: threading.Event = field(default_factory=threading.Event)

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} the {self.kind}"


@check("killed-at-every-boundary", task="recover", shop=False, load=True, seconds=40)
def _(bench: Bench) -> None:
    """Checkouts stand before and after each call to the inventory, and the monolith is killed; started again, it
    finishes them."""
    shop = _shop(bench)
    skus = iter(_products(bench, 6))
    crossings = [
        Crossing(kind, after, next(skus), card)
        for kind, card in (("reserve", APPROVED), ("commit", APPROVED), ("release", DECLINED))
        for after in (False, True)
    ]
    for each in crossings:
        each.customer, each.key = _buyer(bench, each.sku), _key(bench)
    undecided, killed = _kill_in_the_middle(bench, shop, crossings)
    did = f"killed the monolith while checkouts stand {', '.join(map(str, crossings))}, and started it again"
    _expect_agreement(bench, shop, did)
    seconds = time.monotonic() - killed
    for each in crossings:
        if each.held is not None:
            each.held.send()
    _expect_agreement(
        bench, shop, f"{did}; then the calls that were on their way arrived at the inventory after all"
    )
    stored = {order["id"] for order in _orders(shop)}
    for each in crossings:
        _expect_one_outcome(bench, each, stored)
    _expect_agreement(bench, shop, f"{did}; then each customer sent the same request again")
    bench.note(f"{undecided} disagreements when it was killed, none {seconds:.1f} s later")


@check("a-late-process-confirms-nothing", task="recover", shop=False, load=True, seconds=40)
def _(bench: Bench) -> None:
    """A process stands still as it is about to confirm, a second one takes the checkout over, and as that one releases
    the pieces the first one goes on."""
    shop = _shop(bench)
    (sku,) = _products(bench, 1)
    someone = _buyer(bench, sku)
    reserved, released, afterwards = threading.Event(), threading.Event(), threading.Event()
    lock = sqlite3.connect(shop.database(MONOLITH), timeout=10, isolation_level=None, check_same_thread=False)

    def stand_between(call: Call) -> Said:
        if _kind(call) == "reserve" and not reserved.is_set():
            answer = call.send()
            lock.execute("BEGIN IMMEDIATE")  # the first process waits for it in front of its transaction
            reserved.set()
            return answer
        if released.is_set():
            afterwards.set()
        answer = call.send()
        if _kind(call) == "release" and reserved.is_set() and not released.is_set():
            released.set()
            afterwards.wait(HELD_SECONDS)
        return answer

    with closing(lock), _second_process(shop), _rule(stand_between), ThreadPoolExecutor(1) as pool:
        sent = pool.submit(_check_out, someone, _key(bench))
        if reserved.wait(WAIT_SECONDS):
            time.sleep(STANDS_SECONDS)
            if sent.done():  # no transaction follows, so that nothing stands still
                lock.execute("ROLLBACK")
            else:
                with paused_processes(shop.pids(MONOLITH)):
                    lock.execute("ROLLBACK")
                    released.wait(WAIT_SECONDS)
                afterwards.wait(AFTERWARDS_SECONDS)
        answer = sent.result()
    did = (
        "stopped the process (SIGSTOP) before the transaction that writes the order, waited until a second process "
        "had taken the checkout over and released its pieces, and let the first one go on (SIGCONT)"
    )
    _expect_agreement(bench, shop, did)
    orders = _order_ids(someone)
    bench.expect(
        answer.status != 201 or orders,
        did=did,
        expected="201 only with an order",
        got=f"{answer}, and no order",
        why="Two processes have decided the same checkout, each in its own way.",
        look=f"{STORE}: a checkout is decided once",
    )


@check("a-slow-checkout-is-not-interrupted", task="recover", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """Checkouts that are slow but alive are not taken over: each customer gets his order."""
    shop = _shop(bench)
    buyers = [_buyer(bench, sku) for sku in _products(bench, BUYERS)]

    def slowly(call: Call) -> Said:
        if _kind(call) == "reserve":
            answer = call.send()
            time.sleep(HELD_SECONDS)
            return answer
        return call.send()

    with _rule(slowly):
        answers = _all_at_once(_check_out, [(each, _key(bench)) for each in buyers])
    if any(answer.status != 201 for answer in answers) and bench.busy() > BUSY:
        raise bench.inconclusive("a call that takes 0.7 s was too slow for a checkout, on a busy machine")
    bench.expect(
        all(answer.status == 201 for answer in answers),
        did=f"bought in {BUYERS} carts at the same moment, while the inventory takes {HELD_SECONDS:g} s to reserve",
        expected="201 each time",
        got=", ".join(str(answer.status) for answer in answers),
        why="Whoever recovers must know who is dead. A slow request is not.",
        look=f"{STORE}: until when does a checkout belong to its request?",
    )
    _expect_agreement(bench, shop, "bought while the inventory is slow")


# ---- task 3


@check("an-unsure-reservation-is-undone", task="unsure", shop=False, load=True, seconds=20)
def _(bench: Bench) -> None:
    """When nobody knows whether the pieces were reserved, nothing is bought and nothing stays reserved, also when the
    call arrives late."""
    shop = _shop(bench)
    late: list[Call] = []

    def refused(_call: Call) -> Said:
        return 503, {"type": "/problems/unavailable", "title": "Not now", "status": 503, "detail": "Not now."}

    def reserved_and_failed(call: Call) -> Said:
        call.send()
        return 500, {
            "type": "/problems/internal-error",
            "title": "Broken",
            "status": 500,
            "detail": "Broken.",
        }

    def reserved_and_lost(call: Call) -> Said:
        call.send()
        return LOSE

    def too_late(call: Call) -> Said:
        late.append(call)
        time.sleep(3 * HELD_SECONDS)
        return LOSE

    outcomes = []
    for what, fault in (
        ("refuses to reserve (503)", refused),
        ("reserves, and answers 500", reserved_and_failed),
        ("reserves, and the answer is lost", reserved_and_lost),
        ("does not answer, and gets the request to reserve later", too_late),
    ):
        sku = _warm(bench)
        someone, key = _buyer(bench, sku), _key(bench)
        did = f"bought {sku} while the inventory {what}"
        with _rule(lambda call, fault=fault: fault(call) if _kind(call) == "reserve" else call.send()):
            answer = _check_out(someone, key)
        for call in late:
            call.send()
        late.clear()
        bench.expect(
            answer.status in {502, 503, 504},
            did=did,
            expected="503 /problems/unavailable: the customer tries again",
            got=answer,
            why="An order whose pieces nobody has put aside must not be paid.",
            look=f"{CHECKOUT}: what is raised when the inventory does not answer",
        )
        _expect_nothing_happened(bench, someone, {sku: 1}, did)
        _expect_agreement(bench, shop, did)
        outcomes.append((did, someone, key, answer))
    for did, someone, key, answer in outcomes:
        again = _repeat(bench, someone, key)
        right, expected = again.status == 201 or _is_final(again), "201, or a refusal that is final"
        if _is_final(answer):
            right, expected = (
                _facts(again) == _facts(answer),
                f"the first refusal, which was final: {_facts(answer)}",
            )
        bench.expect(
            right,
            did=f"{did}; then sent the same request again",
            expected=expected,
            got=again,
            why="Who got no final answer repeats the request with the same key, and learns the one true outcome.",
            look=f"{CHECKOUT}: what is stored under the key when the inventory does not answer?",
        )
    _expect_agreement(bench, shop, "sent each of these requests again")


@check("a-decided-checkout-is-finished", task="unsure", shop=False, load=True, seconds=40)
def _(bench: Bench) -> None:
    """When the inventory fails after the decision, the customer gets the answer that is true, and the shop finishes
    the rest without a restart."""
    shop = _shop(bench)
    late: list[Call] = []

    def refused(_call: Call) -> Said:
        return 503, {"type": "/problems/unavailable", "title": "Not now", "status": 503, "detail": "Not now."}

    def lost(call: Call) -> Said:
        call.send()
        return LOSE

    def too_late(call: Call) -> Said:
        late.append(call)
        time.sleep(2 * HELD_SECONDS)
        return LOSE

    outcomes = []
    for kind, card, status in (("commit", APPROVED, 201), ("release", DECLINED, 402)):
        for what, fault in (("fails", refused), ("works, and its answer is lost", lost), ("hangs", too_late)):
            for _ in range(ATTEMPTS):
                sku = _warm(bench)
                someone, key = _buyer(bench, sku), _key(bench)
                with _rule(
                    lambda call, fault=fault, kind=kind: fault(call) if _kind(call) == kind else call.send()
                ):
                    answer = _check_out(someone, key, card)
                if answer.status == status or bench.busy() <= BUSY:
                    break  # on a busy machine something before the decision may have been too slow
            did = f"bought {sku} with {'a good' if card == APPROVED else 'a declined'} card while the {kind} {what}"
            bench.expect(
                answer.status == status,
                did=did,
                expected=f"{status}: that is decided, whatever becomes of the {kind}",
                got=answer,
                why="After the decision the inventory cannot change it. It only has to hear of it.",
                look=f"{CHECKOUT}: what happens when the last call fails",
            )
            outcomes.append((did, someone, key, card, answer))
    for call in late:
        call.send()
    seconds = _expect_agreement(bench, shop, "; then ".join(did for did, *_ in outcomes[:2]) + " and so on")
    for did, someone, key, card, answer in outcomes:
        again = _repeat(bench, someone, key, card)
        bench.expect(
            (again.status, _id(again), _facts(again)) == (answer.status, _id(answer), _facts(answer)),
            did=f"{did}; then sent the same request again",
            expected=f"the first answer again: {answer.status} {_id(answer)}",
            got=again,
            why="One key is one purchase.",
            look=CHECKOUT,
        )
    _expect_agreement(bench, shop, "sent each of these requests again")
    bench.note(f"all agreed {seconds:.1f} s later")


@check("every-call-comes-twice", task="unsure", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """Each call reaches the inventory twice, and all of them once more in the end: nothing happens a second time."""
    shop = _shop(bench)
    seen: list[Call] = []

    def twice(call: Call) -> Said:
        if _kind(call) != "other":
            seen.append(call)
            call.send()
        return call.send()

    skus = _products(bench, 3)
    for sku, pieces, card, status in (
        (skus[0], 1, APPROVED, 201),
        (skus[1], 1, DECLINED, 402),
        (skus[2], PIECES + 1, APPROVED, 409),
    ):
        someone = _buyer(bench)
        _put(bench, someone, sku, pieces)
        with _rule(twice):
            answer = _buy(someone, _key(bench), card)
        bench.expect(
            answer.status == status,
            did=f"sent each call to the inventory twice: {answer.curl}",
            expected=str(status),
            got=answer,
            why="Networks and clients repeat calls. The order's id says that it is the same one.",
            look=f"{CHECKOUT}: the id under which pieces are reserved",
        )
    _expect_agreement(bench, shop, "sent each call to the inventory twice")
    _stock(bench, skus[2], 3 * PIECES)
    for call in seen:
        call.send()
    did = "let a checkout be paid, one be declined and one be refused for too little stock, put more into the stock, "
    _expect_agreement(bench, shop, did + "and sent all their calls to the inventory once more")


@check("the-window-closes", task="unsure", shop=False, seconds=15)
def _(bench: Bench) -> None:
    """While people buy, the two databases disagree for moments; they are measured, and in the end all agree."""
    shop = _shop(bench)
    skus = _products(bench, BUYERS, pieces=BUY_EACH)
    buyers = [(_buyer(bench), sku, [_key(bench) for _ in range(BUY_EACH)]) for sku in skus]

    def buy(someone: Visitor, sku: str, keys: list[str]) -> None:
        for key in keys:
            _put(bench, someone, sku, 1)
            _check_out(someone, key)

    with _sampled(shop) as seen:
        _all_at_once(buy, buyers)
        _expect_agreement(bench, shop, f"bought {BUYERS * BUY_EACH} times")
    waits = [
        (times["order"] - times["reserved"], times["committed"] - times["order"])
        for times in seen.values()
        if len(times) == 3
    ]
    if waits:
        before, after = (
            sorted(max(0.0, each) * 1000 for each in column) for column in zip(*waits, strict=True)
        )
        bench.note(
            f"{len(waits)} orders: reserved {median(before):.0f} ms before the order exists (at most "
            f"{before[-1]:.0f}), sold {median(after):.0f} ms after it (at most {after[-1]:.0f})"
        )


# ---- task 4


@check("the-same-key-meanwhile", task="key", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """The same request comes a second time while the first one is on its way, for the last piece: one order, and both
    learn of it."""
    shop = _shop(bench)
    (sku,) = _products(bench, 1, pieces=1)
    someone, key = _buyer(bench, sku), _key(bench)
    on_its_way = threading.Event()
    reserved = []

    def hold_the_first(call: Call) -> Said:
        answer = call.send()
        if _kind(call) == "reserve":
            reserved.append(call)
            if len(reserved) == 1:
                on_its_way.set()
                time.sleep(HELD_SECONDS)
        return answer

    twin = shop.customer(someone.email)
    with _rule(hold_the_first), ThreadPoolExecutor(2) as pool:
        first = pool.submit(_check_out, someone, key)
        on_its_way.wait(5)
        second = pool.submit(_check_out, twin, key)
        one, two = first.result(), second.result()
    if (one.status >= 500 or two.status >= 500) and bench.busy() > BUSY:
        raise bench.inconclusive("a call that takes 0.7 s was too slow for a checkout, on a busy machine")
    did = f"sent the same request twice, the second time while the first one reserves the last piece of {sku}"
    bench.expect(
        one.status == 201 and (_id(two) == _id(one) or _is_in_progress(two)),
        did=did,
        expected="201 for the first; for the second the same order, or 409 /problems/checkout-in-progress",
        got=f"{one.status} for the first; {two} for the second",
        why="A customer who presses the button twice buys once, and must not be told that the piece is gone.",
        look=f"{CHECKOUT}: when is the key taken?",
    )
    again = _repeat(bench, someone, key)
    bench.expect(
        again.status == 201 and _id(again) == _id(one) and len(_order_ids(someone)) == 1,
        did=f"{did}, and once more afterwards",
        expected="the same order, and no other",
        got=f"{again}; {len(_order_ids(someone))} orders",
        why="One key is one purchase.",
        look=CHECKOUT,
    )
    _expect_agreement(bench, shop, did)


@check("the-cart-meanwhile", task="key", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """The cart changes while its checkout is on its way: nothing is lost, and nothing is sold twice."""
    shop = _shop(bench)
    for change in ("put", "remove", "buy"):
        one, two = _products(bench, 2)
        someone, keys = _buyer(bench, one), [_key(bench), _key(bench)]
        other = shop.customer(someone.email)
        if change == "remove":
            _put(bench, someone, two, 1)
        on_its_way, go_on = threading.Event(), threading.Event()

        def hold_the_first(
            call: Call, on_its_way: threading.Event = on_its_way, go_on: threading.Event = go_on
        ) -> Said:
            answer = call.send()
            if _kind(call) == "reserve" and not on_its_way.is_set():
                on_its_way.set()
                go_on.wait(HELD_SECONDS)
            return answer

        with _rule(hold_the_first), ThreadPoolExecutor(1) as pool:
            sent = pool.submit(_check_out, someone, keys[0])
            on_its_way.wait(5)
            second = None
            if change == "put":
                did = f"put {two} into the cart while its checkout is on its way"
                other.ask("PUT", f"/api/cart/items/{two}", json={"quantity": 1})
            elif change == "remove":
                did = f"took {two} out of the cart while its checkout is on its way"
                other.ask("DELETE", f"/api/cart/items/{two}")
            else:
                did = "sent a second checkout of the same cart, with another key, while the first one is on its way"
                second = _check_out(other, keys[1])
            go_on.set()
            answer = sent.result()
        answer = _buy(someone, keys[0]) if _is_open(answer) else answer
        second = _buy(someone, keys[1]) if second and _is_open(second) else second
        _expect_nothing_lost(
            bench, someone, [one, two], change, did, [each for each in (answer, second) if each]
        )
        _expect_agreement(bench, shop, did)


def _expect_nothing_lost(
    bench: Bench, someone: Visitor, skus: list[str], change: str, did: str, answers: list[Answer]
) -> None:
    bought = [sku for answer in answers if answer.status == 201 for sku in _skus_of(answer)]
    left = _skus_of(someone.ask("GET", "/api/cart"))
    one, two = skus
    right = {
        "put": sorted(bought + left) == sorted(skus),
        "remove": [*bought, *left].count(one) == 1 and (bought + left).count(two) <= 1 and two not in left,
        "buy": sorted(bought + left) == [one],
    }
    bench.expect(
        right[change],
        did=did,
        expected="each product once: in an order or still in the cart",
        got=f"{', '.join(str(answer.status) for answer in answers)}; bought: {', '.join(bought) or 'nothing'}, "
        f"in the cart: {', '.join(left) or 'nothing'}",
        why="What you reserved is what was in the cart before. What the transaction finds may differ.",
        look=f"{CHECKOUT}: cart.take",
    )


# ---- faults


@cache
def _relay() -> Relay:
    return Relay()


def _shop(bench: Bench) -> Shop:
    """The learner's shop, with the relay between it and its inventory. What an earlier check left does not count."""
    shop = bench.shop(env={"SHOP_INVENTORY_URL": _relay().url, "SHOP_THREADS": THREADS})
    bench.expect(
        shop.fleet is not None and SERVICE in shop.fleet.internal_ports,
        did="looked at the shop's processes",
        expected=f"a process with the name {SERVICE}-1, and its listener in the Caddyfile",
        got=", ".join(shop.names()),
        why="The stock is sold in a service with a database of its own.",
        look="topology.py",
    )
    _relay().upstream = shop.fleet.internal_ports[SERVICE]
    _relay().rule = pass_on
    _left_over(bench)[:] = _all_violations(shop)
    return shop


@cache
def _left_over(_bench: Bench) -> list[str]:
    """What did not agree when this check began: the check before it has said so."""
    return []


@contextmanager
def _rule(rule: Rule) -> Iterator[None]:
    """What becomes of the calls to the inventory while the block runs."""
    _relay().rule = rule
    try:
        yield
    finally:
        _relay().rule = pass_on


def _kind(call: Call) -> str:
    """reserve, commit or release; other for a call without an effect."""
    if call.asked.method != "POST":
        return "other"
    last = call.path.rpartition("/")[2]
    return "reserve" if last == "reservations" else last


def _kill_in_the_middle(bench: Bench, shop: Shop, crossings: list[Crossing]) -> tuple[int, float]:
    """Buy in all carts, kill the monolith when each checkout stands at its boundary, and start it again.

    Returns how much did not agree then, and when that was, on the clock of time.monotonic().
    """
    gone = threading.Event()
    by_order: dict[str, Crossing] = {}
    by_sku = {each.sku: each for each in crossings}

    def hold(call: Call) -> Said:
        kind = _kind(call)
        if kind == "reserve":
            for item in call.sent.get("items", []):
                by_order[call.sent.get("order_id", "")] = by_sku[item["sku"]]
        crossing = by_order.get(call.sent.get("order_id", "") or call.path.split("/")[-2])
        if crossing is None or crossing.kind != kind or crossing.reached.is_set():
            return LOSE if gone.is_set() else call.send()
        if crossing.after:
            call.send()
        crossing.held = call
        crossing.reached.set()
        gone.wait(HELD_SECONDS * 2)
        return LOSE

    with _rule(hold), ThreadPoolExecutor(len(crossings)) as pool:
        sent = [pool.submit(_check_out, each.customer, each.key, each.card) for each in crossings]
        deadline = time.monotonic() + HELD_SECONDS
        for each in crossings:
            each.reached.wait(max(0.0, deadline - time.monotonic()))
        shop.kill(MONOLITH)
        killed = time.monotonic()
        gone.set()
        for future in sent:
            future.result()
        undecided = len(_violations(bench, shop))
    shop.revive()
    return undecided, killed


@contextmanager
def _second_process(shop: Shop) -> Iterator[None]:
    """A second process of the monolith, on the same database."""
    env = shop.environment(MONOLITH)
    second = Solo(
        shop.folder,
        home=Path(env["SHOP_HOME"]),
        database=shop.database(MONOLITH),
        env=env,
        port=None,
        ready_seconds=READY_SECONDS,
    )
    try:
        second.start()
    except LauncherError as error:
        raise NotYet(
            did="started a second process of the monolith on the same database",
            expected="a process that is ready",
            got=str(error),
            why="During a restart two of them run, and after a growth more.",
            look="monolith/app.py",
        ) from error
    try:
        yield
    finally:
        second.stop()


def _all_at_once(do: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    with ThreadPoolExecutor(len(arguments)) as pool:
        futures: list[Future[Any]] = [pool.submit(do, *each) for each in arguments]
        return [future.result() for future in futures]


def _until(happened: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# ---- the two databases


def _rows(file: Path, query: str, *values: Any) -> list[dict[str, Any]]:
    try:
        with closing(sqlite3.connect(file, timeout=10)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query, values)]
    except sqlite3.Error as error:
        raise NotYet(
            did=f"read {file.name}: {query}",
            expected="the tables of orders, payments and stock as they were",
            got=str(error),
            why="The checks compare both databases.",
            look="monolith/orders/models.py",
        ) from error


def _orders(shop: Shop) -> list[dict[str, Any]]:
    query = "SELECT number, id, customer_id, total_cents FROM orders WHERE status = 'confirmed'"
    return [{**row, "key": None, "step": "settled"} for row in _rows(shop.database(MONOLITH), query)]


def _violations(bench: Bench, shop: Shop) -> list[str]:
    """What does not agree since this check began."""
    return [sentence for sentence in _all_violations(shop) if sentence not in _left_over(bench)]


def _all_violations(shop: Shop) -> list[str]:
    """What does not agree between stock, reservations, orders and payments: a sentence for each."""
    ours, theirs = shop.database(MONOLITH), shop.database(SERVICE)
    snapshot = Snapshot(
        orders=_orders(shop),
        order_lines=_rows(ours, "SELECT order_number, sku, quantity FROM order_lines"),
        outbox=[],
        stock={row["sku"]: row for row in _rows(theirs, "SELECT * FROM stock")},
        reservations={row["order_id"]: row["status"] for row in _rows(theirs, "SELECT * FROM reservations")},
        reserved_lines=_rows(theirs, "SELECT * FROM reserved_lines"),
        payments={
            row["order_id"]: row
            for row in _rows(ours, "SELECT * FROM payments WHERE captured_cents <> refunded_cents")
        },
        popularity={},
        feed_position=0,
    )
    return [
        sentence
        for invariant in (checkouts_are_decided, payments_match_orders, stock_adds_up)
        for sentence in invariant(snapshot)
    ]


def _expect_agreement(bench: Bench, shop: Shop, did: str) -> float:
    """Wait until stock, reservations, orders and payments agree; returns the seconds it took."""
    started = time.monotonic()
    found: list[str] = []

    def agree() -> bool:
        found[:] = _violations(bench, shop)
        return not found

    bench.expect(
        _until(agree, WAIT_SECONDS) or (bench.busy() > BUSY and _until(agree, BUSY_SECONDS - WAIT_SECONDS)),
        did=did,
        expected=f"stock, orders and payments that agree, {AGREE_SECONDS} s later at most",
        got=" ".join(found[:3]),
        why="Each piece that nobody bought must be for sale again, and each one that was paid must be sold.",
        look=f"{CHECKOUT}; {STORE}: which checkouts are not finished, and who finishes them?",
    )
    return time.monotonic() - started


def _orders_and_money(shop: Shop, sku: str) -> tuple[int, int]:
    """How many orders of this product are paid, and how much for them in all."""
    query = (
        "SELECT count(*) AS orders, coalesce(sum(p.captured_cents - p.refunded_cents), 0) AS cents FROM orders o "
        "JOIN order_lines l ON l.order_number = o.number JOIN payments p ON p.order_id = o.id WHERE l.sku = ?"
    )
    row = _rows(shop.database(MONOLITH), query, sku)[0]
    return row["orders"], row["cents"]


def _stock_of(shop: Shop, sku: str) -> dict[str, Any]:
    return _rows(shop.database(SERVICE), "SELECT * FROM stock WHERE sku = ?", sku)[0]


@contextmanager
def _sampled(shop: Shop) -> Iterator[dict[str, dict[str, float]]]:
    """By order, when each was first seen: reserved, order and committed, on the clock of time.monotonic()."""
    seen: dict[str, dict[str, float]] = {}
    stop = threading.Event()
    first = max(order["number"] for order in _orders(shop))
    known = {row["order_id"] for row in _rows(shop.database(SERVICE), "SELECT order_id FROM reservations")}

    def sample() -> None:
        with (
            closing(sqlite3.connect(shop.database(SERVICE))) as theirs,
            closing(sqlite3.connect(shop.database(MONOLITH))) as ours,
        ):
            while not stop.wait(SAMPLE_SECONDS):
                now = time.monotonic()
                for order_id, status in theirs.execute(
                    "SELECT order_id, status FROM reservations"
                ).fetchall():
                    if order_id not in known:
                        times = seen.setdefault(order_id, {})
                        times.setdefault("reserved", now)
                        if status == "committed":
                            times.setdefault("committed", now)
                for (order_id,) in ours.execute(
                    "SELECT id FROM orders WHERE number > ?", (first,)
                ).fetchall():
                    seen.setdefault(order_id, {}).setdefault("order", now)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        time.sleep(2 * SAMPLE_SECONDS)
        stop.set()
        thread.join()


# ---- customers


def _running(bench: Bench) -> Shop:
    return bench.shop(env={"SHOP_INVENTORY_URL": _relay().url, "SHOP_THREADS": THREADS})


@cache
def _admin(shop: Shop) -> Visitor:
    return shop.admin()


def _products(bench: Bench, count: int, pieces: int = PIECES) -> list[str]:
    """The SKUs of some products, chosen at random; there are `pieces` of each."""
    answer = _running(bench).ask("GET", "/api/products?page_size=100")
    body = answer.json()
    items = body.get("items") if isinstance(body, dict) else None
    bench.expect(
        isinstance(items, list) and len(items) == 100,
        expected="a hundred products",
        got=answer,
        why="The checks choose their products from this list.",
        look="Caddyfile; topology.py: SEED",
    )
    spoilt = " ".join(_left_over(bench))
    sound = [item["sku"] for item in items or [] if item["sku"] not in spoilt]
    skus = bench.random.sample(sound, count)
    for sku in skus:
        _stock(bench, sku, pieces)
    return skus


def _stock(bench: Bench, sku: str, pieces: int, shop: Shop | None = None) -> None:
    answer = _admin(shop or _running(bench)).ask("PUT", f"/api/inventory/{sku}", json={"available": pieces})
    bench.expect(
        answer.status == 200,
        expected="200: the administrator may set the stock",
        got=answer,
        why="The checks put pieces into the stock.",
        look="Caddyfile: /api/inventory belongs to the service",
    )


def _buyer(bench: Bench, *skus: str) -> Visitor:
    """A new customer with one piece of each product in the cart."""
    someone = _running(bench).customer()
    for sku in skus:
        _put(bench, someone, sku, 1)
    return someone


def _put(bench: Bench, someone: Visitor, sku: str, quantity: int) -> None:
    answer = someone.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": quantity})
    bench.expect(
        answer.status == 200,
        expected="200 and the cart",
        got=answer,
        why="A product that the shop has can be put into the cart.",
        look="monolith/cart",
    )


def _key(bench: Bench) -> str:
    return f"check-{bench.random.getrandbits(64):016x}"


def _check_out(someone: Visitor, key: str, card: str = APPROVED) -> Answer:
    """Buy what is in the cart; an Answer with status 0 when nothing comes."""
    return someone.try_ask(
        "POST", "/api/orders", json={"card_number": card}, headers={"Idempotency-Key": key}, timeout=20
    )


def _is_open(answer: Answer) -> bool:
    """Whether the answer does not tell the outcome, by the rules of docs/api.md."""
    return _is_in_progress(answer) or not answer.status or (answer.status >= 500 and not _is_final(answer))


def _buy(someone: Visitor, key: str, card: str = APPROVED) -> Answer:
    """Check out, and again with the same key as long as the answer does not tell the outcome."""
    answer = _check_out(someone, key, card)
    until = time.monotonic() + BUSY_SECONDS
    while _is_open(answer) and time.monotonic() < until:
        time.sleep(0.2)
        answer = _check_out(someone, key, card)
    return answer


def _repeat(bench: Bench, someone: Visitor, key: str, card: str = APPROVED) -> Answer:
    """Send a checkout again, until the answer tells the outcome."""
    answer = _buy(someone, key, card)
    bench.expect(
        not _is_open(answer),
        did=f"sent the same request again for {BUSY_SECONDS:.0f} s: {answer.curl}",
        expected="an outcome",
        got=answer,
        why="Who got no answer repeats the request with the same key, and has to learn the outcome some day.",
        look=f"{STORE}: what becomes of the key when a checkout is cancelled?",
    )
    return answer


def _warm(bench: Bench) -> str:
    """A product that can be bought. First somebody buys another one, so that no breaker is open."""
    other, sku = _products(bench, 2)
    someone, answers = _buyer(bench, other), list[Answer]()

    def bought() -> bool:
        answers.append(_check_out(someone, _key(bench)))
        return answers[-1].status == 201

    bench.expect(
        _until(bought, WAIT_SECONDS),
        did=f"bought {other} while nothing is wrong",
        expected="201",
        got=answers[-1],
        why="When the inventory works again, the shop sells again.",
        look=CHECKOUT,
    )
    return sku


# ---- answers


def _body(answer: Answer) -> dict[str, Any]:
    body = answer.json()
    return body if isinstance(body, dict) else {}


def _facts(answer: Answer) -> str:
    """Status, type and facts of a refusal; for an order only the status."""
    body = _body(answer)
    kind = [str(body["type"])] if "type" in body else []
    return " ".join(
        [str(answer.status), *kind]
        + [f"{name}={body[name]}" for name in ("sku", "wanted", "available", "final") if name in body]
    )


def _refusal(answer: Answer) -> str:
    """The same, and whether it is a repeated one."""
    return _facts(answer) + (" repeated" if answer.headers.get("Idempotency-Replayed") else "")


def _is_final(answer: Answer) -> bool:
    return _body(answer).get("final") is True


def _is_in_progress(answer: Answer) -> bool:
    return answer.status == 409 and _body(answer).get("type") == "/problems/checkout-in-progress"


def _id(answer: Answer) -> str:
    """The id of the order in an answer; empty when there is none."""
    return str(_body(answer).get("id", "")) if answer.status == 201 else ""


def _skus_of(answer: Answer) -> list[str]:
    items = _body(answer).get("items")
    return (
        [str(item.get("sku")) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    )


def _order_ids(someone: Visitor) -> list[str]:
    """The customer's orders, as the shop shows them."""
    items = _body(someone.ask("GET", "/api/orders")).get("items")
    return (
        [str(item.get("id")) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    )


def _expect_nothing_happened(bench: Bench, someone: Visitor, cart: dict[str, int], did: str) -> None:
    """The customer has the same cart, no order, and has paid nothing; the pieces can be bought."""
    items = _body(someone.ask("GET", "/api/cart")).get("items", [])
    left = {item["sku"]: item["quantity"] for item in items}
    orders = _order_ids(someone)
    bench.expect(
        left == cart and not orders,
        did=did,
        expected=f"the cart as it was ({_listed(cart)}), and no order",
        got=f"{_listed(left)}; {len(orders)} orders",
        why="A checkout that failed must change nothing: the customer tries again with the same cart.",
        look=f"{CHECKOUT}: what is rolled back, and what is not?",
    )


def _expect_one_outcome(bench: Bench, each: Crossing, stored: set[str]) -> None:
    """The same request again has one outcome: the order that exists, or now the only one, or a refusal."""
    did = f"killed the monolith {each}, started it again, and sent the same request with the same key"
    before = set(_order_ids(each.customer))
    answer = _repeat(bench, each.customer, each.key, each.card)
    after = _order_ids(each.customer)
    if each.card == DECLINED:
        right, expected = answer.status == 402 and not after, "402 /problems/payment-declined"
    elif before:
        right, expected = answer.status == 201 and [_id(answer)] == after, "201 and the order that there is"
    else:
        right = (answer.status == 201 and [_id(answer)] == after) or (_is_final(answer) and not after)
        expected = "201 and an order, or a final refusal and none"
    bench.expect(
        right and before <= stored,
        did=did,
        expected=expected,
        got=f"{answer}; {len(after)} orders",
        why="Who got no answer repeats the request with the same key, and learns the one true outcome.",
        look=f"{CHECKOUT}: what is stored under the key, and when",
    )


def _listed(cart: dict[str, int]) -> str:
    return ", ".join(f"{quantity} {sku}" for sku, quantity in sorted(cart.items())) or "empty"


def _euros(cents: int) -> str:
    return f"€{cents // 100:,}.{cents % 100:02d}"
