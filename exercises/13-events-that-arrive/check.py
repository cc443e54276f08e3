"""13: each order is confirmed by one mail, whatever happens to the shop, the mailer and the network between them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.policy import default
from functools import cache, partial
from itertools import count
from pathlib import Path

import psutil
import requests

from exercises.checks.checking import Answer, Bench, Shop, Visitor, check
from exercises.checks.relay import Call, Relay, pass_on
from loadtests.contract.client import PASSWORD, new_session
from microservices.chaos.standin import LOSE, Asked
from microservices.chaos.standin import Answer as Reply

MAILER, INVENTORY, TABLE, MAILS = "mailer", "inventory", "outbox", "mails"
OUTBOX, SENDER, CHECKOUT = (
    "monolith/orders/outbox.py",
    "monolith/orders/sender.py",
    "monolith/orders/checkout.py",
)
SERVICE = "microservices/mailer/service.py"
APPROVED, DECLINED = "4242424242424242", "4000000000000002"
TAKEN = 200
NOT_NOW = (400, 401, 403, 404, 408, 429, 500, 503)
FIRST_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Tim", "Frances", "Ken")
LAST_NAMES = ("Nowak", "Weber", "Okafor", "Silva", "Tanaka", "Haddad", "Jensen", "Moreau", "Kaya", "Ruiz")
ARRIVES_SECONDS = 10.0
"""The README promises it. A post to a mailer that hangs takes 2 s."""
QUIET_SECONDS = 1.0
"""When for so long no event waits and none is on its way, no further mail comes."""
SOON_SECONDS = 3.0
MAX_LATE_SECONDS = 5.0
AT_ONCE = 16
"""More than a sender that sends one event for each look, every 0.5 s, can send in 5 s."""
REST_SECONDS, MAX_BUSY_SHARE = 1.0, 0.1
"""At rest the monolith takes 1 to 3 % of a core; one that looks all the time takes all that it gets."""
FAILURES_AT_FIRST, FAILURES = 3, 8
"""So often an event is not taken; the second number is more than a usual number of attempts."""
CHECKED = {"SHOP_FEED_SECONDS": "0.1"}
"""Shorter pauses than usual, so that the checks are quick. How late a mail is, is measured with the usual ones."""
MAX_CHECKOUT_SECONDS = 1.0
"""One that does not wait takes less than a tenth; one that waits for a mailer that hangs takes 2 s."""
LOCKED_SECONDS = 0.5
"""Until all deliveries wait for the lock. The mailer itself waits 4 s for it."""
OTHERS = 60
"""An inbox that forgets the oldest after some dozens has forgotten an event after so many others."""
EFFECT_SECONDS = 0.5
"""Until a sender has done what follows from an answer."""
RECOVERY_SECONDS = 8.0
"""A checkout that nobody works on is taken up after 4 s; the recovery looks every half second."""
MEET_SECONDS, HANG_SECONDS = 1.0, 20.0
POLL_SECONDS = 0.02
TOTAL = re.compile(r"EUR ([\d,]+)\.(\d\d)")
GAUGE = r"^{name} (\S+)$"


# ---- all tasks together


@check("one-mail-each", task="once", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """Everybody who buys gets one mail, also when the mailer was away or its answer got lost."""
    shop, post = _shop(bench)
    one, two, three = (_customer(bench, shop) for _ in range(3))

    def answer(event: Delivery) -> Reply:
        if event.email == two.email and event.nth == 1:
            return event.lose_the_answer()
        if event.email == three.email and event.nth <= FAILURES_AT_FIRST:
            return _refuse(503)
        return event.pass_on()

    post.behave(answer)
    for someone in (one, two, three):
        _buy(bench, someone)
    _expect_one_mail_each(
        bench,
        shop,
        (one, two, three),
        did=f"bought as {one.name}; as {two.name}, when the mailer's first answer got lost; "
        f"and as {three.name}, when the mailer answered 503 {FAILURES_AT_FIRST} times",
        look=f"{CHECKOUT}; {SENDER}; {SERVICE}",
    )


# ---- task 1


@check("one-event-for-each-order", task="record", shop=False)
def _(bench: Bench) -> None:
    """Each order has one event in the outbox, and a checkout that is refused or repeated adds none."""
    shop, post = _shop(bench)
    someone = _customer(bench, shop)
    post.behave(lambda _: _refuse(503))
    try:
        before = len(_rows(bench, shop))
        _fill_cart(bench, someone)
        declined = _check_out(bench, someone, card=DECLINED)
        bench.expect(
            declined.status == 402,
            expected="402: this card is declined",
            got=declined,
            why="A refused checkout is the one that must not be confirmed.",
            look=CHECKOUT,
        )
        bench.expect(
            len(_rows(bench, shop)) == before,
            did="bought with a card that is declined, and counted the rows of the table outbox",
            expected="no new event: nothing was ordered",
            got=f"{len(_rows(bench, shop)) - before} new",
            why="An event tells what happened. A mail about an order that does not exist cannot be taken back.",
            look=CHECKOUT,
        )
        key = _key(bench)
        order = _placed(bench, someone, _check_out(bench, someone, key))
        _check_out(bench, someone, key)
        _expect_one_event(
            bench,
            shop,
            order.id,
            did="bought while the mailer answers 503, sent the same checkout again with the same Idempotency-Key, "
            "and looked into the table outbox",
            why="What is not in the outbox is not sent; what is in it twice is two events, and nobody can tell.",
            look=f"{OUTBOX}: record; {CHECKOUT}",
        )
    finally:
        post.behave()


@check("a-recovery-adds-none", task="record", shop=False, load=True, seconds=20)
def _(bench: Bench) -> None:
    """An order that the recovery finishes has one event like any other."""
    shop, post = _shop(bench)
    someone = _customer(bench, shop)
    is_left, finished = threading.Event(), threading.Event()

    def no_commit_at_first(call: Call) -> Reply:
        if not call.path.endswith("/commit"):
            return call.send()
        if not is_left.is_set():
            return _refuse(503)
        answer = call.send()
        finished.set()
        return answer

    post.behave(lambda _: _refuse(503))
    _stock().rule = no_commit_at_first
    try:
        _fill_cart(bench, someone)
        _check_out(bench, someone)
        bench.expect(
            _is_committed(shop, someone),
            did="bought while the inventory answers each commit with 503",
            expected="a confirmed order, whose rest the recovery does",
            got="none",
            why="From the confirmation on, the order stands. Exercise 12 has the words: the point of no return.",
            look=CHECKOUT,
        )
        is_left.set()
        finished.wait(RECOVERY_SECONDS)
        time.sleep(EFFECT_SECONDS)
        (order_id,) = _ordered(bench, someone)
        _expect_one_event(
            bench,
            shop,
            order_id,
            did="bought while the inventory refuses each commit, let the recovery finish the checkout, and looked into "
            "the table outbox",
            why="The event came with the order, so it is not what is left to do. Two events are two mails.",
            look=f"{CHECKOUT}: recover",
        )
    finally:
        _stock().rule = pass_on
        post.behave()


@check("no-order-without-its-event", task="record", shop=False)
def _(bench: Bench) -> None:
    """When the event cannot be written there is no order either: both are in one transaction."""
    shop, _ = _shop(bench)
    _rows(bench, shop)
    someone = _customer(bench, shop)
    _fill_cart(bench, someone)
    with shop.without_tables("monolith", TABLE):
        first = _check_out(bench, someone)
    ordered = _ordered(bench, someone)
    if not ordered:
        ordered = [_buy(bench, someone).id]
    deadline = time.monotonic() + SOON_SECONDS
    while not (told := _is_told(bench, shop, ordered[0])) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    bench.expect(
        told,
        did="took the table outbox away, bought, and put the table back",
        expected="no order; or, if the customer buys again, an order with its event",
        got=f"the first checkout was answered with {first.status}, and there is no event of the order {ordered[0]}",
        why="Between two transactions the process can die. Then there is an order that nobody is ever told about.",
        look=f"{CHECKOUT}: record the event in the transaction `db` of the order",
    )


# ---- task 2


@check("killed-after-the-commit", task="send", shop=False, load=True, seconds=20)
def _(bench: Bench) -> None:
    """When the process dies after the commit and before the mailer has answered, the mail comes after the restart."""
    shop, post = _shop(bench)
    someone = _customer(bench, shop)
    _fill_cart(bench, someone)
    post.hang()
    key = _key(bench)
    checkout = threading.Thread(target=_check_out, args=(bench, someone, key), daemon=True)
    checkout.start()
    deadline = time.monotonic() + SOON_SECONDS
    while not (_is_committed(shop, someone) and post.count(someone.email)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    shop.kill("monolith")
    checkout.join()
    post.behave()
    shop.revive()
    order = _placed(bench, someone, _check_out(bench, someone, key))
    _expect_one_mail_each(
        bench,
        shop,
        (someone,),
        did=f"bought as {someone.name}, killed the monolith (kill -9) after the commit of order {order.id[:8]}, "
        "while it waited for the mailer, and started it again",
        look=f"{SENDER}: when is an event over?",
    )


@check("the-mailer-was-away", task="send", shop=False, load=True, seconds=20)
def _(bench: Bench) -> None:
    """Orders that were placed while the mailer was dead are confirmed when it is back, the oldest first."""
    shop, post = _shop(bench)
    people = [_customer(bench, shop) for _ in range(4)]
    with shop.killed(MAILER):
        for someone in people:
            _buy(bench, someone)
    _expect_one_mail_each(
        bench,
        shop,
        people,
        did=f"killed the mailer, bought as {', '.join(each.name for each in people)}, and started the mailer again",
        look=SENDER,
    )
    _expect_in_order(bench, post, people, "killed the mailer, bought four times, and started it again")
    bench.note(
        f"with the mailer away, the latest mail came {max(_staleness(shop, people)):.1f} s after its order"
    )


@check("a-hung-mailer-slows-nobody", task="send", shop=False, load=True, timing=True, seconds=20)
def _(bench: Bench) -> None:
    """While the mailer hangs, a checkout takes as long as ever."""
    shop, post = _shop(bench)
    first, *people = [_customer(bench, shop) for _ in range(4)]
    _buy(bench, first)  # the first checkout of a process also loads code
    for someone in (first, *people):
        _fill_cart(bench, someone)
    usual = _check_out(bench, first)
    _placed(bench, first, usual)
    post.hang()
    try:
        answers = [_check_out(bench, people[0])]
        with suppress(TimeoutError):
            _until(lambda: post.count(people[0].email), SOON_SECONDS)
        answers += [_check_out(bench, someone) for someone in people[1:]]
    finally:
        post.behave()
    slowest = max(answers, key=lambda answer: answer.seconds)
    bench.expect(
        slowest.seconds < MAX_CHECKOUT_SECONDS,
        did=f"bought once, which took {usual.seconds:.2f} s, let the mailer hang, and bought three times",
        expected="checkouts as fast as before: nobody waits for the mailer",
        got=f"one that took {slowest.seconds:.1f} s: {slowest}",
        why="A customer who has paid should not wait for a mail. A transaction that waits makes everybody wait.",
        look=f"{SENDER}; {CHECKOUT}",
    )
    for someone, answer in zip(people, answers, strict=True):
        _placed(bench, someone, answer)
    _expect_one_mail_each(
        bench, shop, [first, *people], did="let the mailer hang, bought, and let it go on", look=SENDER
    )
    bench.note(f"a checkout took {usual.seconds:.2f} s, with a mailer that hangs {slowest.seconds:.2f} s")


@check("how-late-a-mail-is", task="send", load=True, timing=True, seconds=25)
def _(bench: Bench) -> None:
    """When nothing is wrong, a mail is out a few seconds after the order at the latest, also when many buy at once."""
    shop = _with_mailer(bench, bench.shop())
    people = [_customer(bench, shop) for _ in range(3)]
    for _ in range(3):
        for someone in people:
            _buy(bench, someone)
            time.sleep(bench.random.uniform(0, 0.3))
    alone = sum(len(someone.orders) for someone in people)
    buyer = _customer(bench, shop)
    for _ in range(AT_ONCE):
        _buy(bench, buyer)
    did = f"bought {alone} times, then {AT_ONCE} times at once, with nothing wrong"
    _expect_one_mail_each(bench, shop, [*people, buyer], did=did, look=SENDER, acknowledged=False)
    late, at_once = _staleness(shop, people), _staleness(shop, [buyer])
    worst = max(late + at_once)
    bench.expect(
        worst < MAX_LATE_SECONDS,
        did=f"{did}, and compared the time of each mail with that of its order",
        expected=f"every mail within {MAX_LATE_SECONDS:.0f} s",
        got=f"one after {worst:.1f} s",
        why="A confirmation that does not come makes people order again.",
        look=f"{SENDER}: when does `send_next` return True?",
    )
    share = _busy_share(shop)
    bench.expect(
        share < MAX_BUSY_SHARE,
        did=f"measured the CPU time of the monolith for {REST_SECONDS:g} s, when nobody asked it anything",
        expected="a process that rests",
        got=f"{share:.0%} of a core",
        why="A sender that never pauses takes a core from those who buy.",
        look=f"{SENDER}: when does `send_next` return False?",
    )
    bench.note(
        f"staleness of {len(late)} mails: median {statistics.median(late):.2f} s, worst {max(late):.2f} s; "
        f"when {AT_ONCE} were ordered at once: worst {max(at_once):.2f} s; at rest {share:.0%} of a core"
    )


# ---- task 3


@check("delivered-three-times", task="once", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """An event that is delivered again, at the same moment or after a restart, is one mail."""
    shop, post = _shop(bench)
    one, two = _customer(bench, shop), _customer(bench, shop)
    first, second = _caught(bench, post, one), _caught(bench, post, two)
    answers = [_deliver(shop, first) for _ in range(3)]
    bench.expect(
        answers == [TAKEN] * 3,
        did=f"sent the event of {one.name}'s order to the mailer three times, one after the other",
        expected="200 each time: the sender need not send it again",
        got=f"answers with {', '.join(map(str, answers))}",
        why="A sender whose first answer got lost sends again, and goes on until it hears that all is well.",
        look=SERVICE,
    )
    with ThreadPoolExecutor(3) as pool:
        with _locked(shop, MAILER):
            waiting = [pool.submit(_deliver, shop, second) for _ in range(3)]
            time.sleep(LOCKED_SECONDS)
        answers = [each.result() for each in waiting]
    bench.expect(
        answers == [TAKEN] * 3,
        did=f"sent the event of {two.name}'s order to the mailer three times at the same moment",
        expected="200 each time: one of them writes the mail, and the others find it written",
        got=f"answers with {', '.join(map(str, answers))}",
        why="Between a look at the inbox and the transaction that writes, the event has come by another way.",
        look=f"{SERVICE}: an id that is there already is no error",
    )
    with shop.killed(MAILER):
        pass
    for event in (*_others(first), first, second):
        _deliver(shop, event)
    _expect_one_mail_each(
        bench,
        shop,
        (one, two),
        did=f"sent the event of {one.name}'s order to the mailer three times, and that of {two.name}'s three times "
        f"at the same moment; then killed the mailer, started it again, sent {OTHERS} other events and both once more",
        look=f"{SERVICE}: an id and a mail in one transaction",
        acknowledged=False,
    )


@check("delivered-out-of-order", task="once", shop=False)
def _(bench: Bench) -> None:
    """Events that arrive in another order, some of them again, are one mail each."""
    shop, post = _shop(bench)
    people = [_customer(bench, shop) for _ in range(4)]
    events = [_caught(bench, post, someone) for someone in people]
    for number in (3, 1, 2, 0, 1, 3):
        _deliver(shop, events[number])
    _expect_one_mail_each(
        bench,
        shop,
        people,
        did=f"bought as {', '.join(each.name for each in people)}, and delivered the events in the order 4, 2, 3, 1, "
        "and then 2 and 4 again",
        look=f"{SERVICE}: is an event known because a later one is?",
        acknowledged=False,
    )


@check("the-mailer-keeps-both-or-nothing", task="once", shop=False)
def _(bench: Bench) -> None:
    """The mailer knows an event if and only if its mail is written: both are in one transaction."""
    shop, post = _shop(bench)
    one, two, three = (_customer(bench, shop) for _ in range(3))
    first, second, third = (_caught(bench, post, someone) for someone in (one, two, three))
    with closing(sqlite3.connect(shop.database(MAILER))) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    others = [table for table in tables if table != MAILS and not table.startswith("sqlite_")]
    without = [((MAILS,), first), *([(tuple(others), second)] if others else [((MAILS,), second)])]
    for away, event in without:
        with shop.without_tables(MAILER, *away):
            answer = _deliver(shop, event)
        bench.expect(
            answer != TAKEN,
            did=f"took the mailer's table {', '.join(away)} away, and delivered an event",
            expected="an error, so that the sender tries again",
            got=f"{answer}",
            why="200 means that the event need not be sent again. So it may be said only after the commit.",
            look=SERVICE,
        )
        _deliver(shop, event)
    with _refusing(shop.database(MAILER), MAILS):
        answer = _deliver(shop, third)
    bench.expect(
        answer != TAKEN,
        did=f"let the mailer's database refuse each new row of the table {MAILS}, as a constraint does, and delivered "
        "an event",
        expected="an error, so that the sender tries again",
        got=f"{answer}",
        why="Not every error of integrity means that the event was here before. This mail is not written.",
        look=SERVICE,
    )
    _deliver(shop, third)
    _expect_one_mail_each(
        bench,
        shop,
        (one, two, three),
        did=f"delivered {one.name}'s event while the mailer had no table {MAILS}, {two.name}'s while it had no table "
        f"{', '.join(others) or MAILS}, and {three.name}'s while that refused rows, and each of them again afterwards",
        look=f"{SERVICE}: one transaction for both",
        acknowledged=False,
    )


@check("two-senders-at-once", task="once", shop=False, load=True, seconds=20)
def _(bench: Bench) -> None:
    """While two processes of the monolith send from one outbox, as during a deploy, each order is one mail."""
    shop, post = _shop(bench)
    people = [_customer(bench, shop) for _ in range(4)]
    post.behave(lambda _: _refuse(503))
    try:
        with _second_monolith(bench, shop):
            for someone in people:
                _buy(bench, someone)
            post.behave(_one_is_faster(people[0].email))
            _expect_one_mail_each(
                bench,
                shop,
                people,
                did="started a second process of the monolith, bought as "
                + ", ".join(each.name for each in people)
                + ", and let one of the two wait for the mailer's first answer until the other was at the second event",
                look=f"{SENDER}: which event is marked? {SERVICE}",
            )
    finally:
        post.behave()


# ---- task 4


@check("one-refusal-stops-nobody", task="aside", shop=False, seconds=20)
def _(bench: Bench) -> None:
    """An event that the mailer refuses for ever is put aside and seen, and the events behind it are sent."""
    shop, post = _shop(bench)
    refused = _gauge(bench, shop, "outbox_refused")
    poor = _customer(bench, shop, email=f"jürgen-{bench.random.getrandbits(40):x}@example.com")
    others = [_customer(bench, shop) for _ in range(3)]
    _buy(bench, poor)
    for someone in others[:2]:
        _buy(bench, someone)
    did = f"bought as {poor.name} with the address {poor.email}, which the mailer refuses with 422, and then as "
    _expect_one_mail_each(
        bench, shop, others[:2], did=did + " and ".join(each.name for each in others[:2]), look=SENDER
    )
    _buy(bench, others[2])
    _expect_one_mail_each(bench, shop, others[2:], did=did + others[2].name, look=SENDER)
    now = _gauge(bench, shop, "outbox_refused")
    bench.expect(
        now == refused + 1,
        did=did + "others; then read outbox_refused at /metrics of the monolith",
        expected=f"{refused + 1:.0f}: this event is put aside, with the reason in the column `refused`",
        got=f"{now:.0f}",
        why=f"{poor.name} has paid and hears nothing. Somebody has to see that, or nobody ever will.",
        look=f"{SENDER}; {OUTBOX}: the column refused",
    )
    count = post.count(poor.email)
    bench.expect(
        count <= 2,
        did=did + "others, and counted how often the refused event was sent",
        expected="once or twice: the mailer has said that it will never take it",
        got=f"{count} times",
        why="What is refused for ever and sent for ever becomes load without end, and more of it every day.",
        look=SENDER,
    )


@check("later-is-not-never", task="aside", shop=False, load=True, seconds=25)
def _(bench: Bench) -> None:
    """Every other refusal is taken for "not now": the event waits, those behind it too, and all of them arrive."""
    shop, post = _shop(bench)
    refused = _gauge(bench, shop, "outbox_refused")
    answers = bench.random.sample(NOT_NOW, len(NOT_NOW))
    people = [_customer(bench, shop) for _ in range(len(answers) + 1)]
    not_taken = {someone.email: [answer] for someone, answer in zip(people, answers, strict=False)}
    not_taken[people[0].email] *= FAILURES

    def answer(event: Delivery) -> Reply:
        left = not_taken.get(event.email)
        return _refuse(left.pop()) if left else event.pass_on()

    post.behave(answer)
    for someone in people:
        _buy(bench, someone)
    did = (
        f"bought {len(people)} times, and answered in the mailer's place {', '.join(map(str, answers))}, "
        f"to the first event {FAILURES} times and to the others once"
    )
    _wait_for_mails(shop, people)
    now = _gauge(bench, shop, "outbox_refused")
    bench.expect(
        now == refused,
        did=did,
        expected="nothing put aside",
        got=f"{now - refused:.0f} events that are put aside",
        why="A wrong key gives 401 for a minute. If that minute's events are put aside, their customers hear nothing.",
        look=f"{SENDER}: which answers are for ever?",
    )
    _expect_one_mail_each(bench, shop, people, did=did, look=f"{SENDER}: which answers are for ever?")
    _expect_in_order(bench, post, people, did)


# ---- the shop, and what stands between the monolith and the mailer


@dataclass(frozen=True)
class Delivery:
    """One delivery of an event, on its way to the mailer."""

    call: Call = field(repr=False)
    email: str
    """The customer's."""
    nth: int
    """The how many-th delivery for this customer it is."""

    def pass_on(self) -> Reply:
        """Pass it on to the mailer, and the answer back."""
        return self.call.send()

    def lose_the_answer(self) -> Reply:
        """Pass it on, and close the connection instead of answering."""
        self.call.send()
        return LOSE


