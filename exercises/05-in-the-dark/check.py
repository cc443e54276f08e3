"""05: recommendations run as a service with data of its own, and nobody asks it yet."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import requests

from exercises.checks.checking import Bench, CheckError, Shop, check
from exercises.checks.standin import scratch
from microservices.chaos.standin import HANG, LOSE, Answer, Drip, StandIn
from microservices.launcher import sqlite_url
from microservices.topology import WorkspaceError, load

PASSWORD = "correct-horse-battery"  # noqa: S105 -- published on purpose: the demo accounts' password
APPROVED = "4242424242424242"
CUSTOMER = "C00001"
LEARN_SECONDS, SETTLE_SECONDS = 15.0, 5.0
SERVICE, TABLES = "recommendations", {"co_purchases", "feed_position", "popularity", "purchases"}
REMOTE, EVENTS = "monolith/recommendations/remote.py", "monolith/orders/events.py"
MAX_EVENTS, ORDERS = 500, 6
HANG_SECONDS, GIVE_UP_SECONDS = 6.0, 2.0
LATE_SECONDS = GIVE_UP_SECONDS + 0.8
CLEARLY_LATE_SECONDS = GIVE_UP_SECONDS + 1.5
"""From LATE_SECONDS on an answer is too late; from CLEARLY_LATE_SECONDS on no busy machine explains it."""
ROUTE = re.compile(
    r'^http_requests_total\{[^}]*route="/api/products/<sku>/recommendations"[^}]*\} (\S+)$', re.MULTILINE
)
GOOD = {"sku": "P00001", "items": [{"sku": "P00002", "score": 0.5}]}
BREAKS: dict[str, Answer] = {
    "answers 500": (500, b"<h1>Oops</h1>", {"Content-Type": "text/html"}),
    "answers 503": (503, {"type": "/problems/unavailable", "status": 503}),
    "answers 401": (401, {"type": "/problems/not-authenticated"}),
    "answers 202 with a body that would be right": (202, GOOD),
    "answers 204 and no body": (204, None),
    "sends broken JSON": (200, b'{"items": [{"sku"'),
    "sends other JSON": (200, {"nobody": "agreed on this"}),
    "sends a list": (200, [1, None]),
    "sends null": (200, b"null"),
    'sends {"items": "x"}': (200, {"sku": "P00001", "items": "x"}),
    "sends items without a score": (200, {"sku": "P00001", "items": [{"sku": "P00002"}]}),
    "breaks off": LOSE,
}
PLACE = re.compile(r'File "[^"]*/((?:monolith|microservices)/[^"]+)", line (\d+)')

# ---- programs that run in the workspace; each prints JSON

ALONE = """
import json, os, sys
from microservices.recommendations.app import create_app
ready = create_app(os.environ).test_client().get("/readyz").status_code
from microservices.recommendations.models import Base
print(json.dumps([ready, sorted(Base.metadata.tables), sorted(m for m in sys.modules if m.startswith("monolith"))]))
"""
LEARN = """
import json, os
from sqlalchemy import select
from microservices.chassis.database import Database
from microservices.recommendations.learning import learn_from_event
from microservices.recommendations.models import Base, CoPurchase, Popularity, Purchase
database = Database(os.environ["SHOP_DATABASE_URL"], Base)
database.create_tables()
with database.writing() as db:
    for event in json.loads(os.environ["GIVEN"]):
        learn_from_event(db, event["type"], event["data"])
with database.reading() as db:
    popular = dict(list(map(tuple, db.execute(select(Popularity.sku, Popularity.orders)))))
    pairs = sorted(map(list, db.execute(select(CoPurchase.sku, CoPurchase.other, CoPurchase.orders))))
    bought = sorted(map(list, db.execute(select(Purchase.customer_id, Purchase.sku, Purchase.position))))
print(json.dumps([popular, pairs, bought]))
"""
FEED = """
import base64, json, os
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from microservices.chassis.tokens import ServiceTokens
keys = {name: Ed25519PrivateKey.generate() for name in ("recommendations", "cart")}
public = {name: base64.b64encode(key.public_key().public_bytes_raw()).decode() for name, key in keys.items()}
os.environ["SHOP_TRUSTED_KEYS"] = json.dumps(public)
from monolith.app import create_app
client = create_app().test_client()
said = []
for caller, audience, query in json.loads(os.environ["GIVEN"]):
    token = ServiceTokens(caller, keys[caller].private_bytes_raw(), {}).issue(audience)
    answer = client.get("/internal/events" + query, headers={"Authorization": f"Service {token}"})
    said.append([answer.status_code, answer.get_json(silent=True)])
