"""06: the service is asked in the shadow of the old code, and visitors do not notice."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from statistics import median
from typing import Any

import psutil
import requests

from exercises.checks.checking import Answer, Bench, Shop, Visitor, check
from exercises.checks.standin import Behaviour, Recommendations, scratch
from microservices.launcher import sqlite_url
from microservices.topology import WorkspaceError, load

COMPARED = re.compile(r'^recommendations_compared_total\{outcome="(\w+)"\} (\S+)$', re.MULTILINE)
SHADOW, UNTIL = "monolith/recommendations/shadow.py", "cut-over"
QUESTIONS, FEWEST, FEWEST_COUNTED = 500, 50, 70
"""A recommender may ask the candidate only a share of the questions. With the least share, a fifth, a hundred come, and
fewer than 70 once in three thousand times. With a tenth 70 come once in four hundred times."""
SCORE_STEP = 0.0001
"""Scores have six digits. A comparison that rounds them to two or three does not see this difference."""
UNASKED_SECONDS = 1.0
MAX_MORE_FAILED = 4
"""So many more failures than calls: a question can be on its way when the calls are counted."""
FLOOD, BATCH, MAX_WAITING = 700, 20, 500
MANY_LATE = 10
"""So many answers that are late are not explained by a busy machine."""
COUNTED = 0.7
"""The least part of the expected comparisons that is counted; the rest is chance, when only a share is asked."""
AT_A_TIME = 8
MAX_LINES = 2_000
"""Lines of a log that are read: far more than one check makes."""
VISITS = 48
SETTLE_SECONDS = 1.0
ADAPTER_SECONDS = 2.0
"""The adapter's timeout: after so long a thread asks the next question, also while the candidate hangs."""
SLOWER_SECONDS = 1.0
"""A visitor who waits for a hung candidate waits for the adapter's timeout."""
MAX_MORE_THREADS = 24
QUESTIONS_AT_ONCE, MAX_AT_A_TIME = 12, 2


ALONE = """
import json, os, time
from monolith.app import create_app
from monolith.chassis.runtime import runtime
app = create_app()
status = app.test_client().get("/api/products/P00001/recommendations").status_code
time.sleep(float(os.environ["UNASKED_SECONDS"]))
samples = [one for metric in runtime(app).metrics.registry.collect() for one in metric.samples]
compared = sum(one.value for one in samples if one.name == "recommendations_compared_total")
print(json.dumps([status, compared]), flush=True)
os._exit(0)
"""
"""A program that runs in the workspace; it prints JSON."""
ASKS_AND_ENDS = """
from monolith.app import create_app
client = create_app().test_client()
for _ in range(3):
    client.get("/api/products/P00001/recommendations")
"""
END_SECONDS = 10.0
"""Far more than the three questions may take, when each waits for the adapter's two seconds."""
TIMED_OUT = 124
"""The status of a program that took too long."""


@cache
def _candidate() -> Recommendations:
    return Recommendations()


def _beside_candidate(bench: Bench) -> Shop:
    """The shop with a stand-in as the candidate instead of the service."""
    return bench.shop(env={"SHOP_RECOMMENDATIONS_URL": _candidate().url})


@check("the-monolith-knows-the-address", task="shadow", shop=False)
def _(bench: Bench) -> None:
    """The monolith needs recommendations, so the launcher gives it the service's address."""
    bench.text("topology.py")
    try:
        services = {service.name: service for service in load(bench.workspace).topology.services}
    except WorkspaceError as error:
        raise bench.not_yet(
            did="read topology.py",
            expected="TOPOLOGY and SEED",
            got=error,
            why="The shop is started from this file.",
            look="topology.py",
        ) from error
    needs = services["monolith"].needs if "monolith" in services else ()
    bench.expect(
        "recommendations" in needs,
        did="read topology.py",
        expected='needs=("recommendations",) in the Service of the monolith',
        got=f"needs={needs}",
        why="Without it recommendations_url is None in the running shop, and nobody is asked in the shadow.",
        look="topology.py",
    )


