"""17: a program on another runtime takes the place of recommendations, keeps every promise, and nobody else notices."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient

from exercises.checks import programs
from exercises.checks.checking import Bench, Shop, check
from exercises.checks.standin import scratch
from microservices.chaos.standin import HANG, Answer, Asked, Drip, StandIn
from microservices.chassis.database import Database
from microservices.chassis.errors import Problem
from microservices.chassis.runtime import runtime
from microservices.chassis.tokens import AUDIENCE, ISSUER, ServiceTokens
from microservices.launcher import LauncherError, sqlite_url
from microservices.launcher.environment import inherited
from microservices.launcher.ports import Ports
from microservices.launcher.process import Child, end_all
from microservices.recommendations.app import create_app
from microservices.recommendations.learning import Bought, learn
from microservices.sealing import COURSE, in_workspace, of_course
from microservices.topology import Service, WorkspaceError, load

HOT, TOPOLOGY = "recommendations", "topology.py"
CHASSIS = "microservices/chassis"
OURS = "microservices.chassis.serve"
NOBODY = "http://127.0.0.1:9"
ACCEPTANCE = "loadtests/contract/acceptance/test_recommendations.py"
START_SECONDS, LEARN_SECONDS, END_SECONDS = 20.0, 20.0, 5.0
SLOW_SECONDS = 1.6
"""How long a request takes that is under way at SIGTERM."""
LATE = 0.6
"""Seconds that an answer may take besides its deadline."""
OK, UNAUTHORISED, UNAVAILABLE, TIMED_OUT = 200, 401, 503, 504
SKUS = [f"P{number:05}" for number in range(60)]
CATEGORIES = ("tea", "tools", "books", "toys")
# Of 1/128, which is 0.0078125, the last digit is exactly in the middle. 1/640 is a little more than 0.0015625; only its
# product with a million is in the middle. 3 / sqrt(3 * 27) is 1 / sqrt(3 * 3) to the last bit, but not with two roots.
SOLD_EXACTLY = {
    "SAME-A": 10,
    "SAME-B": 10,
    "SAME-C": 10,
    "ROOT-A": 3,
    "ROOT-B": 27,
    "ROOT-C": 3,
    "TIE-A": 128,
    "TIE-B": 128,
    "NEAR-A": 640,
    "NEAR-B": 640,
}
TOGETHER_EXACTLY = {
    ("SAME-A", "SAME-B"): 2,
    ("SAME-A", "SAME-C"): 2,
    ("TIE-A", "TIE-B"): 1,
    ("NEAR-A", "NEAR-B"): 1,
    ("ROOT-A", "ROOT-B"): 3,
    ("ROOT-A", "ROOT-C"): 1,
}
GOOD = f"/api/products/{SKUS[0]}/recommendations"
ORDERS, MORE_ORDERS, QUESTIONS = 520, 30, 60
COUNTS = {
    "popularity": "SELECT sku, category, orders FROM popularity ORDER BY sku",
    "pairs": "SELECT sku, other, orders FROM co_purchases ORDER BY sku, other",
    "purchases": "SELECT customer_id, sku, position FROM purchases ORDER BY customer_id, sku",
}
CHANGES = ("INSERT", "UPDATE", "DELETE")
POSITION = "SELECT position FROM feed_position WHERE feed = 'orders'"
SCHEMA = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
INSIDE = re.compile(
    r"\bat .+:\d+|Traceback|File \"|SELECT |sqlite|\.js\b|\.py\b|no such table", re.IGNORECASE
)
"""What a stranger must not read: places in the code, statements, the database's own words."""
WHICH = "which_program.json"
RUN_WHICH = f"""\
import json, os
os.execv(*(lambda argv: (argv[0], argv))(
    [part.format(host="127.0.0.1", port=os.environ["SHOP_PORT"]) for part in json.load(open("{WHICH}"))]
))
"""
EITHER = """

import dataclasses

TOPOLOGY = dataclasses.replace(
    TOPOLOGY,
    services=tuple(
        dataclasses.replace(each, program=None, command=("which_program.py",))
        if each.name == "recommendations"
        else each
        for each in TOPOLOGY.services
    ),
)
"""
APPROVED = "4242424242424242"
VISITORS, PAUSE_SECONDS = 3, 0.02


# ---- task 1


@check("another-program", task="program", shop=False)
def _(bench: Bench) -> None:
    """The service is another program, which starts without the chassis and without the course's own code."""
    service = _service(bench)
    for part in (service.program or "", *service.command):
        bench.expect(
            not _is_the_courses(Path(part), bench.workspace),
            did=f"read the command of {HOT} in {TOPOLOGY}",
            expected="a program of your workspace",
            got=f"{part}, a file of the course",
            why="What the course has written needs nobody to keep it.",
            look=TOPOLOGY,
        )
    folder = bench.copy()
    shutil.rmtree(folder / CHASSIS, ignore_errors=True)
    with Neighbours() as others, _running(bench, others, folder=folder) as program:
        for path in ("/healthz", "/readyz"):
            status = program.get(path).status
            bench.expect(
                status == OK,
                did=f"started it alone, without {CHASSIS}, and asked GET {path}",
                expected="200",
                got=status,
                why="The launcher and the gateway ask this before anybody else is let in.",
                look="README.md: what every service of the shop has",
            )
    bench.note(f"{Path(service.program or sys.executable).name} {' '.join(service.command)}")


# ---- task 2