Rule = Callable[[Delivery], Reply]


class Post:
    """Stands between the monolith and the mailer, and does with each delivery what its rule says."""

    def __init__(self) -> None:
        self.relay = Relay()
        self.relay.rule = self._answer
        self.taken: list[str] = []
        """Whose events were answered with 200, one after the other."""
        self.last: dict[str, Asked] = {}
        """The last delivery for each address."""
        self.under_way = 0
        """Deliveries that came and have no answer yet."""
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._rule: Rule = Delivery.pass_on
        self._over = threading.Event()

    def behave(self, rule: Rule = Delivery.pass_on) -> None:
        """Do what `rule` says from now on, and let go of what hangs."""
        self._rule = rule
        self._over.set()
        self._over = threading.Event()

    def hang(self) -> None:
        """Answer nothing until `behave`, and pass nothing on."""

        def wait(_: Delivery, over: threading.Event) -> Reply:
            over.wait(HANG_SECONDS)
            return LOSE

        self.behave()
        self._rule = partial(wait, over=self._over)

    def count(self, email: str) -> int:
        """How often events for this address were delivered here."""
        return self._counts[email]

    def _answer(self, call: Call) -> Reply:
        data = call.sent.get("data")
        email = str(data.get("email", "")) if isinstance(data, dict) else ""
        self._counts[email] += 1
        self.last[email] = call.asked
        with self._lock:
            self.under_way += 1
        try:
            reply = self._rule(Delivery(call, email, self._counts[email]))
        finally:
            with self._lock:
                self.under_way -= 1
        if isinstance(reply, tuple) and reply[0] == TAKEN:
            self.taken.append(email)
        return reply