@check("nobody-asks-without-an-address", task="shadow", shop=False, until=UNTIL)
def _(bench: Bench) -> None:
    """Without an address of the service the monolith answers alone, and nothing is asked in the shadow."""
    ran = bench.python(
        ALONE,
        env={
            "SHOP_HOME": str(scratch()),
            "SHOP_DATABASE_URL": sqlite_url(scratch() / f"{bench.random.getrandbits(64):x}.sqlite3"),
            "UNASKED_SECONDS": str(UNASKED_SECONDS),
        },
    )
    lines = ran.out.splitlines()
    did = "made the monolith's application (create_app) without SHOP_RECOMMENDATIONS_URL and asked it once"
    look = "monolith/app.py: what create_app does when recommendations_url is None"
    bench.expect(
        ran.status == 0 and lines,
        did=did,
        expected="200",
        got=(ran.err.strip().splitlines() or ["it ended without a word"])[-1],
        why="Tests and tools run the monolith alone. The service is an option for it, not a need.",
        look=look,
    )
    status, compared = json.loads(lines[-1])
    bench.expect(
        (status, compared) == (200, 0),
        did=did,
        expected="200, and no comparison",
        got=f"{status}, and {compared:g} comparisons",
        why="Where there is no candidate, every question would be counted as failed.",
        look=look,
    )


@check("answers-stay-the-old-ones", task="shadow", shop=False, oracle=True, until=UNTIL)
def _(bench: Bench) -> None:
    """Visitors get the old code's answers, whatever the candidate answers."""
    shop = _beside_candidate(bench)
    _candidate().behave("nonsense")
    for sku in _skus(bench, shop, 8):
        path = f"/api/products/{sku}/recommendations?limit=5"
        theirs, mine = bench.oracle().ask("GET", path), shop.ask("GET", path)
        bench.expect(
            mine.json() == theirs.json(),
            did=f"{mine.curl}, while the candidate answers nonsense",
            expected=f"the old code's answer: {theirs}",
            got=mine,
            why="The candidate's answers may be wrong: they have not been compared yet.",
            look=SHADOW,
        )


@check("the-shadow-is-compared", task="shadow", shop=False, until=UNTIL)
def _(bench: Bench) -> None:
    """The candidate is asked the visitors' questions, with their tokens, and /metrics counts the outcomes."""
    shop = _beside_candidate(bench)
    _candidate().behave("nonsense")
    before = _compared(shop)
    ada = shop.customer("ada@example.com")
    skus = _skus(bench, shop, 60)
    for number, sku in enumerate(skus):
        path = f"/api/products/{sku}/recommendations?cart={skus[number - 1]}"
        (ada if number % 2 else shop).ask("GET", path)
    look = f"{SHADOW}, monolith/app.py"

    def counted() -> float:
        now = _compared(shop)
        return sum(now.values()) - sum(before.values())

    _settle(counted, len(skus))
    got = {outcome: number - before.get(outcome, 0) for outcome, number in _compared(shop).items()}
    bench.expect(
        got.get("different", 0) > 0,
        did=f"asked the API {len(skus)} times, while the candidate answers nonsense, and read the monolith's /metrics",
        expected='recommendations_compared_total{outcome="different"} to grow',
        got=", ".join(f"{outcome} {number:.0f}" for outcome, number in got.items()) or "no such metric",
        why="Only these counters show that the comparisons take place.",
        look=f"{look}; monolith/recommendations/comparisons.py counts",
    )
    asked = _candidate().asked()
    named = [one for one in asked if one.headers.get("Authorization", "").startswith("Bearer ")]
    with_cart = [one for one in asked if "cart" in one.query]
    bench.expect(
        named and with_cart,
        did=f"asked the API {len(skus)} times, half of them as Ada, each with a product in the cart",
        expected="the questions at the candidate, with the cart, and with Ada's token in those that Ada asked",
        got=f"{len(asked)} questions, {len(named)} with a token, {len(with_cart)} with a cart",
        why="Recommendations are personal. Without the token every customer is compared as a stranger.",
        look=f"{look}: current_token needs the visitor's request, and another thread has none",
    )
    _expect_questions_in_the_log(bench, shop, skus, ada.id)