@check("to-the-last-digit", task="answers", shop=False)
def _(bench: Bench) -> None:
    """On the same database file it answers what the Python service answers, to the last digit."""
    file = _database()
    orders = _orders(bench, ORDERS)
    with closing(Python(file)) as python:
        python.learn(orders)
        _store_exact(file)
        exact = [f"/api/products/{sku}/recommendations?limit=2" for sku in SOLD_EXACTLY]
        paths = [*exact, *_questions(bench)]
        with Neighbours() as others, _running(bench, others, file) as program:
            for path in paths:
                _expect_the_same(bench, python, program, path, {})
    bench.note(f"{len(paths)} lists, the same to the last digit")


@check("refuses-the-same", task="answers", shop=False)
def _(bench: Bench) -> None:
    """What cannot be answered is refused with the status and the type of before."""
    paths = [
        "/api/products/lower-case/recommendations",
        "/api/products/A/recommendations",
        f"/api/products/{SKUS[0]}/recommendations?limit=0",
        f"/api/products/{SKUS[0]}/recommendations?limit=21",
        f"/api/products/{SKUS[0]}/recommendations?limit=1.5",
        f"/api/products/{SKUS[0]}/recommendations?cart=no,good",
        f"/api/products/{SKUS[0]}/recommendations?cart={','.join(f'C{number}' for number in range(51))}",
        f"/api/products/{SKUS[0]}/nothing",
        "/",
    ]
    file = _database()
    with (
        closing(Python(file)) as python,
        Neighbours() as others,
        _running(bench, others, file, SHOP_ACCOUNTS_URL=NOBODY) as program,
    ):
        customer = others.as_customer("C1")
        questions = [("GET", path, "", {}) for path in paths]
        questions += [
            ("POST", paths[2], "", {}),
            ("GET", GOOD, " as a customer while accounts is down", customer),
        ]
        for method, path, how, headers in questions:
            theirs = python.ask(method, path, headers)
            mine = program.ask(method, path, headers)
            bench.expect(
                _refusal(mine) == _refusal(theirs),
                did=f"{method} {path}{how}, of your program and of the Python service",
                expected=_refusal(theirs),
                got=_refusal(mine),
                why="Callers decide by status and type what to do next.",
                look="docs/openapi.yaml",
            )


# ---- task 3


@check("knows-its-customers", task="tokens", shop=False)
def _(bench: Bench) -> None:
    """A customer's token is checked in every part, and what the customer bought counts."""
    file = _database()
    with Neighbours() as others, closing(Python(file, others.url)) as python:
        python.learn(_orders(bench, 200))
        python.ask("GET", _questions(bench, 1)[0], others.as_customer("C0"))  # it has the keys from now on
        with _running(bench, others, file) as program:
            before = len(others.key_calls)
            for number in range(6):
                headers = others.as_customer(f"C{number}")
                for path in _questions(bench, 3):
                    _expect_the_same(bench, python, program, path, headers)
            fetched = len(others.key_calls) - before
            bench.expect(
                fetched <= 2,
                did="asked 18 times with tokens of 6 customers, all signed with one key",
                expected="one call of accounts for its keys",
                got=f"{fetched} calls",
                why="A service that asks for each request makes accounts as hot as itself.",
                look="tokens: keys and checked tokens are kept",
            )
            for what, headers in others.bad_tokens().items():
                answer = program.get(f"/api/products/{SKUS[0]}/recommendations", headers)
                bench.expect(
                    answer.status == UNAUTHORISED and answer.kind == "/problems/not-authenticated",
                    did=f"asked with {what}",
                    expected="401 /problems/not-authenticated",
                    got=answer,
                    why="Whoever can write a token of his own reads what other people bought.",
                    look="your tokens, beside microservices/chassis/tokens.py: what the Python services check",
                )


# ---- task 4


@check("each-order-once", task="feed", shop=False, seconds=15)
def _(bench: Bench) -> None:
    """Two replicas on one database read the feed with a service token, and each order counts once."""
    file, orders = _database(), _orders(bench, ORDERS)
    with Neighbours() as others:
        others.publish(orders)
        others.parked()
        others.meet = threading.Barrier(2)
        with _running(bench, others, file), _running(bench, others, file):
            _expect_learnt(bench, others, file)
            others.publish(_orders(bench, MORE_ORDERS, first=ORDERS + 1))
            _expect_learnt(bench, others, file)
        _expect_counted(bench, file, others, f"let two replicas read {ORDERS + MORE_ORDERS} orders")
        asked = [(each.query.get("after"), each.query.get("limit")) for each in others.feed_calls]
    bench.expect(
        all(str(limit).isdigit() and int(limit) <= 500 for _, limit in asked),  # type: ignore[arg-type]
        did="looked at how the feed is asked for",
        expected="at most 500 events at a time: orders refuses more",
        got=str(asked[:3]),
        why="Without a limit the first answer has everything that was ever sold.",
        look="exercises text 05: the feed",
    )


@check("nothing-by-halves", task="feed", shop=False, seconds=15)
def _(bench: Bench) -> None:
    """When the position cannot be stored nothing is counted, and the other way round: both are one transaction."""
    file = _database()
    Python(file).close()  # it makes the tables
    with Neighbours() as others:
        _forbid(file, "feed_position")
        others.publish(_orders(bench, 40))
        with _running(bench, others, file):
            others.wait_for_calls(bench, 3)
            counted = len(_counted(file)["popularity"])
            bench.expect(
                not counted,
                did="published 40 orders, while the table feed_position refuses every change",
                expected="no counts, because they are of the same transaction as the position",
                got=f"counts of {counted} products",
                why="After a crash between the two, every order of this page would count again.",
                look="feed: apply",
            )
            _permit(file, "feed_position")
            _expect_learnt(bench, others, file)
            _forbid(file, "popularity")
            others.publish(_orders(bench, 10, first=41))
            others.wait_for_calls(bench, 3)
            position = _position(file)
            bench.expect(
                position == 40,
                did="published 10 more orders, while the table popularity refuses every change",
                expected="the position to stay at 40",
                got=f"position {position}",
                why="After a crash between the two, these orders would never count.",
                look="feed: apply",
            )
            _permit(file, "popularity")
            _expect_learnt(bench, others, file)
        _expect_counted(bench, file, others, "made the tables refuse changes for a moment")