print(json.dumps(said))
"""
ASK = """
import json, os, time
from concurrent.futures import ThreadPoolExecutor
from monolith.recommendations.interface import RecommendationsUnavailable
from monolith.recommendations.remote import RemoteRecommender

def made(where, tokens):
    if where.startswith("http:"):
        return RemoteRecommender(where, lambda: tokens[-1] if tokens else None)
    from monolith.chassis.database import Database
    from monolith.recommendations import LocalRecommender
    return LocalRecommender(Database(where))

def outcome(recommender, question):
    started = time.monotonic()
    try:
        said = ["answer", recommender.suggest(*question)]
    except RecommendationsUnavailable:
        said = ["unavailable", ""]
    except BaseException as error:
        said = ["raised", f"{type(error).__name__}: {error}"]
    return [*said, time.monotonic() - started]

def outcomes(case):
    tokens, said = [], []
    recommender = made(case["where"], tokens)
    for token, *question in case["questions"]:
        tokens.append(token)
        said.append(outcome(recommender, question))
    return said

cases = json.loads(os.environ["GIVEN"])
with ThreadPoolExecutor(len(cases)) as pool:
    print(json.dumps(list(pool.map(outcomes, cases)), default=repr))
os._exit(0)
"""


# ---- the code


@check("service-starts", task="code", shop=False)
def _(bench: Bench) -> None:
    """The service starts by itself, with four tables of its own: its /readyz answers 200."""
    ready, tables, foreign = _run(
        bench,
        ALONE,
        did="started the service alone (create_app of microservices/recommendations/app.py) and asked GET /readyz",
        expected="200",
        why="A service starts without the rest of the shop. That is the first thing to see of it.",
        look="microservices/recommendations: ranking.py, service.py, models.py, learning.py",
        SHOP_ORDERS_URL="http://127.0.0.1:1",
        SHOP_ACCOUNTS_URL="http://127.0.0.1:1",
    )
    bench.expect(
        not foreign,
        did="started the service alone and looked at what it imports",
        expected="nothing of the package monolith",
        got=", ".join(foreign[:5]),
        why="A service that imports the monolith can be neither deployed nor changed without it.",
        look="the imports in microservices/recommendations",
    )
    bench.expect(
        set(tables) == TABLES,
        did="looked at the tables of Base in microservices/recommendations/models.py",
        expected=", ".join(sorted(TABLES)),
        got=", ".join(tables),
        why="The service's own Base decides which tables its database has.",
        look="microservices/recommendations/models.py",
    )
    bench.expect(
        ready == 200,
        did="started the service alone and asked GET /readyz",
        expected="200",
        got=ready,
        why="A process that is not ready gets no requests.",
        look="microservices/recommendations/models.py",
    )


@check("learns-an-event", task="code", shop=False)
def _(bench: Bench) -> None:
    """`learn_from_event` counts a confirmed order, and ignores every other kind of event."""
    one, two, three = bench.random.sample(range(10_000, 99_999), 3)
    events = [
        _event("order-confirmed", 1, f"P{one}", f"P{two}"),
        _event("order-confirmed", 2, f"P{one}"),
        _event("order-parked", 3, f"P{two}", f"P{three}"),
    ]
    popular, pairs, bought = _run(
        bench,
        LEARN,
        did="called learn_from_event for two confirmed orders and for an event of another kind",
        expected="counts in the service's tables",
        why="The chassis' feed reader calls this function for each event.",
        look="microservices/recommendations/learning.py",
        GIVEN=json.dumps(events),
    )
    first, second = sorted((f"P{one}", f"P{two}"))
    wanted = [{f"P{one}": 2, f"P{two}": 1}, [[first, second, 1], [second, first, 1]]]
    bench.expect(
        [popular, pairs] == wanted,
        did=f"called learn_from_event for a confirmed order of P{one} and P{two}, one of P{one} alone, "
        f"and an event `order-parked` with P{two} and P{three}",
        expected=f"popularity {wanted[0]}, co_purchases {wanted[1]}",
        got=f"popularity {popular}, co_purchases {pairs}",
        why="One day the feed will have other kinds of events. Only a confirmed order is a purchase.",
        look="microservices/recommendations/learning.py: learn_from_event",
    )
    mine = sorted([CUSTOMER, sku, number] for sku, number in ((f"P{one}", 2), (f"P{two}", 1)))
    bench.expect(
        bought == mine,
        did=f"called learn_from_event for two orders of the customer {CUSTOMER}: number 1 with P{one} and P{two}, "
        f"number 2 with P{one}",
        expected=f"purchases {mine}: the customer, the product, the number of the newest order with it",
        got=f"purchases {bought}",
        why="What a customer bought before is part of the answer. Without it customers are strangers.",
        look="microservices/recommendations/learning.py: how an event becomes Bought(number, customer_id, products)",
    )


# ---- the process


@check("two-threads-one-slot", task="process", shop=False, until="scale-the-hot-part")
def _(bench: Bench) -> None:
    """topology.py gives the service two threads and one slot."""
    bench.text("topology.py")
    try:
        topology = load(bench.workspace).topology
    except WorkspaceError as error:
        raise bench.not_yet(
            did="read topology.py",
            expected="TOPOLOGY and SEED",
            got=error,
            why="The shop is started from this file.",
            look="topology.py",
        ) from error
    found = {service.name: service for service in topology.services}.get(SERVICE)
    bench.expect(
        found and (found.threads, found.slots) == (2, 1),
        did="read topology.py",
        expected=f'Service("{SERVICE}", ..., threads=2, slots=1)',
        got=f"threads={found.threads}, slots={found.slots}" if found else f"no service {SERVICE}",
        why="It only computes, so more threads would just take turns. A second slot comes when there are replicas.",
        look="topology.py",
    )


@check("service-answers-the-same", task="process", oracle=True, until="parallel-run")
def _(bench: Bench) -> None:
    """The service gives the monolith's answers: to strangers, to customers, with products in the cart and without."""
    service = _service(bench)
    token = _token(bench.oracle())
    mine = _token(bench.shop())
    skus = _skus(bench, 12)
    for number, sku in enumerate(skus[:8]):
        path = f"/api/products/{sku}/recommendations?limit=20&cart={','.join(skus[9 : 9 + number % 4])}"
        signed_in = number % 2 == 1
        theirs = bench.oracle().ask("GET", path, headers=_bearer(token) if signed_in else None)
        got = service.ask(path, _bearer(mine) if signed_in else {})
        bench.expect(
            got.status == 200 and got.json == theirs.json(),
            did=f"asked the service itself, {'as Ada' if signed_in else 'as a stranger'}: GET {path}",
            expected=f"what the monolith answers: {theirs}",
            got=f"{got.status} {json.dumps(got.json)[:300]}",
            why="The service has the same code and the same past orders, so its answers should be the same.",
            look="microservices/recommendations/service.py, models.py, learning.py; SEED in topology.py",
        )