def _expect_questions_in_the_log(bench: Bench, shop: Shop, skus: list[str], customer: str) -> None:
    """Each product was asked for with the one before it in the cart, every second time by the customer."""
    log = shop.log("monolith").tail(MAX_LINES)
    said = [
        line.partition("differs for ")[2].partition(": given")[0] for line in log if "differs for" in line
    ]
    clear = [
        text
        for text in said
        for number, sku in enumerate(skus)
        if sku in text and skus[number - 1] in text and (customer in text or number % 2 == 0)
    ]
    bench.expect(
        clear,
        did=f"asked the API {len(skus)} times, while the candidate answers nonsense, and read the monolith's log",
        expected="with each difference the question: the product, the cart and the customer",
        got=f"{len(said)} differences, such as: differs for {said[-1]!r}"
        if said
        else "no line `differs for`",
        why="A difference without its question can be counted and not be found.",
        look=f"{SHADOW}: the third argument of Comparisons.compare",
    )


@check("order-and-scores-count", task="shadow", shop=False, oracle=True, seconds=20, until=UNTIL)
def _(bench: Bench) -> None:
    """Two answers are the same only with the same products in the same order and with the same scores."""
    shop = _beside_candidate(bench)
    skus = _skus(bench, shop, 40)
    old = {
        sku: bench.oracle().ask("GET", f"/api/products/{sku}/recommendations?limit=5").json() for sku in skus
    }
    for says, change, outcome in (
        ("the same", lambda items: items, "same"),
        ("the same products in another order", lambda items: items[::-1], "different"),
        ("the same products with other scores", _other_scores, "different"),
    ):
        answers = {sku: {"sku": sku, "items": change(answer["items"])} for sku, answer in old.items()}
        _candidate().behave("answer", says=answers)
        got = _outcomes(shop, [f"/api/products/{sku}/recommendations?limit=5" for sku in skus])
        others = {name: number for name, number in got.items() if number and name != outcome}
        bench.expect(
            got.get(outcome, 0) > 0 and not others,
            did=f"asked the API {len(skus)} times, while the candidate answers {says}",
            expected=f'recommendations_compared_total{{outcome="{outcome}"}} to grow, and no other',
            got=_listed(got),
            why="The page shows the products in this order. A comparison that looks away finds nothing.",
            look=f"{SHADOW}: Comparisons.compare gets both answers as they are",
        )


@check("a-crash-is-invisible", task="unseen", shop=False, oracle=True, until=UNTIL)
def _(bench: Bench) -> None:
    """A candidate that drops connections or answers 503 changes nothing for visitors; it is counted as failed."""
    shop = _beside_candidate(bench)
    skus = _skus(bench, shop, 40)
    failures: dict[str, Behaviour] = {"drops each connection": "lose", "refuses": "refuse"}
    for says, behaviour in failures.items():
        _candidate().behave(behaviour)
        for sku in skus[:6]:
            mine, theirs = shop.ask("GET", f"/products/{sku}"), bench.oracle().ask("GET", f"/products/{sku}")
            bench.expect(
                mine.status == 200 and mine.text == theirs.text,
                did=f"{mine.curl}, while the candidate {says}",
                expected="the page as without a candidate",
                got=_shown(mine),
                why="The parallel run protects visitors from the candidate's failures. It must not cause any.",
                look=SHADOW,
            )
        got = _outcomes(shop, [f"/api/products/{sku}/recommendations" for sku in skus])
        bench.expect(
            got.get("failed", 0) > 0 and not got.get("same") and not got.get("different"),
            did=f"asked the API {len(skus)} times, while the candidate {says}",
            expected='recommendations_compared_total{outcome="failed"} to grow, and no other',
            got=_listed(got),
            why="A candidate that fails half of the time would look perfect, if only its answers were counted.",
            look=f"{SHADOW}: count(Outcome.FAILED), and the thread's loop goes on after every exception",
        )
    _candidate().behave("nonsense")
    got = _outcomes(shop, [f"/api/products/{sku}/recommendations" for sku in skus])
    bench.expect(
        got.get("different", 0) > 0,
        did=f"asked the API {len(skus)} times, after the candidate failed and now answers again",
        expected="more comparisons",
        got=_listed(got),
        why="A worker that ends with its first failure ends the comparison, and nobody notices.",
        look=f"{SHADOW}: the thread's loop goes on after every exception",
    )