def _one_is_faster(email: str) -> Rule:
    """Two senders bring the first event, to `email`, at once. One has its answer when the other is at the next event.

    The next event is refused for that long, and a little longer. When there is only one sender, everything passes.
    """
    both, overtaken, answered = threading.Event(), threading.Event(), threading.Event()
    firsts = count(1)

    def answer(event: Delivery) -> Reply:
        if event.email == email:
            if next(firsts) == 1:
                both.wait(MEET_SECONDS)
            else:
                both.set()
                overtaken.wait(MEET_SECONDS)
                threading.Timer(EFFECT_SECONDS, answered.set).start()
            return event.pass_on()
        overtaken.set()
        if both.is_set() and not answered.is_set():
            return _refuse(503)
        return event.pass_on()

    return answer


def _refuse(status: int) -> Reply:
    """Answer in the mailer's place."""
    return status, {"type": "/problems/of-the-check", "title": "Not now", "status": status}


@cache
def _post() -> Post:
    return Post()


@cache
def _stock() -> Relay:
    """Stands between the monolith and the inventory."""
    return Relay()


def _shop(bench: Bench) -> tuple[Shop, Post]:
    """The learner's shop, and what stands between its monolith and its mailer."""
    post, stock = _post(), _stock()
    addresses = {"SHOP_MAILER_URL": post.relay.url, "SHOP_INVENTORY_URL": stock.url}
    shop = _with_mailer(bench, bench.shop(env={**addresses, **CHECKED}))
    post.relay.upstream = shop.fleet.internal_ports[MAILER]
    stock.upstream = shop.fleet.internal_ports[INVENTORY]
    post.behave()
    return shop, post