@check("the-service-has-a-door", task="process", until="parallel-run")
def _(bench: Bench) -> None:
    """The gateway has a listener for the service at {$SHOP_RECOMMENDATIONS_PORT}, and passes on to it."""
    service, path = _service(bench), f"/api/products/{bench.some_sku()}/recommendations"
    before = service.answered()
    door = Direct(bench.shop(), SERVICE, port=bench.shop().fleet.internal_ports[SERVICE])
    got = door.ask(path)
    bench.expect(
        got.status == 200 and service.answered() == before + 1,
        did=f"asked at {{$SHOP_RECOMMENDATIONS_PORT}}: GET {path}",
        expected="200, from the service",
        got=f"{got.status} {json.dumps(got.json)[:200]}" if got.status else "no answer",
        why="The next exercise asks the service through this door.",
        look="Caddyfile: a listener :{$SHOP_RECOMMENDATIONS_PORT} that passes on to {$SHOP_RECOMMENDATIONS_SLOTS}",
    )


@check("data-of-its-own", task="process")
def _(bench: Bench) -> None:
    """The service has data of its own: it answers without the monolith's database."""
    service, path = _service(bench), f"/api/products/{bench.some_sku()}/recommendations"
    with bench.shop().without_database("monolith"):
        got = service.ask(path)
    bench.expect(
        got.status == 200,
        did=f"took the tables of the monolith's database away and asked the service: GET {path}",
        expected="200: it answers without the monolith's database",
        got=f"{got.status} {json.dumps(got.json)[:200]}",
        why="Services that share a database share its outages, its locks and every change of its tables.",
        look="topology.py: SEED and SHOP_DATABASE_URL; microservices/recommendations/models.py: its own Base",
    )


