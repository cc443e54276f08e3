"""06: the service is asked in the shadow of the old code, and visitors do not notice."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from statistics import median
from typing import Any

import psutil
import requests

from exercises.checks.checking import Answer, Bench, Shop, Visitor, check
from exercises.checks.standin import Recommendations

COMPARED = re.compile(r'^recommendations_compared_total\{outcome="(\w+)"\} (\S+)$', re.MULTILINE)
SHADOW, UNTIL = "monolith/recommendations/shadow.py", "cut-over"
QUESTIONS = 500
AT_A_TIME = 8
VISITS = 48
SLOWER_SECONDS = 1.0
"""A visitor who waits for a hung candidate waits two seconds, the adapter's timeout."""
MAX_MORE_THREADS = 24


@cache
def _candidate() -> Recommendations:
    return Recommendations()


def _beside_candidate(bench: Bench) -> Shop:
    """The shop with a stand-in as the candidate instead of the service."""
    return bench.shop(env={"SHOP_RECOMMENDATIONS_URL": _candidate().url})


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
    skus = _skus(bench, shop, 24)
    for number, sku in enumerate(skus):
        path = f"/api/products/{sku}/recommendations?cart={skus[number - 1]}"
        (ada if number % 2 else shop).ask("GET", path)
    look = f"{SHADOW}, monolith/app.py"

    def counted() -> float:
        now = _compared(shop)
        return sum(now.values()) - sum(before.values())

    _wait_for(lambda: counted() >= len(skus), seconds=3.0)
    got = {outcome: number - before.get(outcome, 0) for outcome, number in _compared(shop).items()}
    bench.expect(
        sum(got.values()) >= len(skus) / 6 and got.get("different", 0) > 0,
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


@check("a-crash-is-invisible", task="unseen", shop=False, oracle=True, until=UNTIL)
def _(bench: Bench) -> None:
    """A candidate that drops connections or answers 503 changes nothing for visitors."""
    shop = _beside_candidate(bench)
    for how in ("lose", "refuse"):
        _candidate().behave("lose" if how == "lose" else "refuse")
        for sku in _skus(bench, shop, 6):
            mine, theirs = shop.ask("GET", f"/products/{sku}"), bench.oracle().ask("GET", f"/products/{sku}")
            bench.expect(
                mine.status == 200 and mine.text == theirs.text,
                did=f"{mine.curl}, while the candidate {'drops each connection' if how == 'lose' else 'refuses'}",
                expected="the page as without a candidate",
                got=_shown(mine),
                why="The parallel run protects visitors from the candidate's failures. It must not cause any.",
                look=SHADOW,
            )


@check("a-hang-is-invisible", task="unseen", shop=False, seconds=20, until=UNTIL)
def _(bench: Bench) -> None:
    """When the candidate hangs, no visitor waits for it and no threads pile up."""
    shop = _beside_candidate(bench)
    skus = _skus(bench, shop, 20)
    _candidate().behave("answer")
    before = median(answer.seconds for answer in _visit(shop, skus, VISITS))
    threads = _threads(shop)
    _candidate().behave("hang")
    try:
        answers = _visit(shop, skus, VISITS)
        more = _threads(shop) - threads
    finally:
        _candidate().behave("answer")
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


@check("nothing-differs", task="mend", oracle=True, load=True, seconds=40, until=UNTIL)
def _(bench: Bench) -> None:
    """The service gives the same answers as the old code to 500 random questions of strangers and customers."""
    shop = bench.shop()
    skus = _skus(bench, shop, 100)
    people: list[Visitor] = [shop, shop.customer("ada@example.com")]
    people += [shop.customer(f"customer{bench.random.randint(10, 50):05d}@example.com") for _ in range(4)]
    before = _compared(shop)
    questions = [(bench.random.choice(people), _question(bench, skus)) for _ in range(QUESTIONS)]
    for visitor, path in questions:
        visitor.ask("GET", path)

    def outcomes() -> dict[str, float]:
        return {outcome: number - before.get(outcome, 0) for outcome, number in _compared(shop).items()}

    _wait_for(lambda: sum(outcomes().values()) >= QUESTIONS)
    got = outcomes()
    shown = ", ".join(f"{outcome} {number:.0f}" for outcome, number in got.items())
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
        got.get("same", 0) >= QUESTIONS / 3,
        did=f"asked {QUESTIONS} random questions",
        expected=f"at least {QUESTIONS // 3} of them compared, with the same answer",
        got=shown or "no comparisons",
        why="A comparison that failed or was dropped says nothing about the answers.",
        look=f"{SHADOW}; the logs of both processes",
    )
    _expect_same_from_service(bench, shop, questions)
    bench.note(shown)


def _question(bench: Bench, skus: list[str]) -> str:
    """The path of a random question."""
    draw = bench.random
    cart = ",".join(draw.sample(skus, draw.randint(0, 4)))
    return f"/api/products/{draw.choice(skus)}/recommendations?limit={draw.randint(1, 20)}&cart={cart}"


def _expect_same_from_service(bench: Bench, shop: Shop, questions: list[tuple[Visitor, str]]) -> None:
    """Ask the service itself, because the learner's counter may count wrongly."""
    service = f"http://127.0.0.1:{shop.fleet.replicas('recommendations')[0].port}"
    for path in [path for visitor, path in questions if visitor is shop][:40]:
        theirs, mine = bench.oracle().ask("GET", path), _get(service + path)
        bench.expect(
            mine == theirs.json(),
            did=f"asked the service itself: GET {path}",
            expected=f"what the untouched monolith answers: {theirs}",
            got=f"{str(mine)[:200]}: they differ",
            why="The counter says that nothing differs, but the answers do.",
            look="microservices/recommendations/service.py; monolith/recommendations/comparisons.py",
        )


# ---- asking


def _visit(shop: Shop, skus: list[str], number: int) -> list[Answer]:
    """Look at product pages, several visitors at a time."""

    def look_around(mine: int) -> list[Answer]:
        visitor = shop.visitor()
        return [
            visitor.try_ask("GET", f"/products/{skus[step % len(skus)]}", timeout=30)
            for step in range(mine, number, AT_A_TIME)
        ]

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return [answer for answers in pool.map(look_around, range(AT_A_TIME)) for answer in answers]


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


def _wait_for(happened: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until it has happened, at most `seconds`. The caller then checks the result."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.05)


def _get(url: str, *, as_text: bool = False) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(url, timeout=10)
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