def _with_mailer(bench: Bench, shop: Shop) -> Shop:
    """The same shop; NotYet unless it has a mailer."""
    bench.expect(
        f"{MAILER}-1" in shop.names() and MAILER in shop.fleet.internal_ports,
        did="looked at the shop's processes",
        expected=f"a process {MAILER}-1, which the monolith needs",
        got=", ".join(shop.names()),
        why="The start has it: a service that writes mails.",
        look="topology.py",
    )
    return shop


def _deliver(shop: Shop, event: Asked) -> int:
    """Deliver an event to the mailer once more, past the gateway; the status of the answer, 0 without one."""
    headers = {name: event.headers[name] for name in ("Authorization", "Content-Type") if event.headers[name]}
    url = f"http://127.0.0.1:{shop.fleet.replicas(MAILER)[0].port}{event.path}"
    with new_session() as session, suppress(requests.RequestException):
        return session.post(url, data=event.body, headers=headers, timeout=10).status_code
    return 0


def _others(event: Asked) -> Iterator[Asked]:
    """Events about orders of other people."""
    for number in range(OTHERS):
        sent = json.loads(event.body)
        about = {"order_id": uuid.uuid4().hex, "email": f"somebody-{number}@example.com"}
        sent = {**sent, "id": uuid.uuid4().hex, "data": {**sent["data"], **about}}
        yield replace(event, body=json.dumps(sent).encode())