@check("the-copy-has-its-position", task="process", seconds=20, until="cut-over")
def _(bench: Bench) -> None:
    """The service begins with a copy of the past orders and reads on where the copy ends: each order counts once."""
    shop = bench.shop()
    _service(bench)
    _settle(lambda: _learnt(shop, SERVICE) == _learnt(shop, "monolith"), SETTLE_SECONDS)
    (position, counted), (last, wanted) = _learnt(shop, SERVICE), _learnt(shop, "monolith")
    bench.expect(
        (position, counted) == (last, wanted),
        did="compared the service's tables popularity and feed_position with the monolith's, before anybody bought",
        expected=f"{wanted} sold, and the position {last}: the last order in the copy",
        got=f"{counted} sold, and the position {position or 'is missing'}"
        + (": every past order counts twice" if wanted and counted == 2 * wanted else ""),
        why="Without the position the service reads the feed from the start and counts the copied orders again.",
        look="topology.py: SEED; backfill.py",
    )


# ---- the feed


@check("feed-is-for-services", task="feed", seconds=20)
def _(bench: Bench) -> None:
    """The feed of orders exists, and only recommendations, with a token for orders, can read it."""
    shop = bench.shop()
    monolith = Direct(shop, "monolith")
    path = "/internal/events?after=0&limit=5"
    look, why = f"{EVENTS}: require_service", "The feed shows who bought what."
    for who, headers in (
        ("without a token", {}),
        ("with a customer's token", _bearer(_token(shop))),
        ("with a made-up token", {"Authorization": "Service e30.e30.e30"}),
    ):
        got = monolith.ask(path, headers)
        bench.expect(
            got.status in (401, 403),
            did=f"asked the monolith itself {who}: GET {path}",
            expected="401 or 403 (and not 404: the route must exist)",
            got=got.status,
            why=why,
            look=look,
        )
    outside = shop.ask("GET", path)
    bench.expect(outside.status == 404, expected="404 from outside", got=outside, why=why, look="Caddyfile")
    strangers = {
        "as the cart service, whose token is valid": ("cart", "orders", ""),
        "as recommendations, with a token for the cart service": (SERVICE, "cart", ""),
    }
    for who, (status, _) in zip(strangers, _feed(bench, *strangers.values()), strict=True):
        bench.expect(
            status in (401, 403),
            did=f"asked the feed {who}: GET /internal/events",
            expected="401 or 403: it is for recommendations only",
            got=status,
            why=f"{why} A service that does not need it must not have it.",
            look=look,
        )


@check("feed-comes-in-parts", task="feed", seconds=20)
def _(bench: Bench) -> None:
    """The feed gives the events after a position, in order, and at most 500 of them."""
    (status, body), *_ = _feed(bench, (SERVICE, "orders", f"?after=0&limit={MAX_EVENTS}"))
    positions = _positions(body)
    bench.expect(
        status == 200 and len(positions) == MAX_EVENTS and positions == sorted(set(positions)),
        did=f"asked the feed as recommendations: GET /internal/events?after=0&limit={MAX_EVENTS}",
        expected=f"200 and the first {MAX_EVENTS} events, each with position, type and data, in order",
        got=f"{status}, {len(positions)} events: {json.dumps(body)[:150]}",
        why="A reader goes on from the last position that it knows.",
        look=f"{EVENTS}: return what feed(db, after, limit) returns",
    )
    place = bench.random.randrange(100, 400)
    after = positions[place - 1]
    (_, some), (_, single), (_, first), *large = _feed(
        bench,
        (SERVICE, "orders", f"?after={after}&limit=5"),
        (SERVICE, "orders", f"?after={after}&limit=1"),
        (SERVICE, "orders", "?limit=5"),
        (SERVICE, "orders", f"?after=0&limit={MAX_EVENTS + 1}"),
        (SERVICE, "orders", "?after=0&limit=100000"),
        (SERVICE, "orders", "?after=0"),
    )
    bench.expect(
        _positions(some) == positions[place : place + 5],
        did=f"asked the feed as recommendations: GET /internal/events?after={after}&limit=5",
        expected=f"the five events after {after}: {positions[place : place + 5]}",
        got=_positions(some),
        why="An event that is left out is lost, because the reader never comes back for it.",
        look=f"{EVENTS}: after and limit come from the query",
    )
    for query, body, wanted in (
        (f"?after={after}&limit=1", single, positions[place : place + 1]),
        ("?limit=5", first, positions[:5]),
    ):
        bench.expect(
            _positions(body) == wanted,
            did=f"asked the feed as recommendations: GET /internal/events{query}",
            expected=f"the events {wanted}: without a position from the first one on",
            got=_positions(body),
            why="A reader that knows no position yet begins with the first event, and one event is a part too.",
            look=f"{EVENTS}: after is 0 when it is not given, and limit is at least 1",
        )
    longest = max(len(_positions(body)) for _, body in large)
    bench.expect(
        longest <= MAX_EVENTS,
        did=f"asked the feed with limit={MAX_EVENTS + 1}, with limit=100000 and without a limit",
        expected=f"a refusal, or at most {MAX_EVENTS} events",
        got=f"{longest} events in one answer",
        why="One question without a bound can keep a thread busy for minutes and fill the memory.",
        look=f"{EVENTS}: limit is at most {MAX_EVENTS}",
    )