@check("a-hang-is-invisible", task="unseen", shop=False, seconds=20, until=UNTIL)
def _(bench: Bench) -> None:
    """When the candidate hangs, no visitor waits for it and no threads pile up."""
    shop = _beside_candidate(bench)
    skus = _skus(bench, shop, 20)
    pages = [f"/products/{sku}" for sku in skus]
    _candidate().behave("answer")
    counted = _compared(shop)
    before = median(answer.seconds for answer in _visit(shop, pages, VISITS))
    threads = _threads(shop)
    _candidate().behave("hang")
    try:
        answers = _visit(shop, pages, VISITS)
        more = _threads(shop) - threads
    finally:
        _candidate().behave("answer")
    # The questions that hung are answered now. The next check counts its own.
    _settle(lambda: sum(_grown(shop, counted).values()), 2 * VISITS)
    late = [answer.seconds for answer in answers if answer.seconds > before + SLOWER_SECONDS]
    did = f"looked at {VISITS} product pages, {AT_A_TIME} at a time, while the candidate hangs"
    bad = [answer for answer in answers if answer.status != 200]
    bench.expect(
        not bad,
        did=did,
        expected=f"200 each time, and each page as fast as before, {before * 1000:.0f} ms",
        got=f"{len(bad)} others, the first: {bad[0] if bad else ''}",
        why="A failure of the candidate must not become a failure of the shop.",
        look=SHADOW,
    )
    if late and bench.busy() > 1.0:
        raise bench.inconclusive(
            f"{len(late)} pages were late while other programs used {bench.busy():.1f} cores"
        )
    bench.expect(
        len(late) <= 2,
        did=did,
        expected=f"each page as fast as before, {before * 1000:.0f} ms",
        got=f"{len(late)} took more than {before + SLOWER_SECONDS:.1f} s, the longest {max(late, default=0):.1f} s",
        why="In a parallel run no visitor waits for the candidate's answer.",
        look=SHADOW,
    )
    bench.expect(
        more <= MAX_MORE_THREADS,
        did=did,
        expected=f"at most {MAX_MORE_THREADS} more threads in the monolith",
        got=f"{more} more threads",
        why="Questions that wait without a limit use up memory and threads until the shop fails. Drop them instead.",
        look=f"{SHADOW}: a bounded queue, and a few threads",
    )
    bench.note(
        f"{before * 1000:.0f} ms a page before, {median(a.seconds for a in answers) * 1000:.0f} ms during"
    )


@check("two-at-a-time", task="unseen", shop=False, until=UNTIL)
def _(bench: Bench) -> None:
    """While the candidate hangs, it has at most two questions at a time; the others wait."""
    shop = _beside_candidate(bench)
    skus = _skus(bench, shop, QUESTIONS_AT_ONCE)
    before = _compared(shop)
    _candidate().behave("hang")
    began = time.monotonic()
    try:
        for sku in skus:
            shop.ask("GET", f"/api/products/{sku}/recommendations")
        _settle(lambda: len(_candidate().asked()), MAX_AT_A_TIME + 1)
        hanging, took = len(_candidate().asked()), time.monotonic() - began
    finally:
        _candidate().behave("answer")
    _settle(lambda: sum(_grown(shop, before).values()), len(skus))
    if hanging > MAX_AT_A_TIME and took >= ADAPTER_SECONDS:
        raise bench.inconclusive(
            f"the questions took {took:.1f} s while other programs used {bench.busy():.1f} cores"
        )
    bench.expect(
        hanging <= MAX_AT_A_TIME,
        did=f"asked the API {len(skus)} times, while the candidate hangs",
        expected=f"at most {MAX_AT_A_TIME} questions at the candidate at a time",
        got=f"{hanging} within {took:.1f} s",
        why="A candidate that is in trouble gets no better when more questions come at the same time.",
        look=f"{SHADOW}: two threads ask, the others wait in the queue",
    )