@check("learns-again", task="feed", shop=False, seconds=15)
def _(bench: Bench) -> None:
    """When the database of orders was restored from an older copy, everything is learnt again."""
    file = _database()
    with Neighbours() as others:
        others.publish(_orders(bench, 30))
        with _running(bench, others, file):
            _expect_learnt(bench, others, file)
            before = _counted(file), _position(file)
            _forbid(file, "popularity")
            others.restore(12)
            others.publish(_orders(bench, 1, first=13))
            for refuses, other in (("popularity", "purchases"), ("purchases", None)):
                others.wait_for_calls(bench, 2)
                bench.expect(
                    (_counted(file), _position(file)) == before,
                    did=f"let the feed end before the position, while the table {refuses} refuses every change",
                    expected="everything as it was: to forget and to go back is one transaction",
                    got=f"position {_position(file)}; "
                    + ", ".join(f"{len(rows)} {name}" for name, rows in _counted(file).items()),
                    why="After a crash in the middle, what is forgotten would not be learnt again.",
                    look="feed: who opens the transaction of startOver?",
                )
                if other:
                    _forbid(file, other)
                _permit(file, refuses)
            bench.wait_until(
                lambda: _position(file) == others.newest,
                LEARN_SECONDS,
                "that your program has gone back, and learnt the shorter feed from its start,",
            )
        _expect_counted(bench, file, others, "took 18 of 30 orders out of the feed and added another one")


# ---- task 5


@check("keeps-the-deadline", task="operate", shop=False, timing=True, seconds=15)
def _(bench: Bench) -> None:
    """A call to another service ends when the caller's time is up, also when the answer comes byte by byte."""
    path = f"/api/products/{SKUS[0]}/recommendations"
    with Neighbours() as others, _running(bench, others, SHOP_TIMEOUT_SECONDS="1.5") as program:
        headers = others.as_customer("C1")
        cases: list[tuple[str, Answer, dict[str, str], float]] = [
            ("accounts hangs, and the caller waits 0.3 s", HANG, {"X-Deadline-Ms": "300"}, 0.3),
            ("accounts answers one byte every 0.2 s", Drip((200, others.jwks()), 0.2), {}, 1.5),
        ]
        for what, behaviour, more, limit in cases:
            others.keys_answer = behaviour
            time.sleep(0.6)  # a key set that could not be fetched is not asked for again at once
            answer = program.get(path, {**headers, **more})
            bench.expect(
                answer.status == TIMED_OUT and answer.seconds <= limit + LATE,
                did=f"{what}; GET {path} with a token",
                expected=f"504 after {limit:g} s",
                got=f"{answer} after {answer.seconds:.1f} s",
                why="The caller has given up by then. What is done for it later is done for nobody.",
                look="upstream: X-Deadline-Ms, and a timeout for the whole answer",
            )


@check("leaves-in-order", task="operate", shop=False, seconds=15)
def _(bench: Bench) -> None:
    """It says in time that it leaves, finishes what it has begun, and ends."""
    path = f"/api/products/{SKUS[0]}/recommendations"
    with Neighbours() as others, _running(bench, others) as program:
        program.drain_file.touch()
        answers = [program.get("/readyz").status, program.get("/healthz").status, program.get(path).status]
        bench.expect(
            answers == [UNAVAILABLE, OK, OK],
            did="made the file that SHOP_DRAIN_FILE names, and asked /readyz, /healthz and for recommendations",
            expected="503, 200 and 200: send new requests elsewhere, and those on their way are still answered",
            got=", ".join(map(str, answers)),
            why="The gateway reads this and stops sending before the process ends.",
            look="microservices/chassis/observability.py: /readyz",
        )
        others.keys_wait = SLOW_SECONDS
        before = len(others.key_calls)
        with ThreadPoolExecutor(1) as pool, socket.create_connection(("127.0.0.1", program.port)) as half:
            half.sendall(b"GET /healthz HTTP/1.1\r\nHost: shop\r\n")
            asked = pool.submit(program.get, path, others.as_customer("C1"))
            bench.wait_until(lambda: len(others.key_calls) > before, 5, "a question to accounts for its keys")
            began = time.monotonic()
            program.child.terminate()
            answer = asked.result()
            while program.child.exit_status() is None and time.monotonic() < began + END_SECONDS:
                time.sleep(0.02)
        bench.expect(
            answer.status == OK,
            did=f"sent SIGTERM while a request was being answered, which takes {SLOW_SECONDS:g} s",
            expected="200: what was begun is finished",
            got=answer,
            why="Each deploy sends SIGTERM. Without this, each deploy has errors.",
            look="main: SIGTERM",
        )
        status = program.child.exit_status()
        bench.expect(
            status == 0,
            did="sent SIGTERM and waited, with another connection open on which half a request has come",
            expected=f"exit status 0 within {END_SECONDS:g} s",
            got="it still runs" if status is None else f"exit status {status}",
            why="The launcher kills what does not end, and takes another status for a crash.",
            look="main: SIGTERM",
        )