@check("learns-from-the-feed", task="feed", seconds=20)
def _(bench: Bench) -> None:
    """The service soon learns from what is bought in the shop, and counts each order once."""
    shop, service = bench.shop(), _service(bench)
    path = "/api/products/{}/recommendations?limit=20"
    one = bench.some_sku()
    known = _skus_of(service.ask(path.format(one)).json)
    other = bench.random.choice([sku for sku in _skus(bench, 60) if sku not in {one, *known}])
    customer = shop.customer()
    before = _sold(shop, one)
    for number in range(ORDERS):
        for sku in (one, other):
            customer.ask("PUT", f"/api/cart/items/{sku}", json={"quantity": 1})
        sold = customer.ask(
            "POST",
            "/api/orders",
            json={"card_number": APPROVED},
            headers={"Idempotency-Key": f"key-{number:08}"},
        )
    bench.expect(
        sold.status == 201, expected="201", got=sold, why="Checkout must not change.", look="monolith/orders"
    )
    took = bench.wait_until(
        lambda: other in _skus_of(service.ask(path.format(one)).json),
        LEARN_SECONDS,
        f"the service suggests {other} for {one}, after {ORDERS} orders of both together,",
    )
    _settle(lambda: _sold(shop, one) >= before + ORDERS, LEARN_SECONDS)
    bench.expect(
        _sold(shop, one) == before + ORDERS,
        did=f"bought {one} in {ORDERS} orders and looked at its row in the service's table popularity",
        expected=f"{before + ORDERS}: {ORDERS} more than before",
        got=_sold(shop, one),
        why="An order that counts twice makes a product look twice as popular.",
        look="microservices/recommendations/learning.py",
    )
    bench.note(f"it took {took:.1f} s")


# ---- the adapter


@check("one-contract-two-adapters", task="adapter", until="cut-over")
def _(bench: Bench) -> None:
    """Both adapters give answers of one form: a caller cannot tell which of them answers."""
    shop = bench.shop()
    service = _service(bench)
    skus = _skus(bench, 5)
    ada, token = shop.customer("ada@example.com"), _token(shop)
    questions = [
        [None, skus[0], [], None, 8],
        [None, skus[1], skus[2:4], None, 3],
        [token, skus[4], skus[:1], ada.id, 20],
    ]
    places = {"local": sqlite_url(shop.database("monolith")), "remote": service.url}
    said = _asked(bench, [{"where": where, "questions": questions} for where in places.values()])
    for which, outcomes in zip(places, said, strict=True):
        for (_, *question), (kind, answer, _) in zip(questions, outcomes, strict=True):
            bench.expect(
                kind == "answer" and _has_the_form(answer, question),
                did=f"asked the {which} adapter: suggest{tuple(question)}",
                expected='{"sku": ..., "items": [{"sku": ..., "score": ...}, ...]}, with 1 to '
                f"{question[3]} items",
                got=f"{kind} {json.dumps(answer)[:200]}",
                why="A caller must not see which of the two adapters answers.",
                look=REMOTE if which == "remote" else "monolith/recommendations/local.py",
            )