@check("the-shop-still-ends", task="unseen", shop=False, until=UNTIL)
def _(bench: Bench) -> None:
    """The monolith's process ends when it is to end, also while the candidate hangs."""
    _candidate().behave("hang")
    try:
        ran = bench.python(
            ASKS_AND_ENDS,
            env={
                "SHOP_HOME": str(scratch()),
                "SHOP_DATABASE_URL": sqlite_url(scratch() / f"{bench.random.getrandbits(64):x}.sqlite3"),
                "SHOP_RECOMMENDATIONS_URL": _candidate().url,
            },
            timeout=END_SECONDS,
        )
    finally:
        _candidate().behave("answer")
    bench.expect(
        ran.status == 0,
        did="made the monolith's application (create_app), asked it three times while the candidate hangs, and ended",
        expected=f"a process that has ended within {END_SECONDS:g} s",
        got=f"no end after {END_SECONDS:g} s" if ran.status == TIMED_OUT else ran.err.strip()[-200:],
        why="Each restart of the shop would take until somebody kills it.",
        look=f"{SHADOW}: threads with daemon=True do not keep a process alive",
    )


@check("a-full-queue-drops", task="unseen", shop=False, load=True, seconds=40, until=UNTIL)
def _(bench: Bench) -> None:
    """While the candidate hangs, at most 500 questions wait. The others are dropped and counted; no visitor waits."""
    shop = _beside_candidate(bench)
    skus = _skus(bench, shop, 40)
    paths = [f"/api/products/{skus[number % len(skus)]}/recommendations" for number in range(FLOOD)]
    _candidate().behave("answer")
    share = sum(_outcomes(shop, paths[:100]).values()) / 100
    before = _compared(shop)
    _candidate().behave("hang")
    try:
        answers, late = list[Answer](), list[float]()
        while len(answers) < FLOOD and len(late) < MANY_LATE:
            answers += _visit(shop, paths[len(answers) :], BATCH)
            late = [answer.seconds for answer in answers if answer.seconds > SLOWER_SECONDS]
        hung = len(_candidate().asked())
    finally:
        _candidate().behave("answer")
    _settle(lambda: sum(_grown(shop, before).values()), share * len(answers))
    waiting, got = len(_candidate().asked()), _grown(shop, before)
    did = f"asked the API {len(answers)} times, {AT_A_TIME} at a time, while the candidate hangs, then let it answer"
    if 0 < len(late) < MANY_LATE and bench.busy() > 1.0:
        raise bench.inconclusive(
            f"{len(late)} answers were late while other programs used {bench.busy():.1f} cores"
        )
    bench.expect(
        len(late) <= 2 and all(answer.status == 200 for answer in answers),
        did=did,
        expected=f"200 each time, and no answer later than {SLOWER_SECONDS:g} s",
        got=f"{len(late)} late answers, the longest took {max(late, default=0):.1f} s",
        why="When the queue is full, a visitor who waits for a place waits for the candidate.",
        look=f"{SHADOW}: put_nowait",
    )
    bench.expect(
        waiting <= MAX_WAITING,
        did=did,
        expected=f"at most {MAX_WAITING} questions that waited in the queue",
        got=f"{waiting} questions came to the candidate afterwards",
        why="A candidate that hangs for an hour would fill the memory with questions.",
        look=f"{SHADOW}: Queue(maxsize)",
    )
    bench.expect(
        sum(got.values()) >= COUNTED * share * FLOOD,
        did=did,
        expected=f"about {share * FLOOD:.0f} counted, each as same, different, failed or dropped",
        got=_listed(got),
        why="Comparisons that nobody made look like comparisons without a difference.",
        look=f"{SHADOW}: count(Outcome.DROPPED)",
    )
    bench.expect(
        got.get("failed", 0) <= hung + MAX_MORE_FAILED,
        did=did,
        expected=f"at most {hung} failed, because {hung} questions hung at the candidate; the others dropped",
        got=_listed(got),
        why="Failed is the candidate's fault, dropped is not: nobody asked it.",
        look=f"{SHADOW}: a question that does not fit is Outcome.DROPPED",
    )
    bench.note(f"{_listed(got)}; {waiting} waited")