def _caught(bench: Bench, post: Post, someone: Customer) -> Asked:
    """Buy, and catch the event that the monolith sends: the mailer does not get it."""
    post.behave(lambda _: (TAKEN, {}))
    try:
        _buy(bench, someone)
        with suppress(TimeoutError):
            _until(lambda: post.count(someone.email), ARRIVES_SECONDS)
    finally:
        post.behave()
    bench.expect(
        someone.email in post.last,
        did=f"bought as {someone.name}, and waited at SHOP_MAILER_URL for the event",
        expected=f"a POST to /internal/events within {ARRIVES_SECONDS:.0f} s, with data.email {someone.email}",
        got="none",
        why="The mailer learns of an order only by its event.",
        look=SENDER,
    )
    return post.last[someone.email]


@contextmanager
def _locked(shop: Shop, service: str) -> Iterator[None]:
    """Nobody else can write to the service's database while the block runs."""
    with closing(sqlite3.connect(shop.database(service), timeout=5, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            db.execute("ROLLBACK")


@contextmanager
def _refusing(database: Path, table: str) -> Iterator[None]:
    """No new row of the table is taken while the block runs."""
    with closing(sqlite3.connect(database, timeout=10)) as db:
        db.execute(
            f"CREATE TRIGGER refusing BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        try:
            yield
        finally:
            db.execute("DROP TRIGGER refusing")


@contextmanager
def _second_monolith(bench: Bench, shop: Shop) -> Iterator[None]:
    """A second process of the monolith on the same database, as during a deploy."""
    port = _free_port()
    second = subprocess.Popen(  # noqa: S603 -- the command of the shop's own process
        [sys.executable, "-m", "monolith.cli", "serve", "--host", "127.0.0.1", "--port", str(port)],
        cwd=shop.folder,
        env=shop.environment("monolith"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        bench.wait_until(lambda: _is_ready(port), 30.0, "a second process of the monolith that is ready")
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(second.pid, signal.SIGKILL)
        second.wait()


def _busy_share(shop: Shop) -> float:
    """The share of a core that the monolith uses now."""
    processes = [psutil.Process(pid) for pid in shop.pids("monolith")]

    def seconds() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before, started = seconds(), time.monotonic()
    time.sleep(REST_SECONDS)
    return (seconds() - before) / (time.monotonic() - started)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int) -> bool:
    with suppress(requests.RequestException):
        return (
            requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2, proxies={"http": ""}).status_code
            == 200
        )
    return False


def _gauge(bench: Bench, shop: Shop, name: str) -> float:
    """A gauge at /metrics of the monolith."""
    port, text = shop.fleet.replicas("monolith")[0].port, ""
    with new_session() as session, suppress(requests.RequestException):
        text = session.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    found = re.search(GAUGE.format(name=name), text, re.MULTILINE)
    bench.expect(
        found,
        did=f"curl http://127.0.0.1:{port}/metrics",
        expected=f"a line with {name}",
        got="none",
        why="What nobody can see nobody repairs.",
        look=f"{OUTBOX}: show_gauges",
    )
    return float(found[1]) if found else 0.0


# ---- databases


def _rows(bench: Bench, shop: Shop) -> list[str]:
    """The content of each event in the outbox."""
    try:
        with closing(sqlite3.connect(shop.database("monolith"), timeout=10)) as db:
            return [str(data) for (data,) in db.execute(f"SELECT data FROM {TABLE} ORDER BY position")]  # noqa: S608
    except sqlite3.Error as error:
        raise bench.not_yet(
            did="read the table outbox of the monolith's database",
            expected="a table outbox with the columns position and data, as at the start",
            got=error,
            why="The event is to be in the same database as the order, or they cannot be in one transaction.",
            look=OUTBOX,
        ) from None


def _expect_one_event(bench: Bench, shop: Shop, order_id: str, *, did: str, why: str, look: str) -> None:
    """NotYet unless the outbox has exactly one event of the order."""
    found = [row for row in _rows(bench, shop) if order_id in row]
    bench.expect(
        len(found) == 1,
        did=did,
        expected=f"one event with the id of the order {order_id}",
        got=f"{len(found)} of them",
        why=why,
        look=look,
    )


def _is_committed(shop: Shop, someone: Customer) -> bool:
    with closing(sqlite3.connect(shop.database("monolith"), timeout=10)) as db:
        query = "SELECT count(*) FROM orders WHERE customer_id = ? AND status = 'confirmed'"
        return bool(db.execute(query, (someone.id,)).fetchone()[0])


def _is_told(bench: Bench, shop: Shop, order_id: str) -> bool:
    """Whether there is an event, or already a mail, of this order."""
    return any(order_id in row for row in _rows(bench, shop)) or any(
        mail.order_id == order_id for mail in _mails(shop)
    )


def _events_wait(shop: Shop) -> bool:
    """Whether an event is in the outbox that may still be sent; also when the table does not tell."""
    waiting = "SELECT count(*) FROM outbox WHERE sent_at IS NULL AND refused IS NULL"
    with suppress(sqlite3.Error), closing(sqlite3.connect(shop.database("monolith"), timeout=10)) as db:
        return bool(db.execute(waiting).fetchone()[0])
    return True


def _mails_wait(shop: Shop) -> bool:
    """Whether a mail is written that is not with the post office yet."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(shop.database(MAILER), timeout=10)) as db:
        return bool(db.execute("SELECT count(*) FROM mails WHERE delivered_at IS NULL").fetchone()[0])
    return False


# ---- customers


@dataclass(frozen=True)
class Order:
    """An order as the API showed it."""

    id: str
    total_cents: int
    at: float
    """When the answer came, in seconds since the epoch."""


@dataclass
class Customer:
    """Somebody who buys."""

    visitor: Visitor
    name: str
    email: str
    orders: list[Order] = field(default_factory=list)

    @property
    def id(self) -> str:
        """As the shop knows the customer."""
        return self.visitor.id


@dataclass(frozen=True)
class Mail:
    """A mail at the post office."""

    email: str
    name: str
    order_id: str
    total_cents: int
    at: float
    """When it was delivered, in seconds since the epoch."""


def _customer(bench: Bench, shop: Shop, email: str | None = None) -> Customer:
    name = f"{bench.random.choice(FIRST_NAMES)} {bench.random.choice(LAST_NAMES)}"
    email = email or f"{name.partition(' ')[0].lower()}-{bench.random.getrandbits(48):x}@example.com"
    new = shop.ask("POST", "/api/customers", json={"email": email, "password": PASSWORD, "name": name})
    bench.expect(
        new.status == 201,
        expected="201",
        got=new,
        why="The checks act as customers.",
        look="monolith/accounts",
    )
    return Customer(shop.customer(email), name, email)


def _products(bench: Bench, someone: Customer) -> list[str]:
    answer = someone.visitor.ask("GET", "/api/products?page_size=50")
    body = answer.json()
    items = body.get("items") if isinstance(body, dict) else None
    skus = [item.get("sku") for item in items or [] if isinstance(item, dict)]
    bench.expect(
        skus,
        expected="products",
        got=answer,
        why="The checks choose their products from this list.",
        look="microservices/catalog",
    )
    return [str(sku) for sku in skus]


def _fill_cart(bench: Bench, someone: Customer) -> None:
    for sku in bench.random.sample(_products(bench, someone), 2):
        quantity = bench.random.randint(1, 3)
        answer = someone.visitor.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": quantity})
        bench.expect(
            answer.status == 200,
            expected="200 and the cart",
            got=answer,
            why="A product that the shop has can be put into the cart.",
            look="monolith/cart",
        )


def _key(bench: Bench) -> str:
    return f"check-{bench.random.getrandbits(64):016x}"


def _check_out(bench: Bench, someone: Customer, key: str | None = None, card: str = APPROVED) -> Answer:
    """Buy what is in the cart; an Answer with status 0 when nothing comes."""
    headers = {"Idempotency-Key": key or _key(bench)}
    return someone.visitor.try_ask("POST", "/api/orders", json={"card_number": card}, headers=headers)


def _placed(bench: Bench, someone: Customer, answer: Answer) -> Order:
    """The order of this answer, which is added to the customer's; NotYet when there is none."""
    body = answer.json()
    bench.expect(
        answer.status == 201 and isinstance(body, dict) and {"id", "total_cents"} <= body.keys(),
        expected="201 and the order",
        got=answer,
        why="Whether a mail can be sent now is no reason to refuse an order.",
        look=CHECKOUT,
    )
    order = Order(str(body["id"]), int(body["total_cents"]), time.time())
    someone.orders.append(order)
    return order


def _buy(bench: Bench, someone: Customer) -> Order:
    _fill_cart(bench, someone)
    return _placed(bench, someone, _check_out(bench, someone))


def _ordered(bench: Bench, someone: Customer) -> list[str]:
    """The ids of the customer's orders, newest first."""
    answer = someone.visitor.ask("GET", "/api/orders")
    body = answer.json()
    items = body.get("items") if isinstance(body, dict) else None
    bench.expect(
        isinstance(items, list),
        expected="the customer's orders",
        got=answer,
        why="The checks compare orders with mails.",
        look="monolith/orders",
    )
    return [str(item["id"]) for item in items or []]


# ---- mails


def _mails(shop: Shop) -> list[Mail]:
    """All mails at the post office."""
    folder = Path(shop.database("monolith")).parent.parent / "mail" / "new"
    return [_read(file) for file in sorted(folder.glob("*.eml"))]


def _read(file: Path) -> Mail:
    mail = message_from_bytes(file.read_bytes(), policy=default)
    to = mail["To"].addresses[0] if mail["To"] and mail["To"].addresses else None
    body = mail.get_body()
    total = TOTAL.search(body.get_content() if body else "")
    return Mail(
        email=to.addr_spec if to else "",
        name=to.display_name if to else "",
        order_id=str(mail["Subject"] or "").rpartition(" ")[2],
        total_cents=int(total[1].replace(",", "")) * 100 + int(total[2]) if total else -1,
        at=file.stat().st_mtime,
    )


def _staleness(shop: Shop, people: Sequence[Customer]) -> list[float]:
    """The seconds from each order of these people to its mail; all have one."""
    at = {mail.order_id: mail.at for mail in _mails(shop)}
    return [max(0.0, at[order.id] - order.at) for someone in people for order in someone.orders]


def _until(happened: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(POLL_SECONDS)


def _wait_for_mails(shop: Shop, people: Sequence[Customer], *, acknowledged: bool = True) -> None:
    """Until each order of these people has a mail and no mail waits; not longer than the README promises.

    `acknowledged`: and until the mailer's 200 for each order has gone back, because an event may come again before.
    It also ends when nothing can come any more.
    """
    last = time.monotonic()

    def all_there() -> bool:
        counts = {someone.email: _post().taken.count(someone.email) for someone in people}
        if acknowledged and any(counts[someone.email] < len(someone.orders) for someone in people):
            return False
        have = {mail.order_id for mail in _mails(shop)}
        return all(order.id in have for each in people for order in each.orders) and not _mails_wait(shop)

    def over() -> bool:
        nonlocal last
        if _post().under_way or _events_wait(shop) or _mails_wait(shop):
            last = time.monotonic()
        return all_there() or time.monotonic() - last > QUIET_SECONDS

    with suppress(TimeoutError):
        _until(over, ARRIVES_SECONDS)


def _expect_one_mail_each(
    bench: Bench,
    shop: Shop,
    people: Sequence[Customer],
    *,
    did: str,
    look: str,
    acknowledged: bool = True,
) -> None:
    """NotYet unless each order of these people has one mail, with its number, its total and the right customer."""
    _wait_for_mails(shop, people, acknowledged=acknowledged)
    wrong = [sentence for someone in people for sentence in _wrong(shop, someone)]
    bench.expect(
        not wrong,
        did=did,
        expected="one mail for each order, to the customer, with its order_id and its total",
        got="; ".join(wrong),
        why="No mail, and the customer orders again; two mails, and the customer asks whether it was charged twice.",
        look=look,
    )


def _wrong(shop: Shop, someone: Customer) -> Iterator[str]:
    """A sentence for each order that has no mail, more than one, or a wrong one."""
    mails = _mails(shop)
    for order in someone.orders:
        mine = [mail for mail in mails if mail.order_id == order.id]
        if len(mine) != 1:
            count = f"{len(mine)} mails" if mine else "no mail"
            yield f"{someone.name} has {count} about the order {order.id[:8]}"
            continue
        expected = (someone.email, someone.name, order.total_cents)
        got = (mine[0].email, mine[0].name, mine[0].total_cents)
        if got != expected:
            yield f"the mail about order {order.id[:8]} is for {got[1]} <{got[0]}> with a total of {got[2]} cents, not "
            f"for {expected[1]} <{expected[0]}> with {expected[2]}"
    known = {order.id for order in someone.orders}
    for mail in mails:
        if mail.email == someone.email and mail.order_id not in known:
            yield f"{someone.name} has a mail about the order {mail.order_id}, which does not exist"


def _expect_in_order(bench: Bench, post: Post, people: list[Customer], did: str) -> None:
    """NotYet unless the mailer took the events of these people in the order of `people`."""
    names = {someone.email: someone.name for someone in people}
    got = list(dict.fromkeys(names[email] for email in post.taken if email in names))
    expected = list(dict.fromkeys(names.values()))
    bench.expect(
        got == expected,
        did=did,
        expected=f"the events in the order in which they were written: {', '.join(expected)}",
        got=", ".join(got),
        why="When one order is confirmed and later cancelled, the mails must not arrive the other way round.",
        look=f"{SENDER}: the first one that waits, and no other before it",
    )