@check("asks-for-the-one-who-asks", task="adapter", shop=False)
def _(bench: Bench) -> None:
    """The adapter passes on the cart, the limit and the customer's token, and a stranger has no token."""
    one, two, three = (f"P{number}" for number in bench.random.sample(range(10_000, 99_999), 3))
    token, given = (
        f"token.{bench.random.random()}",
        [{"sku": two, "score": 0.75}, {"sku": three, "score": 0.5}],
    )
    questions = [
        [token, one, [two, three], "C00001", 3],
        [None, one, [], None, 8],
    ]
    with StandIn(lambda _: (200, {"sku": one, "items": given})) as service:
        (outcomes,) = _asked(bench, [{"where": service.url, "questions": questions}])
        came = list(service.asked)
    for (kind, answer, _), (_, *question) in zip(outcomes, questions, strict=True):
        bench.expect(
            kind == "answer" and answer == {"sku": one, "items": given},
            did=f"asked the adapter suggest{tuple(question)}, and the service answers {given}",
            expected="the service's answer, in its order",
            got=f"{kind} {json.dumps(answer)[:200]}",
            why="The service has sorted the products; the best one comes first.",
            look=REMOTE,
        )
    path = f"/api/products/{one}/recommendations"
    wanted = [(path, f"{two},{three}", "3", f"Bearer {token}"), (path, "", "8", None)]
    seen = [
        (one.route, one.query.get("cart", ""), one.query.get("limit"), one.headers["Authorization"])
        for one in came
    ]
    for number, who in enumerate(
        ("a customer with two products in the cart", "a stranger after that customer")
    ):
        bench.expect(
            seen[number : number + 1] == wanted[number : number + 1],
            did=f"asked the adapter for {who}, and read the request that came to the service",
            expected=_request(*wanted[number]),
            got=_request(*seen[number]) if number < len(seen) else "no request",
            why="Recommendations are personal: by the token the service knows for whom they are, and with which cart.",
            look=f"{REMOTE}: params and headers of the request",
        )


@check("asks-without-a-proxy", task="adapter", shop=False)
def _(bench: Bench) -> None:
    """The adapter asks the service itself, also where the environment names a proxy for the world outside."""
    with StandIn(lambda _: (200, GOOD)) as service, StandIn(lambda _: (502, {})) as proxy:
        question = [None, "P00001", [], None, 8]
        named = {"HTTP_PROXY": proxy.url, "http_proxy": proxy.url, "NO_PROXY": "", "no_proxy": ""}
        (((kind, answer, _),),) = _asked(bench, [{"where": service.url, "questions": [question]}], **named)
        came, went_astray = len(service.asked), len(proxy.asked)
    bench.expect(
        kind == "answer" and came == 1 and not went_astray,
        did=f"asked the remote adapter with HTTP_PROXY={proxy.url} in the environment",
        expected="one request at the service, and none at the proxy",
        got=f"{came} at the service, {went_astray} at the proxy: {kind} {json.dumps(answer)[:150]}",
        why="In many offices the environment names a proxy. It knows nothing of the processes on this machine.",
        look=f"{REMOTE}: trust_env of a Session is False",
    )


@check("failures-become-one-error", task="adapter", shop=False)
def _(bench: Bench) -> None:
    """Everything that is not a proper answer becomes RecommendationsUnavailable."""
    with ExitStack() as stack:
        with StandIn(lambda _: LOSE) as gone:
            servers = {"is not there": gone.url}
        elsewhere = stack.enter_context(StandIn(lambda _: (200, GOOD)))
        away = (302, GOOD, {"Location": f"{elsewhere.url}/api/products/P00001/recommendations"})
        for how, answer in {**BREAKS, "sends a redirect to another server": away}.items():
            servers[how] = stack.enter_context(StandIn(lambda _, answer=answer: answer)).url
        question = ["a.customers.token", "P00001", ["P00003"], CUSTOMER, 8]
        said = _asked(bench, [{"where": url, "questions": [question]} for url in servers.values()])
    for how, ((kind, answer, _),) in zip(servers, said, strict=True):
        bench.expect(
            kind == "unavailable",
            did=f"asked the remote adapter while the service {how}",
            expected="RecommendationsUnavailable, and nothing else",
            got=f"{kind} {answer if kind == 'raised' else json.dumps(answer)}",
            why="Pages catch only this error and show bestsellers. Another error becomes a 500, and a wrong answer "
            "becomes a wrong page.",
            look=REMOTE,
        )