@check("nothing-differs", task="mend", oracle=True, load=True, seconds=40, until=UNTIL)
def _(bench: Bench) -> None:
    """The service gives the same answers as the old code to 500 random questions of strangers and customers."""
    shop = bench.shop()
    _index_purchases(shop)
    skus = _skus(bench, shop, 100)
    numbers = bench.random.sample(range(10, 50), 4)
    emails = ["", "ada@example.com", *(f"customer{number:05d}@example.com" for number in numbers)]
    people = {email: shop.customer(email) if email else shop for email in emails}
    before = _compared(shop)
    questions = [(bench.random.choice(emails), _question(bench, skus)) for _ in range(QUESTIONS)]
    for email, path in questions:
        people[email].ask("GET", path)
    _settle(lambda: sum(_grown(shop, before).values()), QUESTIONS)
    got = _grown(shop, before)
    shown = _listed(got)
    look = "the monolith's log: it has the questions that differ; microservices/recommendations/service.py"
    why = "From the next exercise on, visitors get the service's answers."
    bench.expect(
        got.get("different", 0) == 0,
        did=f"asked {QUESTIONS} random questions, as a stranger and as five customers",
        expected="no question with answers that differ",
        got=shown,
        why=why,
        look=look,
    )
    bench.expect(
        got.get("same", 0) >= FEWEST and not got.get("failed"),
        did=f"asked {QUESTIONS} random questions",
        expected=f"at least {FEWEST} of them compared, with the same answer, and none failed",
        got=shown,
        why="A comparison that failed or was dropped says nothing about the answers.",
        look=f"{SHADOW}; the logs of both processes",
    )
    bench.expect(
        sum(got.values()) >= FEWEST_COUNTED,
        did=f"asked {QUESTIONS} random questions",
        expected=f"at least a fifth of them in the comparison, so about {QUESTIONS // 5} or more",
        got=shown,
        why="The fewer questions are compared, the more differences are found only by visitors, after the switch.",
        look=f"{SHADOW}: the share of the questions that it asks",
    )
    _expect_same_from_service(bench, shop, questions[:120])
    bench.note(shown)


def _index_purchases(shop: Shop) -> None:
    """Give the database another way to read them: rows without a stated order come in another one then."""
    file = shop.database("recommendations")
    # A learner's table may have other names.
    with closing(sqlite3.connect(file, timeout=10)) as db, db, suppress(sqlite3.OperationalError):
        db.execute("CREATE INDEX IF NOT EXISTS newest ON purchases (customer_id, position DESC, sku DESC)")


def _question(bench: Bench, skus: list[str]) -> str:
    """The path of a random question."""
    draw = bench.random
    cart = ",".join(draw.sample(skus, draw.randint(0, 4)))
    return f"/api/products/{draw.choice(skus)}/recommendations?limit={draw.randint(1, 20)}&cart={cart}"


def _expect_same_from_service(bench: Bench, shop: Shop, questions: list[tuple[str, str]]) -> None:
    """Ask the service itself, because the learner's counter may count wrongly."""
    service = f"http://127.0.0.1:{shop.fleet.replicas('recommendations')[0].port}"
    emails = {email for email, _ in questions if email}
    old: dict[str, Visitor] = {email: bench.oracle().customer(email) for email in sorted(emails)}
    tokens = {email: _token(shop, visitor) for email, visitor in old.items()}
    for email, path in questions:
        theirs = old.get(email, bench.oracle()).ask("GET", path)
        mine = _get(service + path, token=tokens.get(email, ""))
        bench.expect(
            mine == theirs.json(),
            did=f"asked the service itself, as {email or 'a stranger'}: GET {path}",
            expected=f"what the untouched monolith answers: {theirs}",
            got=f"{str(mine)[:200]}: they differ",
            why="The counter says that nothing differs, but the answers do.",
            look="microservices/recommendations/service.py; monolith/recommendations/comparisons.py",
        )