@check("keeps-it-to-itself", task="operate", shop=False)
def _(bench: Bench) -> None:
    """An error inside is a problem document without a word about the code; the log has it, with the request id."""
    file, label = _database(), _label(bench)
    path = f"/api/products/{SKUS[0]}/recommendations"
    with Neighbours() as others, _running(bench, others, file) as program:
        _execute(file, "ALTER TABLE popularity RENAME TO popularity_away")
        answer = program.get(path, {"X-Request-Id": label})
        bench.expect(
            answer.status in {500, UNAVAILABLE} and answer.kind.startswith("/problems/"),
            did=f"took a table away and asked GET {path}",
            expected="500 or 503, as a problem document",
            got=answer,
            why="Callers read the type, and show people a sentence of their own.",
            look="server: what happens to an error that nobody expected?",
        )
        found = INSIDE.search(answer.text)
        bench.expect(
            not found,
            did=f"took a table away and asked GET {path}",
            expected="nothing about the code, the files or the statements",
            got=found[0] if found else "",
            why="A traceback tells a stranger which libraries and tables there are.",
            look="server: what happens to an error that nobody expected?",
        )
        lines = [line for line in program.log_lines() if label in line and "popularity" in line]
        bench.expect(
            lines,
            did=f"read the log for request {label}",
            expected="a line with the request id and the reason",
            got="none",
            why="Somebody has to find out what happened, and only has the id that the visitor read out.",
            look="server: what happens to an error that nobody expected?",
        )


@check("passes-the-id-on", task="operate", shop=False)
def _(bench: Bench) -> None:
    """The request id comes back; it, the trace and the time that is left go on; a bad id is replaced."""
    label, trace = _label(bench), f"{bench.random.getrandbits(128) | 1:032x}"
    span = f"{bench.random.getrandbits(64) | 1:016x}"
    path = f"/api/products/{SKUS[0]}/recommendations"
    with Neighbours() as others, _running(bench, others) as program:
        headers = {"X-Request-Id": label, "traceparent": f"00-{trace}-{span}-01", "X-Deadline-Ms": "2500"}
        answer = program.get(path, {**others.as_customer("C1"), **headers})
        bench.expect(
            answer.headers.get("X-Request-Id") == label,
            did=f"GET {path} with X-Request-Id: {label}",
            expected="the same id in the answer",
            got=answer.headers.get("X-Request-Id", "none"),
            why="It is what a visitor can tell you, and what you search for.",
            look="microservices/chassis/context.py",
        )
        call = others.key_calls[0].headers if others.key_calls else {}
        on, parts = str(call.get("X-Request-Id")), str(call.get("traceparent")).split("-")
        bench.expect(
            on == label and parts[1:2] == [trace] and parts[2:3] != [span],
            did=f"looked at the call to accounts for request {label}, trace {trace}",
            expected="the same id, and a traceparent with the same trace and a span of its own",
            got=f"{on} and {'-'.join(parts)}",
            why="Otherwise the way of a request ends at this service.",
            look="microservices/chassis/context.py: headers",
        )
        left = str(call.get("X-Deadline-Ms"))
        bench.expect(
            left.isdigit() and int(left) <= 2500,
            did="sent X-Deadline-Ms: 2500, and looked at the X-Deadline-Ms of the call to accounts",
            expected="whole milliseconds, at most the 2500 that the caller had left",
            got=left,
            why="The next service has to know when to stop, too.",
            look="upstream: headers",
        )
        bad = program.get(path, {"X-Request-Id": "two words"}).headers.get("X-Request-Id", "")
        bench.expect(
            bad and bad != "two words",
            did=f"GET {path} with X-Request-Id: two words",
            expected="an id of the service's own",
            got=bad or "none",
            why="Any text of a stranger has no business in logs.",
            look="microservices/chassis/context.py",
        )


# ---- task 6