@check("gives-up-in-time", task="adapter", shop=False, seconds=20, until="slow-and-dead")
def _(bench: Bench) -> None:
    """Two seconds after the question the adapter gives up, also when the answer comes byte by byte."""
    slow = {
        "says nothing": HANG,
        "sends its answer one byte at a time": Drip((200, GOOD), HANG_SECONDS / len(json.dumps(GOOD))),
    }
    with ExitStack() as stack:
        urls = [
            stack.enter_context(StandIn(lambda _, answer=answer: answer, hang_seconds=HANG_SECONDS)).url
            for answer in slow.values()
        ]
        question = [None, "P00001", [], None, 8]
        said = _asked(bench, [{"where": url, "questions": [question]} for url in urls])
    for how, ((kind, answer, seconds),) in zip(slow, said, strict=True):
        if LATE_SECONDS <= seconds < CLEARLY_LATE_SECONDS and bench.busy() > 1.0:
            raise bench.inconclusive(
                f"the answer took {seconds:.1f} s while other programs used {bench.busy():.1f} cores"
            )
        bench.expect(
            kind == "unavailable" and seconds < LATE_SECONDS,
            did=f"asked the remote adapter while the service {how}",
            expected=f"RecommendationsUnavailable within {GIVE_UP_SECONDS:g} s",
            got=f"{kind} after {seconds:.1f} s: {json.dumps(answer)[:200]}",
            why="The caller waits as long as its request does. A timeout of requests begins anew with every byte.",
            look=f"{REMOTE}: DeadlineAdapter in microservices/chassis/deadline.py",
        )


@check("nobody-asks-it-yet", task="adapter", until="parallel-run")
def _(bench: Bench) -> None:
    """Pages and API still take their recommendations from the monolith's own code."""
    shop, service = bench.shop(), _service(bench)
    before = service.answered()
    for sku in _skus(bench, 6):
        shop.ask("GET", f"/products/{sku}")
        shop.ask("GET", f"/api/products/{sku}/recommendations")
    asked = service.answered() - before
    bench.expect(
        asked == 0,
        did="looked at six product pages and asked the API six times",
        expected="no request at the service",
        got=f"{asked:.0f} requests",
        why="The service's answers have not been compared yet. Until then it must run without visitors.",
        look="monolith/app.py; Caddyfile",
    )


# ---- processes behind the gateway, asked directly


@dataclass(frozen=True)
class Got:
    """One answer of a process."""

    status: int
    json: Any
    text: str


class Direct:
    """One process of the shop, asked past the gateway, or at another port."""

    def __init__(self, shop: Shop, name: str, port: int | None = None) -> None:
        self.url = f"http://127.0.0.1:{port or shop.fleet.replicas(name)[0].port}"

    def ask(self, path: str, headers: dict[str, str] | None = None) -> Got:
        """GET; status 0 when there was no answer."""
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.get(self.url + path, headers=headers, timeout=10)
            except requests.RequestException as error:
                return Got(0, str(error), "")
        try:
            return Got(answer.status_code, answer.json(), answer.text)
        except ValueError:
            return Got(answer.status_code, answer.text[:200], answer.text)

    def answered(self) -> float:
        """How many requests for recommendations it has answered so far."""
        return sum(float(number) for number in ROUTE.findall(self.ask("/metrics").text))


# ---- programs in the workspace, and their files


def _run(bench: Bench, program: str, *, did: str, expected: str, why: str, look: str, **env: str) -> Any:
    """What the program prints, as JSON; NotYet with the error, its file and its line when it fails."""
    database = scratch() / f"{bench.random.getrandbits(64):x}.sqlite3"
    own = {"SHOP_HOME": str(scratch()), "SHOP_DATABASE_URL": sqlite_url(database)}
    ran = bench.python(program, env={**own, **env}, timeout=60)
    lines = ran.out.splitlines()
    bench.expect(
        ran.status == 0 and lines, did=did, expected=expected, got=_mistake(ran.err), why=why, look=look
    )
    return json.loads(lines[-1])


def _mistake(error: str) -> str:
    """The last line of a traceback, with the last place in the learner's files."""
    lines, places = error.strip().splitlines(), PLACE.findall(error)
    where = f" ({places[-1][0]}, line {places[-1][1]})" if places else ""
    return (lines[-1] if lines else "it ended without a word") + where


