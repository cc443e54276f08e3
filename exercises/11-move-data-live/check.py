"""11: the stock moves to a service while people buy. No write is lost, and both sides agree in the end.

A relay stands between the monolith and the service, and another one between the mover and the service. Each passes on
what is sent, refuses it, or holds it back until it is too late. All else is looked up in the two databases.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import requests

from exercises.checks.checking import Answer, Bench, CheckError, Ran, Shop, Visitor, check
from exercises.checks.standin import scratch
from loadtests.contract.client import new_session
from microservices.chaos.standin import LOSE, Asked, StandIn
from microservices.chaos.standin import Answer as Reply

SERVICE = "inventory"
MOVE = ("-m", "monolith.inventory.move")
INCOMING, SERVICES = "microservices/inventory/incoming.py", "monolith/inventory/service.py"
STATES, SENDER, MOVER, READS = (
    f"monolith/inventory/{name}.py" for name in ("states", "sender", "move", "reads")
)
TOPOLOGY, ROUTES = "topology.py", "Caddyfile"
APPROVED, DECLINED = "4242424242424242", "4000000000000002"
PASSED_ON = {"authorization", "content-type", "x-request-id", "x-deadline-ms", "traceparent", "accept"}
ANSWER_SECONDS, HOLD_SECONDS = 10.0, 30.0
ARRIVED_SECONDS, ENDED_SECONDS = 8.0, 15.0
"""Until a change has to be in the service; and after an outage, in which a breaker may have opened."""
MAX_CHECKOUT_SECONDS = 2.5
BUSY = 0.5
"""Cores that other programs use. Above this, a late checkout is inconclusive."""
SWITCHED_SECONDS = 2.0
MISSED_SECONDS = 3.0
"""A sender that got no answer tries again within a second or two."""
VERSIONS = "stock_versions"
MORE_AVAILABLE = "UPDATE stock SET available = available + 7, received = received + 7 WHERE sku = ?"
MORE_SOLD = "UPDATE stock SET sold = sold + 7, received = received + 7 WHERE sku = ?"
NONE_LEFT = "UPDATE stock SET received = received - available, available = 0 WHERE sku = ?"
AHEAD = "UPDATE known_versions SET version = version + 50 WHERE sku = ?"
SLOWLY = ("copy", "--batch", "40", "--pause", "0.3")
HELD_SECONDS = 0.5
"""How long a batch of the copy is held back at most. The mover waits twice as long for an answer."""
BATCH, PAUSE, FEW = 10, 0.12, 3
UNTIL_EQUAL = ("compare", "--until-equal", "20")
COMMAND_SECONDS = 40.0
ENDS = "lost-transaction"
"""In this exercise the sale moves too, and the move is over."""


@dataclass
class Gate:
    """Where writes are held back."""

    opened: threading.Event = field(default_factory=threading.Event)
    loses: bool = True
    """Whether what was held is lost when it opens."""


@dataclass
class Mover:
    """A run of the mover."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self.process.poll()

    def said(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """SIGKILL, for it and what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Relay:
    """Passes on what comes to the service, until it is told otherwise."""

    def __init__(self) -> None:
        self._stand_in = StandIn(self._respond)
        self.url = self._stand_in.url
        self.upstream = 0
        """The port of the service."""
        self._lock = threading.Lock()
        self._mode, self._gate, self._after = "pass", Gate(), 0
        self.held = 0
        """Requests that were held back since `hold`."""
        self.late = 0
        """Requests that were passed on late."""
        self.refused = 0
        """Those of them that the service refused."""

    def behave(self, mode: str, after: int = 0) -> None:
        """From now on `pass`, `refuse` (503) or `hold` every write after the first `after`. What is held stays held."""
        with self._lock:
            self._mode, self._after = mode, after
            self._stand_in.asked.clear()

    def hold(self, after: int = 0) -> None:
        """Hold back the writes from now on."""
        with self._lock:
            self._gate, self.held, self.late, self.refused = Gate(), 0, 0, 0
        self.behave("hold", after)

    def let_go(self, *, lose: bool) -> None:
        """Pass on what was held, or lose it; and pass on what comes."""
        self._mode = "pass"
        self._gate.loses = lose
        self._gate.opened.set()

    def let_the_next_pass(self) -> None:
        """Pass on what comes from now on; what was held stays held."""
        self._mode = "pass"

    def writes(self) -> int:
        """How many writes came since `behave`."""
        return sum(asked.method != "GET" for asked in list(self._stand_in.asked))

    def reads(self, sku: str) -> int:
        """How many questions for a product's stock came since `behave`."""
        return sum(
            asked.method == "GET" and asked.route == f"/api/inventory/{sku}"
            for asked in list(self._stand_in.asked)
        )

    def _respond(self, asked: Asked) -> Reply:
        with self._lock:
            mode, gate = self._mode, self._gate
            if asked.method == "GET":
                mode = "pass"
            elif self._after > 0:
                self._after -= 1
                mode = "pass"
            if mode == "hold":
                self.held += 1
        if mode == "refuse":
            return 503, {"type": "/problems/unavailable", "title": "Not now", "status": 503}
        if mode == "hold":
            gate.opened.wait(HOLD_SECONDS)
            if gate.loses:
                return LOSE
        reply = self._forward(asked)
        if mode == "hold":
            self.refused += not isinstance(reply, tuple) or reply[0] >= 300
            self.late += 1
        return reply

    def _forward(self, asked: Asked) -> Reply:
        headers = {name: text for name, text in asked.headers.items() if name.lower() in PASSED_ON}
        try:
            with new_session() as session:
                answer = session.request(
                    asked.method,
                    f"http://127.0.0.1:{self.upstream}{asked.path}",
                    data=asked.body,
                    headers={**headers, "Accept-Encoding": "identity"},
                    timeout=ANSWER_SECONDS,
                    allow_redirects=False,
                )
        except requests.RequestException:
            return LOSE
        kind = answer.headers.get("Content-Type", "application/json")
        return answer.status_code, answer.content or None, {"Content-Type": kind}


@cache
def _relay() -> Relay:
    """Between the monolith and the service."""
    return Relay()


@cache
def _movers() -> Relay:
    """Between the mover and the service."""
    return Relay()


# ---- task 1


@check("the-copy-arrives", task="copy", shop=False, until=ENDS, seconds=20)
def _(bench: Bench) -> None:
    """The copy brings every product to the service, which takes it only from the monolith. Somebody buys meanwhile."""
    shop = _shop(bench)
    for port, expected, says in (
        (int(shop.url.rpartition(":")[2]), 404, "through the gateway, as a visitor"),
        (_movers().upstream, 401, "at the service's own address, without a token"),
    ):
        _refuses_strangers(bench, port, expected, says)
    first = _skus(bench)[0]
    before = _stock(bench, "monolith")
    with _moving(bench, shop, *SLOWLY) as copying:
        _wait_for_rows(bench, copying, 1)
        _buy(bench, shop.customer(), first, 2)
    _ended_well(bench, copying, "copy")
    there = _stock(bench, SERVICE)
    wrong = [sku for sku in before if sku != first and there.get(sku) != before[sku]]
    bench.expect(
        not wrong,
        did="copied the stock: exercises run monolith -m monolith.inventory.move copy",
        expected=f"the {len(before)} products of the monolith in the service",
        got=f"{len(wrong)} are missing or different, such as {_both(bench, wrong[0])}" if wrong else "",
        why="Without a copy, the service knows only what is changed from now on.",
        look=f"{TOPOLOGY}; {MOVER}: copy",
    )
    if _stock(bench, "monolith")[first] != there[first]:
        bench.note(
            f"LOST: while the copy ran, somebody bought 2 of {first}. Now {_both(bench, first)}. "
            "The copy was complete, and wrong"
        )


# ---- task 2


@check("every-change-arrives", task="both", shop=False, until=ENDS, seconds=25)
def _(bench: Bench) -> None:
    """What is sold, and what an administrator sets, arrives at the service; what was refused does not."""
    shop = _shop(bench)
    *sold, counted, refused = bench.random.sample(_skus(bench), 4)
    before = _stock(bench, "monolith")[refused]
    someone = shop.customer()
    _put(bench, someone, sold[0], 2)
    _buy(bench, someone, sold[1], 3)
    did = f"bought 2 of {sold[0]} and 3 of {sold[1]} in one order"
    _expect_there(bench, sold, did, "both also in the service", f"{SERVICES}: sell; {SENDER}")
    _set(bench, shop, counted, bench.random.randint(500, 900))
    _expect_there(
        bench,
        [counted],
        f"set the stock of {counted} as an administrator",
        "the number in the service too",
        f"{SERVICES}: set_available",
    )
    _put(bench, someone, refused, 4)
    answer = _check_out(bench, someone, DECLINED)
    bench.expect(
        answer.status == 402,
        expected="402: the card is declined",
        got=answer,
        why="A sale that is refused changes nothing, here or there.",
        look="monolith/orders/checkout.py",
    )
    _set(bench, shop, counted, bench.random.randint(500, 900))
    _expect_there(
        bench, [counted], f"set the stock of {counted} again", "the number in the service too", SENDER
    )
    there = _stock(bench, SERVICE).get(refused, before)
    bench.expect(
        there == before,
        did=f"tried to buy 4 of {refused} with a card that is declined",
        expected=f"nothing about it in the service, or what the monolith has: {before[1]} available",
        got=f"{there[1]} available in the service",
        why="What is sent before the commit may never have happened.",
        look=f"{SENDER}: send what was committed",
    )


@check("bought-while-sending", task="both", shop=False, until=ENDS, seconds=25)
def _(bench: Bench) -> None:
    """What is bought while an earlier state of the same product is on its way arrives too."""
    shop = _shop(bench)
    sku = bench.random.choice(_skus(bench))
    buyers = [shop.customer(), shop.customer()]
    for buyer in buyers:
        _put(bench, buyer, sku, 1)
    _relay().hold()
    first = threading.Thread(target=_check_out, args=(bench, buyers[0], APPROVED))
    first.start()  # a request that sends the state itself is answered later
    _wait_for(lambda: _relay().held)
    sold = _stock(bench, "monolith")[sku][2]
    second = threading.Thread(target=_check_out, args=(bench, buyers[1], APPROVED))
    second.start()
    _wait_for(lambda: _stock(bench, "monolith")[sku][2] > sold, HELD_SECONDS)
    _relay().let_go(lose=False)
    first.join()
    second.join()
    _expect_there(
        bench,
        [sku],
        f"bought {sku}, and once more while the state after the first sale was on its way",
        "both sales also in the service",
        f"{STATES}: which version has the service confirmed?",
        ENDED_SECONDS,
    )


@check("buying-goes-on", task="both", shop=False, load=True, until=ENDS, seconds=40)
def _(bench: Bench) -> None:
    """While the service does not answer, people buy; the difference is seen, and ends by itself."""
    shop = _shop(bench, empty=False)
    _make_equal(bench, shop)
    sku = bench.random.choice(_skus(bench))
    someone = shop.customer()
    _buy(bench, someone, sku, 1)
    _expect_there(bench, [sku], f"bought 1 of {sku}", "every sale also in the service", SENDER)
    began = time.monotonic()
    _relay().hold()
    slowest = 0.0
    for _ in range(3):
        _put(bench, someone, sku, 1)
        answer = _check_out(bench, someone, APPROVED)
        slowest = max(slowest, answer.seconds)
        if answer.status == 201 and answer.seconds >= MAX_CHECKOUT_SECONDS and bench.busy() > BUSY:
            raise bench.inconclusive(f"a checkout took {slowest:.1f} s, but other programs used the machine")
        bench.expect(
            answer.status == 201 and answer.seconds < MAX_CHECKOUT_SECONDS,
            did=f"bought 1 of {sku} while the inventory service hangs: {answer.curl}",
            expected=f"201 in less than {MAX_CHECKOUT_SECONDS:g} s",
            got=f"{answer} after {answer.seconds:.1f} s",
            why="The sale is complete when the monolith has committed it. A copy must not stop it.",
            look=f"{SENDER}: who waits for the second write?",
        )
    # One more write is held back, so that the newest state is lost too. Not every sender has more.
    held = _relay().held
    _wait_for(lambda: _relay().held > held, MISSED_SECONDS)
    seen = _moved(bench, shop, "compare")
    bench.expect(
        seen.status == 1 and sku in seen.out,
        did=f"{_typed('compare')}, while 3 sales of {sku} have not arrived",
        expected=f"exit status 1, and a line about {sku}",
        got=_shown(seen),
        why="A difference that nobody sees grows until the switch.",
        look=f"{MOVER}: compare",
    )
    _relay().let_go(lose=True)
    ended = _expect_there(
        bench,
        [sku],
        f"let the service answer again, after it had missed 3 sales of {sku}",
        "the same numbers on both sides, without anybody's help",
        f"{SENDER}: what was not confirmed is sent again",
        ENDED_SECONDS,
    )
    bench.note(
        f"slowest checkout {slowest:.2f} s; the sides differed for {time.monotonic() - began:.1f} s, "
        f"the last {ended:.1f} s of them with a service that answers"
    )


@check("killed-between-the-writes", task="both", shop=False, until=ENDS, seconds=30)
def _(bench: Bench) -> None:
    """The monolith is killed after its commit and before the second write, and the service too; the sale arrives."""
    shop = _shop(bench)
    sku = bench.random.choice(_skus(bench))
    someone = shop.customer()
    _relay().hold()
    _buy(bench, someone, sku, 2)
    shop.kill("monolith")
    shop.kill(SERVICE)
    _relay().let_go(lose=True)
    shop.revive()
    _expect_there(
        bench,
        [sku],
        f"bought 2 of {sku}, killed the monolith and the service (kill -9) before the second write, and started both",
        "the sale in the service too",
        f"{STATES}: what is to be sent must be in the database, in the sale's own transaction",
        ENDED_SECONDS,
    )
    _no_sale_without_its_version(bench, shop, someone, sku)


def _no_sale_without_its_version(bench: Bench, shop: Shop, someone: Visitor, sku: str) -> None:
    """While no version can be written, no stock is changed either: both are in one transaction."""
    before = _stock(bench, "monolith")[sku]
    _put(bench, someone, sku, 1)
    with _table_away(bench, shop):
        answer = _check_out(bench, someone, APPROVED)
    bench.expect(
        answer.status != 201 and _stock(bench, "monolith")[sku] == before,
        did=f"took the table {VERSIONS} away and bought {sku}: {answer.curl}",
        expected="no sale: its version is written in the same transaction",
        got=f"{answer.status}; {_words(_stock(bench, 'monolith')[sku])}, before it {_words(before)}",
        why="Between two transactions a process can be killed. Then nobody knows that there is something to send.",
        look=f"{SERVICES}; {STATES}",
    )


@contextmanager
def _table_away(bench: Bench, shop: Shop) -> Iterator[None]:
    try:
        with shop.without_tables("monolith", VERSIONS):
            yield
    except CheckError as error:
        raise bench.not_yet(
            did=f"looked for the table {VERSIONS}",
            expected="the table, as models.py has it",
            got=error,
            why="Without versions nobody knows which of two states is newer.",
            look="monolith/inventory/models.py",
        ) from None


@check("a-late-write-is-ignored", task="both", shop=False, until=ENDS, seconds=30)
def _(bench: Bench) -> None:
    """Two changes of one product arrive in the wrong order; the newer one stays."""
    shop = _shop(bench)
    sku = bench.random.choice(_skus(bench))
    older, newer = bench.random.sample(range(1000, 2000), 2)
    _relay().hold()
    _set(bench, shop, sku, older)
    with suppress(Exception):
        bench.wait_until(lambda: _relay().held, ARRIVED_SECONDS, "a second write")
    bench.expect(
        _relay().held,
        did=f"set the stock of {sku} to {older}, and waited for the second write",
        expected="a write to the service",
        got=f"none within {ARRIVED_SECONDS:g} s",
        why="The service has to get every change.",
        look=SENDER,
    )
    _relay().let_the_next_pass()
    _set(bench, shop, sku, newer)
    did = f"set the stock of {sku} to {older} and then to {newer}; the first write came last"
    _expect_there(bench, [sku], did, f"{newer} in the service", SENDER, ENDED_SECONDS)
    held = _relay().held
    _relay().let_go(lose=False)
    bench.wait_until(lambda: _relay().late >= held, ANSWER_SECONDS, "an answer to the late write")
    there = _stock(bench, SERVICE)[sku]
    bench.expect(
        there[1] == newer,
        did=did,
        expected=f"{newer} in the service, as in the monolith",
        got=f"{there[1]}",
        why="A network does not keep the order. The last one to arrive is not the newest.",
        look=f"{INCOMING}: which of two states of a product is newer?",
    )
    bench.expect(
        not _relay().refused,
        did=did,
        expected="a service that ignores it and says nothing",
        got=f"{_relay().refused} of {held} late writes were refused",
        why="A batch with one old state in it would be refused for ever, and the new ones in it with it.",
        look=INCOMING,
    )


# ---- task 3


@check("no-write-is-lost", task="again", shop=False, until=ENDS, seconds=40)
def _(bench: Bench) -> None:
    """While the copy runs people buy, before and after their product is copied and just then; nothing is lost."""
    shop = _shop(bench)
    skus = _skus(bench)
    first, last, counted = skus[0], skus[-1], skus[len(skus) // 2]
    buyer = shop.customer()
    _movers().hold()
    with _moving(bench, shop, *SLOWLY) as copying:
        _wait_for(lambda: _movers().held or copying.has_ended)
        _buy(bench, buyer, first, 1)
        _wait_for(lambda: _both_have(bench, first), HELD_SECONDS)
        _movers().let_go(lose=False)
        _buy_and_count(bench, shop, buyer, copying, (first, last), counted)
    if copying.status:  # it waited too long for its first batch, so it begins again
        _movers().behave("pass")
        with _moving(bench, shop, *SLOWLY) as copying:
            _buy_and_count(bench, shop, buyer, copying, (first, last), counted)
        _ended_well(bench, copying, "copy")
    _expect_there(
        bench,
        list(_stock(bench, "monolith")),
        f"bought {first} and {last} and set {counted} while the copy ran, so that a row of the copy came last",
        "every product with the same numbers on both sides",
        f"{INCOMING}: may an older row replace a newer one, and what happens to the rest of its batch? {MOVER}: copy",
        ENDED_SECONDS,
    )


def _buy_and_count(
    bench: Bench, shop: Shop, buyer: Visitor, copying: Mover, bought: tuple[str, str], counted: str
) -> None:
    """Change stock while the copy runs: what was copied already, what will be the last, and something between."""
    _wait_for(lambda: _movers().writes() or copying.has_ended, COMMAND_SECONDS)
    for sku in bought:
        _buy(bench, buyer, sku, 2)
    _set(bench, shop, counted, bench.random.randint(500, 900))


@check("goes-on-after-a-kill", task="again", shop=False, load=True, until=ENDS, seconds=60)
def _(bench: Bench) -> None:
    """The copy goes on where it was killed, or where the service went away, and loses nothing."""
    shop = _shop(bench)
    all_batches = -(-len(_skus(bench)) // BATCH)
    options = ("copy", "--batch", f"{BATCH}", "--pause", f"{PAUSE}")
    with _moving(bench, shop, *options) as copying:
        _wait_for_rows(bench, copying, FEW * BATCH)
        copying.kill()
    killed_at = len(_stock(bench, SERVICE)) // BATCH
    if killed_at >= all_batches - FEW:
        raise bench.inconclusive("the copy was almost complete before it could be killed")
    buyer = shop.customer()
    _buy(bench, buyer, _skus(bench)[0], 1)
    _movers().behave("refuse", after=FEW)
    stopped = _moved(bench, shop, *options)
    bench.expect(
        stopped.status not in {0, 124} and stopped.err.strip() and "Traceback" not in stopped.err,
        did=f"{_typed('copy')}, and stopped the service in the middle of it",
        expected="one sentence, no traceback, and an exit status that is not 0",
        got=_shown(stopped),
        why="Somebody has to know that the copy is not complete.",
        look=f"{MOVER}: main",
    )
    _movers().behave("pass")
    _expect_moved(bench, shop, *options)
    sent, most = _movers().writes(), all_batches - killed_at - FEW + 2
    bench.expect(
        sent <= most,
        did=f"killed the copy after {killed_at} of {all_batches} batches, stopped the service after {FEW} more, "
        "and started the copy again",
        expected=f"at most {most} more batches",
        got=f"{sent} batches",
        why="A copy of some hours that begins again after each interruption may never end.",
        look=f"{MOVER}: a bookmark, written when the service has the batch",
    )
    _expect_there(
        bench,
        list(_stock(bench, "monolith")),
        "interrupted the copy twice, and bought something between",
        "every product with the same numbers on both sides",
        f"{MOVER}: is the bookmark written before the service has the batch?",
    )
    _empty(bench)
    _expect_moved(bench, shop, "copy")
    bench.expect(
        len(_stock(bench, SERVICE)) == len(_skus(bench)),
        did=f"emptied the service's table after the copy was complete: {_typed('copy')}",
        expected="every product again: a copy that is complete leaves no bookmark",
        got=f"{len(_stock(bench, SERVICE))} of {len(_skus(bench))} products",
        why="When a service has lost its database, somebody copies again.",
        look=f"{MOVER}: what happens to the bookmark at the end?",
    )


# ---- task 4


@check("compare-tells-the-truth", task="compare", shop=False, load=True, until=ENDS, seconds=60)
def _(bench: Bench) -> None:
    """Compare names what is different and nothing else, also while people buy; repair makes it equal."""
    shop = _shop(bench, empty=False)
    _make_equal(bench, shop)
    skus = _skus(bench)
    *changed, ahead, missing, fine = bench.random.sample(skus[1:-1], 5)
    for sku, sql in zip((*changed, ahead), (MORE_AVAILABLE, MORE_SOLD, MORE_AVAILABLE), strict=True):
        _execute(bench, sql, sku)
    _execute(bench, AHEAD, ahead)
    _execute(bench, "DELETE FROM stock WHERE sku = ?", missing)
    found = _moved(bench, shop, "compare")
    named = {sku for sku in skus if sku in found.out}
    bench.expect(
        found.status == 1 and named == {*changed, ahead, missing},
        did=f"changed what is available of {changed[0]} and sold of {changed[1]}, gave {ahead} other numbers and a "
        f"version that is 50 higher, and deleted {missing}, in the service's database: {_typed('compare')}",
        expected=f"exit status 1, and lines about {', '.join(changed)}, {ahead} and {missing} only",
        got=f"{_shown(found)}{_left_out((*changed, ahead, missing), named)}",
        why="Numbers can be wrong although every version is right. Only a comparison of all numbers shows it.",
        look=f"{MOVER}: _differing",
    )
    _expect_moved(bench, shop, "repair")
    _expect_there(
        bench,
        skus,
        f"then: {_typed('repair')}",
        "every product with the same numbers on both sides",
        f"{MOVER}: repair; {INCOMING}: the same version may come again; {STATES}: is the version of {ahead} higher now "
        "than the service's?",
        1.0,
    )
    _set(bench, shop, ahead, bench.random.randint(500, 900))
    _expect_there(
        bench,
        [ahead],
        f"set the stock of {ahead}, which the repair had sent",
        "the number in the service too",
        f"{MOVER}: repair; {STATES}: the next version has to be higher than the one that the repair sent",
    )
    with _slow_changes(shop, fine):
        calm = _moved(bench, shop, "compare")
    bench.expect(
        calm.status == 0,
        did=f"changed {fine} again and again, each write a third of a second on its way: {_typed('compare')}",
        expected="exit status 0: a change that is on its way is no difference",
        got=_shown(calm),
        why="An alarm that rings whenever somebody buys is soon ignored.",
        look=f"{MOVER}: look again, and ask whether the service has at least the version that you saw",
    )


def _left_out(wanted: Iterable[str], named: set[str]) -> str:
    silent = [sku for sku in wanted if sku not in named]
    return f"; nothing about {', '.join(silent)}" if silent else ""


@check("the-difference-over-time", task="compare", shop=False, load=True, until=ENDS, seconds=60)
def _(bench: Bench) -> None:
    """compare --until-equal says how many products differ, again and again, until none does."""
    shop = _shop(bench, empty=False)
    _make_equal(bench, shop)
    skus = bench.random.sample(_skus(bench), 3)
    _relay().hold()
    buyer = shop.customer()
    for sku in skus:
        _buy(bench, buyer, sku, 1)
    began = time.monotonic()
    with _moving(bench, shop, *UNTIL_EQUAL) as comparing:
        _wait_for(
            lambda: all(sku in comparing.said() for sku in skus) or comparing.has_ended, COMMAND_SECONDS
        )
        _relay().let_go(lose=True)
    said = comparing.said()
    bench.expect(
        comparing.status == 0 and all(sku in said for sku in skus) and len(said.splitlines()) > len(skus) + 1,
        did=f"sold {', '.join(skus)} while the service hangs, started {_typed(' '.join(UNTIL_EQUAL))}, and let the "
        "service answer again",
        expected="first these three, then a line that says that none differs, and exit status 0",
        got=f"{comparing.status}: {' | '.join(said.split(chr(10)))[-400:]}",
        why="Whether a difference grows, stays or ends is what decides about the switch.",
        look=f"{MOVER}: compare",
    )
    bench.note(f"3 products differed, and none did after {time.monotonic() - began:.1f} s")


# ---- task 5


@check("switched-without-an-error", task="reads", shop=False, load=True, until=ENDS, seconds=60)
def _(bench: Bench) -> None:
    """The reads are switched only when both sides agree, and then there and back without an error."""
    shop = _shop(bench, empty=False)
    _make_equal(bench, shop)
    sku, wrong = bench.random.sample(_skus(bench), 2)
    numbers = _stock(bench, "monolith")[sku]
    _execute(bench, MORE_AVAILABLE, wrong)
    refused = _moved(bench, shop, "reads", "service")
    bench.expect(
        refused.status == 1,
        did=f"made {wrong} different in the service: {_typed('reads service')}",
        expected="exit status 1: the service may not answer yet",
        got=_shown(refused),
        why="After the switch everybody sees what differs.",
        look=f"{MOVER}: switch",
    )
    _expect_answerer(bench, shop, wrong, service=False)
    _execute(bench, MORE_AVAILABLE.replace("+", "-"), wrong)
    with _looking(bench, shop, sku, numbers[1]):
        _expect_moved(bench, shop, "reads", "service")
        _expect_answerer(bench, shop, wrong, service=True)
        _expect_moved(bench, shop, "reads", "monolith")
        _expect_answerer(bench, shop, wrong, service=False)


@check("the-reads-are-right", task="reads", shop=False, load=True, until=ENDS, seconds=60)
def _(bench: Bench) -> None:
    """With the reads at the service nobody sees an old number, a dead service is no error, and sales are as before."""
    shop = _shop(bench, empty=False)
    _make_equal(bench, shop)
    _expect_moved(bench, shop, "reads", "service")
    try:
        _right_after_the_switch(bench, shop)
    except BaseException:
        _relay().let_go(lose=True)
        _moved(bench, shop, "reads", "monolith")
        raise


def _right_after_the_switch(bench: Bench, shop: Shop) -> None:
    sku, bought = bench.random.sample(_skus(bench), 2)
    unknown = shop.ask("GET", f"/api/inventory/NO-{bench.random.randint(1000, 9999)}")
    bench.expect(
        unknown.status == 404 and (unknown.json() or {}).get("type") == "/problems/unknown-product",
        expected="404 /problems/unknown-product, as before",
        got=unknown,
        why="The reads have moved, and nobody outside should notice.",
        look=READS,
    )
    _expect_answerer(bench, shop, sku, service=True)
    number = bench.random.randint(2, 5)  # so few that the page shows the number
    _relay().hold()
    _set(bench, shop, sku, number)
    _expect_read(
        bench, shop, sku, number, f"set the stock of {sku} to {number}; it has not arrived at the service"
    )
    _relay().let_go(lose=True)
    _expect_there(
        bench, [sku], f"set the stock of {sku} to {number}", "the number there too", SENDER, ENDED_SECONDS
    )
    _expect_answerer(bench, shop, sku, service=True)  # it has the newest state again
    there = bench.random.randint(6, 9)
    _set(bench, shop, bought, there)
    _expect_there(bench, [bought], f"set the stock of {bought} to {there}", "the number there too", SENDER)
    _execute(bench, NONE_LEFT, bought)
    buyer = shop.customer()
    _put(bench, buyer, bought, 2)
    answer = _check_out(bench, buyer, APPROVED)
    bench.expect(
        answer.status == 201 and _stock(bench, "monolith")[bought][1] == there - 2,
        did=f"bought 2 of {bought}, of which the service had 0 and the monolith {there}: {answer.curl}",
        expected=f"201, and {there - 2} in the monolith",
        got=f"{answer.status}, and {_stock(bench, 'monolith')[bought][1]} in the monolith",
        why="Only the reads have moved. The sale still happens in the monolith's table, which has the truth.",
        look=f"{SERVICES}: sell",
    )
    _expect_there(bench, [bought], f"bought 2 of {bought}", "the sale there too", SENDER, ENDED_SECONDS)
    _execute(bench, NONE_LEFT, bought)
    _put(bench, buyer, bought, there)
    answer = _check_out(bench, buyer, APPROVED)
    bench.expect(
        answer.status == 409 and (answer.json() or {}).get("available") == there - 2,
        did=f"tried to buy {there} of {bought}, of which the service had 0 and the monolith {there - 2}: {answer.curl}",
        expected=f"409, and the monolith's number in the refusal: {there - 2} available",
        got=answer,
        why="The refusal is a part of the sale, in its transaction. Whoever asks the service there holds the only "
        "writer of the database while the service hangs, and shows a number that the sale did not look at.",
        look=f"{SERVICES}: which number does sell put into OutOfStock?",
    )
    with shop.killed(SERVICE):
        _expect_read(bench, shop, sku, number, "killed the service")
        _expect_moved(bench, shop, "reads", "monolith", when=", while the service is dead")


# ---- the shop, and what is between its two sides


def _shop(bench: Bench, *, empty: bool = True) -> Shop:
    """The shop behind the relays, which pass everything on; with empty tables in the service unless told otherwise."""
    relay, movers = _relay(), _movers()
    relay.let_go(lose=True)
    movers.let_go(lose=True)
    shop = bench.shop(env={"SHOP_INVENTORY_URL": relay.url})
    bench.expect(
        f"{SERVICE}-1" in shop.names(),
        did="looked at the shop's processes",
        expected=f"a process with the name {SERVICE}-1",
        got=", ".join(shop.names()),
        why="The stock is to move to a process with a database of its own.",
        look=f"{TOPOLOGY}: one more Service",
    )
    ports = shop.fleet.internal_ports
    relay.upstream = movers.upstream = ports[SERVICE]
    relay.behave("pass")
    movers.behave("pass")
    _database(bench, SERVICE)
    if empty:
        _empty(bench)
    return shop


def _empty(bench: Bench) -> None:
    """Delete what the service has, past the service."""
    with closing(sqlite3.connect(_database(bench, SERVICE), timeout=10)) as db, db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            db.execute(f'DELETE FROM "{name}"')  # noqa: S608 -- the names are the database's own


def _execute(bench: Bench, sql: str, sku: str) -> None:
    """Change one product in the service's database, past the service."""
    changed: int | sqlite3.Error
    try:
        with closing(sqlite3.connect(_database(bench, SERVICE), timeout=10)) as db, db:
            changed = db.execute(sql, (sku,)).rowcount
    except sqlite3.Error as error:
        changed = error
    bench.expect(
        changed == 1,
        did=f"changed {sku} in the service's database: {sql}",
        expected="the product there, in the tables stock and known_versions",
        got="no such product" if changed == 0 else changed,
        why="The service keeps the stock in its own database.",
        look=f"{MOVER}: copy",
    )


def _database(bench: Bench, name: str) -> Any:
    shop = bench.shop(env={"SHOP_INVENTORY_URL": _relay().url})
    try:
        return shop.database(name)
    except CheckError as error:
        raise bench.not_yet(
            did=f"looked for the database of {name}",
            expected="a database of its own",
            got=error,
            why="The stock is to move to a process with a database of its own.",
            look=TOPOLOGY,
        ) from None


Numbers = tuple[int, int, int]
"""Received, available, sold."""


def _stock(bench: Bench, name: str) -> dict[str, Numbers]:
    """What is in the table stock of the monolith or of the service, by SKU."""
    try:
        with closing(sqlite3.connect(_database(bench, name), timeout=10)) as db:
            rows = db.execute("SELECT sku, received, available, sold FROM stock ORDER BY sku").fetchall()
    except sqlite3.Error as error:
        raise bench.not_yet(
            did=f"looked at the table stock of {name}",
            expected="a table with sku, received, available and sold",
            got=error,
            why="The sale still happens in the monolith's table; the service has its own.",
            look="monolith/inventory/models.py; microservices/inventory/models.py",
        ) from None
    return {sku: (received, available, sold) for sku, received, available, sold in rows}


def _skus(bench: Bench) -> list[str]:
    """All products of which there are enough to buy."""
    return [sku for sku, numbers in _stock(bench, "monolith").items() if numbers[1] > 100]


def _both(bench: Bench, sku: str) -> str:
    """The numbers of a product on both sides, for people."""
    here, there = _stock(bench, "monolith").get(sku), _stock(bench, SERVICE).get(sku)
    return f"the monolith has {_words(here)} of {sku}, the service {_words(there)}"


def _words(numbers: Numbers | None) -> str:
    return "no row" if numbers is None else f"{numbers[1]} available and {numbers[2]} sold"


def _both_have(bench: Bench, sku: str) -> bool:
    return _stock(bench, SERVICE).get(sku) == _stock(bench, "monolith")[sku]


def _expect_there(
    bench: Bench,
    skus: Iterable[str],
    did: str,
    expected: str,
    look: str,
    seconds: float = ARRIVED_SECONDS,
) -> float:
    """Wait until the service has these products with the monolith's numbers; returns the seconds it took."""
    wanted, began = list(skus), time.monotonic()
    while True:
        here, there = _stock(bench, "monolith"), _stock(bench, SERVICE)
        wrong = [sku for sku in wanted if here.get(sku) != there.get(sku)]
        took = time.monotonic() - began
        if not wrong:
            return took
        if took > seconds:
            break
        time.sleep(0.05)
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    raise bench.not_yet(
        did=did,
        expected=expected,
        got=f"after {took:.0f} s {_both(bench, wrong[0])}{more}",
        why="What the service does not have is lost as soon as it is asked instead of the table.",
        look=look,
    )


# ---- the mover


def _typed(command: str) -> str:
    return f"exercises run monolith {' '.join(MOVE)} {command}"


def _mover_env(shop: Shop) -> dict[str, str]:
    return {**shop.environment("monolith"), "SHOP_INVENTORY_URL": _movers().url}


def _moved(bench: Bench, shop: Shop, *arguments: str) -> Ran:
    """Run the mover to its end."""
    return bench.run(*MOVE, *arguments, env=_mover_env(shop), timeout=COMMAND_SECONDS)


def _expect_moved(bench: Bench, shop: Shop, *arguments: str, when: str = "") -> None:
    ran = _moved(bench, shop, *arguments)
    bench.expect(
        ran.status == 0,
        did=_typed(" ".join(arguments)) + when,
        expected="exit status 0",
        got=_shown(ran),
        why="The move goes on only when each step ends well.",
        look=MOVER,
    )


@contextmanager
def _moving(bench: Bench, shop: Shop, *arguments: str) -> Iterator[Mover]:
    """The mover, running; at the end of the block it has ended, killed if it took too long."""
    output = scratch() / "mover.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 -- the interpreter, on a learner's own machine
            [sys.executable, *MOVE, *arguments],
            cwd=bench.workspace,
            env={**_mover_env(shop), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    mover = Mover(process, output)
    try:
        yield mover
        with suppress(subprocess.TimeoutExpired):
            process.wait(COMMAND_SECONDS)
    finally:
        mover.kill()


def _ended_well(bench: Bench, mover: Mover, command: str) -> None:
    bench.expect(
        mover.status == 0,
        did=_typed(command),
        expected="exit status 0",
        got=f"{mover.status}: {mover.said().strip()[-300:]}",
        why="The move goes on only when each step ends well.",
        look=f"{TOPOLOGY}: the service with its way in; {ROUTES}: its internal port; {MOVER}",
    )


def _wait_for(happened: Any, seconds: float = ANSWER_SECONDS) -> None:
    """Until it happened or the time is over; what follows says what is missing."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)


def _wait_for_rows(bench: Bench, copying: Mover, rows: int) -> None:
    """Until the service has so many products, or the copy has ended."""
    _wait_for(lambda: len(_stock(bench, SERVICE)) >= rows or copying.has_ended, COMMAND_SECONDS)


def _make_equal(bench: Bench, shop: Shop) -> None:
    """Copy, unless both sides have the same already."""
    if _stock(bench, "monolith") != _stock(bench, SERVICE):
        _expect_moved(bench, shop, "copy")
    _expect_there(
        bench,
        _stock(bench, "monolith"),
        f"copied the stock: {_typed('copy')}",
        "every product with the same numbers on both sides",
        MOVER,
    )


def _shown(ran: Ran) -> str:
    said = " | ".join(line for line in (ran.out + ran.err).strip().splitlines()[-6:])
    return f"{ran.status}: {said[-400:] or 'no output'}"


def _refuses_strangers(bench: Bench, port: int, expected: int, says: str) -> None:
    line = f"curl -i http://127.0.0.1:{port}/internal/stock"
    with new_session() as session:
        try:
            got = session.get(f"http://127.0.0.1:{port}/internal/stock", timeout=ANSWER_SECONDS).status_code
        except requests.RequestException as error:
            got, line = 0, f"{line} ({type(error).__name__})"
    bench.expect(
        got == expected,
        did=f"{says}: {line}",
        expected=f"{expected}",
        got=f"{got}",
        why="Whoever may write here decides what the shop has in stock.",
        look=f"{INCOMING}: require_service; {TOPOLOGY}: the command names the module with the way in; {ROUTES}",
    )


# ---- people


def _put(bench: Bench, someone: Visitor, sku: str, quantity: int) -> None:
    answer = someone.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": quantity})
    bench.expect(
        answer.status == 200,
        expected="200 and the cart",
        got=answer,
        why="People buy during the whole move.",
        look="monolith/cart",
    )


def _check_out(bench: Bench, someone: Visitor, card: str) -> Answer:
    headers = {"Idempotency-Key": f"check-{bench.random.getrandbits(64):016x}"}
    return someone.ask("POST", "/api/orders", json={"card_number": card}, headers=headers)


def _buy(bench: Bench, someone: Visitor, sku: str, quantity: int) -> Answer:
    _put(bench, someone, sku, quantity)
    answer = _check_out(bench, someone, APPROVED)
    bench.expect(
        answer.status == 201,
        expected="201 and an order",
        got=answer,
        why="People buy during the whole move.",
        look="monolith/orders/checkout.py; monolith/inventory/service.py",
    )
    return answer


def _set(bench: Bench, shop: Shop, sku: str, number: int) -> None:
    answer = shop.admin().ask("PUT", f"/api/inventory/{sku}", json={"available": number})
    bench.expect(
        answer.status == 200 and answer.json() == {"sku": sku, "available": number},
        expected=f"200, and {number} available",
        got=answer,
        why="An administrator sets stock during the whole move.",
        look=f"{SERVICES}: set_available",
    )


@contextmanager
def _slow_changes(shop: Shop, sku: str) -> Iterator[None]:
    """Somebody changes a product again and again; each write of the monolith to the service takes a moment."""
    over = threading.Event()
    admin = shop.admin()
    original = _relay()._forward  # noqa: SLF001 -- slowed down for this block

    def slowly(asked: Asked) -> Reply:
        over.wait(0.3)
        return original(asked)

    def change() -> None:
        number = 2000
        while not over.is_set():
            number += 1
            admin.try_ask("PUT", f"/api/inventory/{sku}", json={"available": number})
            over.wait(0.05)

    _relay()._forward = slowly  # type: ignore[method-assign]  # noqa: SLF001
    changing = threading.Thread(target=change)
    changing.start()
    try:
        yield
    finally:
        over.set()
        changing.join()
        _relay()._forward = original  # type: ignore[method-assign]  # noqa: SLF001


@contextmanager
def _looking(bench: Bench, shop: Shop, sku: str, number: int) -> Iterator[None]:
    """Somebody reads the stock again and again; NotYet if one answer was not the number."""
    over, bad = threading.Event(), list[Answer]()
    count = 0
    someone = shop.visitor()

    def look() -> None:
        nonlocal count
        while not over.is_set():
            answer = someone.try_ask("GET", f"/api/inventory/{sku}")
            page = someone.try_ask("GET", f"/products/{sku}")
            count += 2
            if answer.status != 200 or (answer.json() or {}).get("available") != number:
                bad.append(answer)
            if page.status != 200:
                bad.append(page)
            over.wait(0.01)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
    bench.expect(
        not bad,
        did=f"asked {count} times for the stock of {sku} while the reads were switched there and back",
        expected=f"200 and {number} each time",
        got=f"{len(bad)} other answers, such as {bad[0]}" if bad else "",
        why="No downtime means no downtime, not even a short one.",
        look=READS,
    )
    bench.note(f"{count} reads while switching there and back, all right")


def _expect_answerer(bench: Bench, shop: Shop, sku: str, *, service: bool) -> None:
    """The API and the page ask the service, or do not; soon after the switch."""
    for path in (f"/api/inventory/{sku}", f"/products/{sku}"):
        deadline = time.monotonic() + SWITCHED_SECONDS
        while True:
            before = _relay().reads(sku)
            answer = shop.ask("GET", path)
            asked = _relay().reads(sku) - before
            if bool(asked) is service or time.monotonic() > deadline:
                break
        bench.expect(
            answer.status == 200 and bool(asked) is service,
            did=f"{_typed('reads service' if service else 'reads monolith')}, then: {answer.curl}",
            expected=f"200, and {'the service' if service else 'only the monolith'} is asked",
            got=f"{answer.status}, and {asked} questions to the service",
            why="A switch that moves only some of the reads leaves two sources, and nobody knows which one he saw.",
            look=f"{READS}; monolith/storefront/routes.py; monolith/inventory/routes.py",
        )


def _expect_read(bench: Bench, shop: Shop, sku: str, number: int, did: str) -> None:
    """`number` is so small that the page shows it."""
    for path, shown in (
        (f"/api/inventory/{sku}", f'"available":{number}'),
        (f"/products/{sku}", f"Only {number} left"),
    ):
        answer = shop.ask("GET", path)
        bench.expect(
            answer.status == 200 and shown in answer.text.replace(": ", ":"),
            did=f"{did}: {answer.curl}",
            expected=f"200 and the newest number: {shown}",
            got=answer if path.startswith("/api") else f"{answer.status}, and that is not on the page",
            why="The monolith's table has the truth: it can answer when the service cannot.",
            look=f"{READS}: for which products is the service's number good enough?",
        )