def _token(shop: Shop, visitor: Visitor) -> str:
    """The token of the shop's customer with the email and password of this one of the oracle."""
    form = {"email": visitor.email, "password": visitor.password}
    body = shop.ask("POST", "/api/sessions", json=form).json()
    return str(body.get("token")) if isinstance(body, dict) else ""


# ---- asking


def _visit(shop: Shop, paths: list[str], number: int) -> list[Answer]:
    """Ask for these paths in turn, several visitors at a time."""

    def look_around(mine: int) -> list[Answer]:
        visitor = shop.visitor()
        return [
            visitor.try_ask("GET", paths[step % len(paths)], timeout=30)
            for step in range(mine, number, AT_A_TIME)
        ]

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return [answer for answers in pool.map(look_around, range(AT_A_TIME)) for answer in answers]


def _outcomes(shop: Shop, paths: list[str]) -> dict[str, float]:
    """Ask for these paths; returns the outcomes of the comparisons that follow."""
    before = _compared(shop)
    for path in paths:
        shop.ask("GET", path)
    _settle(lambda: sum(_grown(shop, before).values()), len(paths))
    return _grown(shop, before)


def _grown(shop: Shop, before: dict[str, float]) -> dict[str, float]:
    return {outcome: number - before.get(outcome, 0) for outcome, number in _compared(shop).items()}


def _listed(outcomes: dict[str, float]) -> str:
    shown = ", ".join(f"{outcome} {number:.0f}" for outcome, number in outcomes.items() if number)
    return shown or ("no comparison" if outcomes else "no metric recommendations_compared_total")


def _other_scores(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**item, "score": item["score"] + SCORE_STEP} for item in items]


def _compared(shop: Shop) -> dict[str, float]:
    """The outcomes of the comparisons in the monolith's metrics."""
    text = _get(f"http://127.0.0.1:{shop.fleet.replicas('monolith')[0].port}/metrics", as_text=True)
    return {outcome: float(number) for outcome, number in COMPARED.findall(text)}


def _threads(shop: Shop) -> int:
    total = 0
    for pid in shop.pids("monolith"):
        try:
            total += psutil.Process(pid).num_threads()
        except psutil.Error:
            continue
    return total


def _settle(counted: Callable[[], float], expected: float) -> None:
    """Wait until `expected` are counted, or until no more have come for a moment: only a share may be asked."""
    seen, since = counted(), time.monotonic()
    while seen < expected and time.monotonic() - since < SETTLE_SECONDS:
        time.sleep(0.05)
        now = counted()
        seen, since = now, time.monotonic() if now != seen else since


def _get(url: str, *, as_text: bool = False, token: str = "") -> Any:
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(
                url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=10
            )
            return answer.text if as_text else answer.json()
        except (requests.RequestException, ValueError) as error:
            return "" if as_text else str(error)


def _skus(bench: Bench, shop: Shop, count: int) -> list[str]:
    body = shop.ask("GET", "/api/products?page_size=100").json()
    items = body.get("items", []) if isinstance(body, dict) else []
    listed = [str(item.get("sku")) for item in items if isinstance(item, dict)]
    bench.expect(
        len(listed) >= count,
        expected=f"{count} products",
        got=len(listed),
        why="The checks choose their products from this list.",
        look="monolith/catalog",
    )
    return bench.random.sample(listed, count)


def _shown(page: Answer) -> str:
    heading = ">Bestsellers<" in page.text
    return f"{page.status}, {'with bestsellers instead of recommendations' if heading else 'another page'}"