def _event(kind: str, number: int, *skus: str) -> dict[str, Any]:
    items = [{"sku": sku, "quantity": 1, "category": "paper-craft"} for sku in skus]
    data = {"order_id": f"o{number}", "number": number, "customer_id": CUSTOMER, "at": "", "items": items}
    return {"position": number, "type": kind, "data": data}


def _feed(bench: Bench, *asks: tuple[str, str, str]) -> list[Any]:
    """Status and body for each caller, audience of its token, and query. The monolith runs on the shop's database."""
    said: list[Any] = _run(
        bench,
        FEED,
        did="made the monolith's application (create_app) and asked GET /internal/events with a service's token",
        expected="an answer",
        why="The service learns from this feed what is bought.",
        look=EVENTS,
        GIVEN=json.dumps(asks),
        SHOP_DATABASE_URL=sqlite_url(bench.shop().database("monolith")),
    )
    return said


def _positions(body: Any) -> list[int]:
    events = body.get("events") if isinstance(body, dict) else None
    whole = {"position", "type", "data"}
    return [one["position"] for one in events or [] if isinstance(one, dict) and whole <= one.keys()]


def _asked(bench: Bench, cases: Sequence[dict[str, Any]], **env: str) -> Any:
    """For each case, the outcomes of its questions: kind, answer or error, seconds. `env` is set for the program."""
    return _run(
        bench,
        ASK,
        did="made RemoteRecommender(url, token), and LocalRecommender(database) where it is still there, and asked",
        expected="answers, or RecommendationsUnavailable",
        why="The next exercises replace one adapter by the other.",
        look=f"{REMOTE}: the README has the name of the class and the arguments of __init__",
        GIVEN=json.dumps(cases),
        **env,
    )


def _request(path: str, cart: str, limit: str | None, authorization: str | None) -> str:
    return f"GET {path} with cart={cart}, limit={limit} and {authorization or 'no token'}"


def _learnt(shop: Shop, name: str) -> tuple[int | None, int]:
    """Up to which order a process has learnt, and how much was sold according to it."""
    return _number(shop, name, "SELECT max(position) FROM feed_position"), _number(
        shop, name, "SELECT sum(orders) FROM popularity"
    ) or 0


def _sold(shop: Shop, sku: str) -> int:
    """In how many orders the product is, according to the service."""
    return _number(shop, SERVICE, "SELECT sum(orders) FROM popularity WHERE sku = ?", sku) or 0


def _number(shop: Shop, name: str, query: str, *values: str) -> int | None:
    """What a query of one number finds; None when there is no such database, table or row."""
    try:
        with closing(sqlite3.connect(shop.database(name), timeout=10)) as db:
            found: int | None = db.execute(query, values).fetchone()[0]
    except (CheckError, sqlite3.OperationalError):
        return None
    return found


def _settle(happened: Callable[[], object], seconds: float) -> None:
    """Wait until it has happened, at most `seconds`. The caller then checks the result."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.05)


def _service(bench: Bench) -> Direct:
    shop = bench.shop()
    bench.expect(
        f"{SERVICE}-1" in shop.names(),
        did="looked at the shop's processes",
        expected=f"a process with the name {SERVICE}-1",
        got=", ".join(shop.names()),
        why="A service is a process of its own.",
        look="topology.py: a second Service",
    )
    return Direct(shop, SERVICE)


def _token(shop: Shop) -> str:
    body = shop.ask("POST", "/api/sessions", json={"email": "ada@example.com", "password": PASSWORD}).json()
    return str(body.get("token")) if isinstance(body, dict) else ""


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _skus(bench: Bench, count: int) -> list[str]:
    listed = _skus_of(bench.shop().ask("GET", "/api/products?page_size=100").json())
    bench.expect(
        len(listed) >= count,
        expected=f"{count} products",
        got=len(listed),
        why="The checks choose their products from this list.",
        look="monolith/catalog",
    )
    return bench.random.sample(listed, count)


def _skus_of(body: Any) -> list[str]:
    items = body.get("items") if isinstance(body, dict) else None
    return (
        [str(item.get("sku")) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    )


def _has_the_form(answer: Any, question: list[Any]) -> bool:
    sku, _, _, limit = question
    return (
        isinstance(answer, dict)
        and answer.keys() == {"sku", "items"}
        and answer["sku"] == sku
        and 0 < len(answer["items"]) <= limit
        and all(
            item.keys() == {"sku", "score"} and isinstance(item["score"], (int, float))
            for item in answer["items"]
        )
    )