@check("the-shop-holds", task="swap", load=True, seconds=60)
def _(bench: Bench) -> None:
    """The acceptance suite's tests of recommendations hold in your shop, as they did for all who stood here before."""
    _service(bench)
    shop = bench.shop()
    ran = programs.run(
        ("-m", "pytest", "-q", "-p", "no:cacheprovider", ACCEPTANCE, "--shop-url", shop.url),
        COURSE,
        of_course(inherited(os.environ)),
        60.0,
    )
    lines = [line for line in ran.out.splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    bench.expect(
        ran.status == 0,
        did=f"ran {ACCEPTANCE} against your shop",
        expected="no failure",
        got="; ".join([*failed[:3], *lines[-1:]]) or ran.err[-300:],
        why="This suite has not changed since the first exercise, whatever stood behind the gateway.",
        look="docs/openapi.yaml",
    )
    bench.note(lines[-1] if lines else "")


@check("there-and-back", task="swap", shop=False, load=True, seconds=60)
def _(bench: Bench) -> None:
    """Under traffic the Python service is replaced by your program and comes back: no failed request, one database."""
    service = _service(bench)
    python = [sys.executable, "-m", OURS, "microservices.recommendations.app"]
    mine = [service.program or sys.executable, *service.command]
    folder = bench.copy({WHICH: json.dumps(python), "which_program.py": RUN_WHICH})
    (folder / TOPOLOGY).write_text(bench.text(TOPOLOGY) + EITHER, encoding="utf-8")
    with bench.boot(folder) as shop:
        file = shop.database(HOT)
        schema, sold = _rows(file, SCHEMA), Sold(_orders_by_sku(file))
        traffic = Traffic(bench, shop)
        with traffic.coming():
            traffic.settle()
            for name, command in (("your program", mine), ("the Python service", python)):
                before = traffic.answers
                (folder / WHICH).write_text(json.dumps(command), encoding="utf-8")
                _replace(bench, shop, name)
                traffic.settle()
                bad = traffic.failures
                bench.expect(
                    not bad,
                    did=f"replaced recommendations by {name}, replica by replica, with {VISITORS} visitors",
                    expected=f"no failed request among {traffic.answers - before}",
                    got=f"{len(bad)} failed, the first: {bad[0] if bad else ''}",
                    why="A change of technology that visitors notice is a rewrite, and not a deploy.",
                    look="main: SIGTERM; server: /readyz",
                )
        bench.wait_until(
            lambda: sold.grew(file) >= traffic.sold, LEARN_SECONDS, "that each sold product counts"
        )
        wrong = sold.differences(file, traffic.skus_sold)
    bench.expect(
        not wrong,
        did=f"sold {traffic.sold} products meanwhile, and counted what each program has learnt",
        expected="each order once, whoever read it: both read on from the same position, in the same file",
        got=wrong,
        why="A bookmark of its own makes the new program learn everything again.",
        look="feed: the table feed_position",
    )
    now = _rows(file, SCHEMA)
    bench.expect(
        now == schema,
        did="compared the tables before and after",
        expected="the same tables",
        got="; ".join(str(row[2]) for row in now if row not in schema) or "tables that are gone",
        why="As long as there is a way back, the tables belong to both.",
        look="database",
    )
    bench.note(f"{traffic.answers} answers, none failed; {traffic.sold} sold products, each counted once")


# ---- the program under test


@dataclass(frozen=True)
class Said:
    """What a program has answered; status 0 when it has not."""

    status: int
    text: str
    headers: Mapping[str, str]
    seconds: float = 0.0

    @property
    def document(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    @property
    def kind(self) -> str:
        """The type of a problem document."""
        document = self.document
        return str(document.get("type", "")) if isinstance(document, dict) else ""

    def __str__(self) -> str:
        return f"{self.status} {self.kind or self.text[:200]}".strip() if self.status else self.text


@dataclass
class Program:
    """One process of the learner's service."""

    child: Child
    port: int
    drain_file: Path
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Said:
        return self.ask("GET", path, headers or {})

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> Said:
        began = time.monotonic()
        try:
            answer = self.session.request(
                method, f"http://127.0.0.1:{self.port}{path}", headers=dict(headers), timeout=8
            )
        except requests.RequestException as error:
            return Said(0, f"no answer ({type(error).__name__})", {}, time.monotonic() - began)
        return Said(answer.status_code, answer.text, answer.headers, time.monotonic() - began)

    def log_lines(self) -> list[str]:
        return self.child.log.read_text(encoding="utf-8", errors="replace").splitlines()


_numbers = count(1)


def _service(bench: Bench) -> Service:
    """The service in topology.py; NotYet while it is the Python one, or when the file cannot be used."""
    bench.text(TOPOLOGY)
    try:
        services = {each.name: each for each in load(bench.workspace).topology.services}
    except WorkspaceError as error:
        raise bench.not_yet(
            did=f"read {TOPOLOGY}",
            expected="TOPOLOGY and SEED",
            got=error,
            why="The shop is started from this file.",
            look=TOPOLOGY,
        ) from error
    found = services.get(HOT)
    bench.expect(
        found and OURS not in found.command,
        did=f"read {TOPOLOGY}",
        expected=f"another program for {HOT}: `program` of its Service, or a command that is not the chassis",
        got=f"the Python service, {' '.join(found.command)}" if found else f"no service {HOT}",
        why="The checks try the program that the shop would start.",
        look=f"{TOPOLOGY}: Service.program and Service.command",
    )
    assert found is not None
    return found


@contextmanager
def _running(
    bench: Bench, others: Neighbours, file: Path | None = None, *, folder: Path | None = None, **settings: str
) -> Iterator[Program]:
    """The learner's program alone, as the launcher starts it; NotYet when it does not get ready."""
    _service(bench)
    folder = folder or bench.workspace
    service = load(folder).topology.service(HOT)
    ports, number = Ports(1), next(_numbers)
    port = ports.numbers[0]
    drain_file, log = scratch() / f"drain-{number}", scratch() / f"program-{number}.log"
    own = {
        "SHOP_SERVICE": HOT,
        "SHOP_HOME": str(scratch() / "home"),
        "SHOP_HOST": "127.0.0.1",
        "SHOP_PORT": str(port),
        "SHOP_DATABASE_URL": sqlite_url(file or _database()),
        "SHOP_DRAIN_FILE": str(drain_file),
        "SHOP_FEED_SECONDS": "0.05",
        "SHOP_BEHIND_GATEWAY": "1",
        "SHOP_ORDERS_URL": others.url,
        "SHOP_ACCOUNTS_URL": others.url,
        "SHOP_SERVICE_KEY": base64.b64encode(others.service_key.private_bytes_raw()).decode(),
        "SHOP_TRUSTED_KEYS": "{}",
        **settings,
    }
    arguments = [part.format(host="127.0.0.1", port=port) for part in service.command]
    env = in_workspace({**inherited(os.environ), **own}, folder)
    try:
        child = Child([service.program or sys.executable, *arguments], env, log, folder)
    except OSError as error:
        ports.release()
        raise bench.not_yet(
            did=f"started {service.program}",
            expected="a program",
            got=error.strerror or error,
            why="The launcher starts it in the same way.",
            look=f"{TOPOLOGY}: program",
        ) from error
    program = Program(child, port, drain_file)
    program.session.trust_env = False
    try:
        _wait_for(bench, program)
        yield program
    finally:
        end_all([child], 0.5)
        program.session.close()
        ports.release()


def _wait_for(bench: Bench, program: Program) -> None:
    deadline = time.monotonic() + START_SECONDS
    while program.get("/readyz").status != OK:
        status = program.child.exit_status()
        if status is not None or time.monotonic() > deadline:
            raise bench.not_yet(
                did="started it alone, with stand-ins for orders and accounts",
                expected="200 of /readyz",
                got=f"it ended with status {status}" if status is not None else "no answer, or another one",
                why="Nothing can be checked before it runs.",
                look="its log: " + (" | ".join(program.log_lines()[-3:]) or "empty"),
            )
        time.sleep(0.03)


def _is_the_courses(path: Path, workspace: Path) -> bool:
    """Whether it is a file of the course, and not of the workspace or installed beside the interpreter."""
    if not path.is_absolute() or not path.is_relative_to(COURSE):
        return False
    return not any(path.is_relative_to(each) for each in (workspace.absolute(), Path(sys.prefix)))


# ---- the Python service, on the same file


class Python:
    """The course's own recommendations service in this process."""

    def __init__(self, file: Path, accounts: str = NOBODY) -> None:
        env = {
            "SHOP_HOME": str(scratch() / "home"),
            "SHOP_DATABASE_URL": sqlite_url(file),
            "SHOP_ORDERS_URL": NOBODY,
            "SHOP_ACCOUNTS_URL": accounts,
        }
        self.app = create_app(env)
        self.client: FlaskClient = self.app.test_client()

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> Said:
        answer = self.client.open(path, method=method, headers=dict(headers))
        return Said(answer.status_code, answer.get_data(as_text=True), answer.headers)

    def learn(self, orders: list[Bought]) -> None:
        with self._database.writing() as db:
            for order in orders:
                learn(db, [order])

    def close(self) -> None:
        self._database.dispose()

    @property
    def _database(self) -> Database:
        return runtime(self.app).database


# ---- orders and accounts


class Neighbours:
    """Stands in for the feed of orders and for the keys of accounts."""

    def __init__(self) -> None:
        self.key, self.service_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        self.orders: list[Bought] = []
        self.meet: threading.Barrier | None = None
        """The first questions for the feed are answered when so many have come."""
        self.keys_answer: Answer | None = None
        self.keys_wait = 0.0
        self.feed_calls: list[Asked] = []
        self.key_calls: list[Asked] = []
        self._events: list[dict[str, Any]] = []
        self._public = self.service_key.public_key().public_bytes_raw()
        self._stand_in = StandIn(self._respond)
        self.url = self._stand_in.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.meet is not None:
            self.meet.abort()
        self._stand_in.close()

    # ---- orders

    @property
    def newest(self) -> int:
        """The position of the newest event."""
        return len(self._events)

    def publish(self, orders: list[Bought]) -> None:
        """Add orders to the feed, each as an event."""
        self.orders += orders
        for order in orders:
            items = [
                {"sku": sku, "quantity": 1, "category": category} for sku, category in order.products.items()
            ]
            self._add(
                "order-confirmed",
                {
                    "order_id": f"O{order.number}",
                    "number": order.number,
                    "customer_id": order.customer_id,
                    "items": items,
                },
            )

    def parked(self) -> None:
        """Add an event of another kind, with the form of an order."""
        items = [{"sku": SKUS[0], "quantity": 1, "category": CATEGORIES[0]}]
        self._add("order-parked", {"order_id": "O0", "number": 0, "customer_id": "C1", "items": items})

    def restore(self, length: int) -> None:
        """Go back to the feed's first `length` events."""
        del self._events[length:]
        del self.orders[length:]

    def wait_for_calls(self, bench: Bench, more: int) -> None:
        """Wait until the feed was asked for so many times more."""
        wanted = len(self.feed_calls) + more
        bench.wait_until(
            lambda: len(self.feed_calls) >= wanted, LEARN_SECONDS, f"{more} more questions for the feed"
        )

    def _add(self, kind: str, data: dict[str, Any]) -> None:
        self._events.append({"position": len(self._events) + 1, "type": kind, "data": data})

    # ---- accounts

    def jwks(self) -> dict[str, Any]:
        """The published keys."""
        text = _base64url(self.key.public_key().public_bytes_raw())
        return {
            "keys": [
                {"kty": "OKP", "crv": "Ed25519", "kid": "check", "use": "sig", "alg": "EdDSA", "x": text}
            ]
        }

    def as_customer(self, customer_id: str) -> dict[str, str]:
        """The header of a customer."""
        return self._signed({"sub": customer_id})

    def bad_tokens(self) -> dict[str, dict[str, str]]:
        """Headers that prove nothing, each with what is wrong with it."""
        public = self.key.public_key().public_bytes_raw()
        other = Ed25519PrivateKey.generate()
        claims = self._claims({})
        named = {"kid": "check"}
        return {
            "a token that somebody else has signed": self._signed({}, key=other),
            "a token of a key that accounts does not have": self._signed({}, key=other, kid="other"),
            "a token without a signature": _bearer(jwt.encode(claims, None, algorithm="none", headers=named)),
            "a token that is signed with the public key as a secret": _bearer(
                jwt.encode(claims, public, algorithm="HS256", headers=named)
            ),
            "a token whose algorithm is not EdDSA": _bearer(
                self._unlike_its_header({"alg": "none", **named})
            ),
            "a token that has expired": self._signed({"exp": int(time.time()) - 5}),
            "a token that never expires": self._signed({"exp": None}),
            "a token for another audience": self._signed({"aud": "other"}),
            "a token of another issuer": self._signed({"iss": "other"}),
            "a token for an audience with a similar name": self._signed({"aud": f"work{AUDIENCE}"}),
            "a token that is not valid yet": self._signed({"iat": int(time.time()) + 600}),
            "a token that is not to be used yet (nbf)": self._signed({"nbf": int(time.time()) + 600}),
            "a token for nobody": self._signed({"sub": None}),
            "a text that is no token": _bearer("x"),
            "another kind of header": {"Authorization": "Basic abc"},
        }

    def _claims(self, changes: dict[str, Any]) -> dict[str, Any]:
        now = int(time.time())
        whole = {
            "sub": "C1",
            "role": "customer",
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 3600,
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def _token(
        self, changes: dict[str, Any], key: Ed25519PrivateKey | None = None, kid: str = "check"
    ) -> str:
        return jwt.encode(self._claims(changes), key or self.key, algorithm="EdDSA", headers={"kid": kid})

    def _unlike_its_header(self, header: dict[str, str]) -> str:
        """A token with the right signature below a header that names another algorithm."""
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (header, self._claims({})))
        return f"{text}.{_base64url(self.key.sign(text.encode()))}"

    def _signed(self, changes: dict[str, Any], **options: Any) -> dict[str, str]:
        return _bearer(self._token(changes, **options))

    # ---- inside

    def _respond(self, asked: Asked) -> Answer:
        if asked.route == "/.well-known/jwks.json":
            self.key_calls.append(asked)
            time.sleep(self.keys_wait)
            return self.keys_answer or (200, self.jwks())
        if asked.route != "/internal/events":
            return 404, {"status": 404}
        self.feed_calls.append(asked)
        if not self.comes_from_recommendations(asked.headers["Authorization"] or ""):
            return 401, {"type": "/problems/not-authenticated", "status": 401}
        after, limit = int(asked.query.get("after", "0")), int(asked.query.get("limit", "500"))
        found = {"events": self._events[after : after + min(limit, 500)]}
        if self.meet is not None:
            with suppress(threading.BrokenBarrierError):
                self.meet.wait(3)
            self.meet = None
        return 200, found

    def comes_from_recommendations(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        try:
            caller = ServiceTokens("orders", None, {HOT: self._public}).verify(token)
        except Problem:
            return False
        return scheme == "Service" and caller == HOT


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# ---- data


def _database() -> Path:
    """A new file; nothing is in it."""
    return scratch() / f"recommendations-{next(_numbers)}.sqlite3"


def _store_exact(file: Path) -> None:
    """Add what was sold so often that scores are ties, or nearly."""
    both_ways = [
        pair for (a, b), orders in TOGETHER_EXACTLY.items() for pair in ((a, b, orders), (b, a, orders))
    ]
    with closing(sqlite3.connect(file, timeout=10)) as db, db:
        sold = [(sku, f"of-{sku}", orders) for sku, orders in SOLD_EXACTLY.items()]
        db.executemany("INSERT INTO popularity VALUES (?, ?, ?)", sold)
        db.executemany("INSERT INTO co_purchases VALUES (?, ?, ?)", both_ways)


def _orders(bench: Bench, number: int, first: int = 1) -> list[Bought]:
    """Orders with one to seven products; some products are in many of them."""
    found = []
    for position in range(first, first + number):
        size = bench.random.choice([1, 2, 2, 3, 7])
        skus = {SKUS[int(len(SKUS) * bench.random.random() ** 2)] for _ in range(size)}
        products = {sku: CATEGORIES[int(sku[1:]) % len(CATEGORIES)] for sku in sorted(skus)}
        found.append(Bought(position, f"C{bench.random.randrange(9)}", products))
    return found


def _questions(bench: Bench, number: int = QUESTIONS) -> list[str]:
    paths = []
    for _ in range(number):
        sku = bench.random.choice([*SKUS, "NOT-SOLD"])
        cart = ",".join(bench.random.sample(SKUS, bench.random.choice([0, 0, 1, 5, 50])))
        paths.append(
            f"/api/products/{sku}/recommendations?limit={bench.random.choice([1, 8, 20])}&cart={cart}"
        )
    return paths


def _expect_the_same(
    bench: Bench, python: Python, program: Program, path: str, headers: Mapping[str, str]
) -> None:
    theirs, mine = python.ask("GET", path, headers), program.get(path, headers)
    wanted, got = _listed(theirs.document), _listed(mine.document)
    differ = next(
        (
            f"number {place + 1}: {want} expected, {have} found"
            for place, (want, have) in enumerate(zip(wanted, [*got, *[None] * len(wanted)], strict=False))
            if want != have
        ),
        "",
    )
    who = " as a customer" if headers else ""
    bench.expect(
        mine.status == theirs.status and mine.document == theirs.document,
        did=f"GET {path}{who}, of your program and of the Python service, on one database file",
        expected=f"{theirs.status} {wanted[:3]}",
        got=f"{mine}" if mine.status != theirs.status or not differ else differ,
        why="Replicas of both answer during a deploy, and a page must not depend on which.",
        look="your ranking, beside microservices/recommendations/ranking.py and service.py",
    )


def _listed(document: Any) -> list[tuple[Any, Any]]:
    items = document.get("items") if isinstance(document, dict) else None
    items = items if isinstance(items, list) else []
    return [(item.get("sku"), item.get("score")) for item in items if isinstance(item, dict)]


def _refusal(said: Said) -> str:
    return f"{said.status} {said.kind}"


def _label(bench: Bench) -> str:
    return f"check-{bench.random.getrandbits(48):012x}"


# ---- the database file


def _execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def _rows(file: Path, query: str) -> list[Any]:
    """The rows of a query; none while there is no such table."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as db:
            return db.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def _counted(file: Path) -> dict[str, list[Any]]:
    return {name: _rows(file, query) for name, query in COUNTS.items()}


def _position(file: Path) -> int:
    rows = _rows(file, POSITION)
    return int(rows[0][0]) if rows else 0


def _forbid(file: Path, table: str) -> None:
    """Let every change of the table fail."""
    for event in CHANGES:
        stop = f"BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'not now'); END"
        _execute(file, f"CREATE TRIGGER no_{event}_{table} {stop}")


def _permit(file: Path, table: str) -> None:
    _execute(file, *(f"DROP TRIGGER no_{event}_{table}" for event in CHANGES))


def _expect_learnt(bench: Bench, others: Neighbours, file: Path) -> None:
    tokens = [each.headers["Authorization"] or "no token" for each in others.feed_calls]
    try:
        bench.wait_until(
            lambda: _position(file) == others.newest,
            LEARN_SECONDS,
            f"position {others.newest} in the table feed_position",
        )
    except Exception:
        bad = next((token for token in tokens if not others.comes_from_recommendations(token)), None)
        bench.expect(
            bad is None,
            did="looked at how the feed of orders is asked for",
            expected="Authorization: Service and a token that recommendations has signed for orders",
            got=str(bad)[:60],
            why="The feed has all orders of all customers.",
            look="tokens: what this service signs with SHOP_SERVICE_KEY",
        )
        raise


def _expect_counted(bench: Bench, file: Path, others: Neighbours, did: str) -> None:
    """What the file has is what the Python service learns from the same orders."""
    right = _database()
    with closing(Python(right)) as python:
        python.learn(others.orders)
    wanted, got = _counted(right), _counted(file)
    for name in COUNTS:
        wrong = next((row for row in got[name] if row not in wanted[name]), None)
        missing = next((row for row in wanted[name] if row not in got[name]), None)
        bench.expect(
            wanted[name] == got[name],
            did=did,
            expected=f"each order once in {name}: {missing or 'nothing else'}",
            got=wrong or "nothing of it",
            why="An order that counts twice or not at all changes lists for months, and nobody will find out why.",
            look="feed: the position is read again in the transaction that counts",
        )


# ---- a change under traffic


def _orders_by_sku(file: Path) -> dict[str, int]:
    return {sku: orders for sku, _, orders in _rows(file, COUNTS["popularity"])}


class Sold:
    """How much the counts of a database have grown."""

    def __init__(self, before: dict[str, int]) -> None:
        self._before = before

    def grew(self, file: Path) -> int:
        now = _orders_by_sku(file)
        return sum(now.values()) - sum(self._before.values())

    def differences(self, file: Path, sold: Mapping[str, int]) -> str:
        """Which product has grown by another number than was sold; empty when none has."""
        now = _orders_by_sku(file)
        for sku in sorted({*now, *self._before, *sold}):
            grew, wanted = now.get(sku, 0) - self._before.get(sku, 0), sold.get(sku, 0)
            if grew != wanted:
                return f"{sku} was sold {wanted} times, and its count grew by {grew}"
        return ""


class Traffic:
    """Visitors who ask for recommendations and look at products, and one customer who buys."""

    def __init__(self, bench: Bench, shop: Shop) -> None:
        body: Any = shop.ask("GET", "/api/products?page_size=40").json()
        items = body.get("items", []) if isinstance(body, dict) else []
        self._skus = [item["sku"] for item in items if item.get("stock", 1)] or SKUS
        self._seed, self._shop, self._buyer = bench.seed, shop, shop.customer()
        self._visitors = [shop.visitor() for _ in range(VISITORS)]
        self._stopped = threading.Event()
        self.answers = 0
        self.failures: list[str] = []
        self.skus_sold: dict[str, int] = {}

    @property
    def sold(self) -> int:
        return sum(self.skus_sold.values())

    @contextmanager
    def coming(self) -> Iterator[None]:
        """They come while the block runs."""
        with ThreadPoolExecutor(VISITORS + 1) as pool:
            done = [pool.submit(self._look, number) for number in range(VISITORS)]
            done.append(pool.submit(self._buy))
            try:
                yield
            finally:
                self._stopped.set()
        for each in done:
            each.result()

    def settle(self) -> None:
        """Wait until some more requests were answered, and something was sold."""
        answers, sold, deadline = self.answers + 40, self.sold + 3, time.monotonic() + 8
        while (self.answers < answers or self.sold < sold) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _look(self, number: int) -> None:
        visitor = self._visitors[number]
        for turn in count(number):
            if self._stopped.wait(PAUSE_SECONDS):
                return
            sku = self._skus[turn % len(self._skus)]
            path = f"/products/{sku}" if turn % 5 == 0 else f"/api/products/{sku}/recommendations"
            self._note(path, visitor.try_ask("GET", path))

    def _buy(self) -> None:
        for turn in count():
            if self._stopped.wait(4 * PAUSE_SECONDS):
                return
            sku = self._skus[turn % len(self._skus)]
            put = self._buyer.try_ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 1})
            if put.status != OK:
                continue
            key = {"Idempotency-Key": f"check-{self._seed}-{turn}"}
            order = self._buyer.try_ask("POST", "/api/orders", json={"card_number": APPROVED}, headers=key)
            if order.status == requests.codes.created:
                body = order.json()
                for item in body.get("items", []) if isinstance(body, dict) else []:
                    self.skus_sold[item["sku"]] = self.skus_sold.get(item["sku"], 0) + 1
            else:
                self._buyer.try_ask("DELETE", f"/api/cart/items/{sku}")

    def _note(self, path: str, answer: Any) -> None:
        self.answers += 1
        if answer.status != OK:
            self.failures.append(f"GET {path}: {answer}")


def _replace(bench: Bench, shop: Shop, name: str) -> None:
    try:
        shop.fleet.restart(HOT)
    except LauncherError as error:
        raise bench.not_yet(
            did=f"started {name} beside the one that runs",
            expected="200 of /readyz",
            got=str(error).partition("\n")[0],
            why="A deploy starts the new program before it ends the old one.",
            look=" ".join(str(error).splitlines()[-1:]),
        ) from error
