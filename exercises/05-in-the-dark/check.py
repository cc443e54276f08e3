"""05: recommendations run as a service with data of its own, and nobody asks it yet."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import requests

from exercises.checks.checking import Bench, Shop, check
from microservices.chaos.standin import HANG, LOSE, StandIn
from microservices.launcher import sqlite_url

PASSWORD = "correct-horse-battery"  # noqa: S105 -- published on purpose: the demo accounts' password
APPROVED = "4242424242424242"
LEARN_SECONDS = 15.0
HANG_SECONDS, GIVE_UP_SECONDS = 12.0, 5.0
SERVICE = "recommendations"
ROUTE = re.compile(
    r'^http_requests_total\{[^}]*route="/api/products/<sku>/recommendations"[^}]*\} (\S+)$', re.MULTILINE
)
BREAKS = {
    "answers 500": (500, b"<h1>Oops</h1>", {"Content-Type": "text/html"}),
    "answers 503": (503, {"type": "/problems/unavailable", "status": 503}),
    "answers 401": (401, {"type": "/problems/not-authenticated"}),
    "sends broken JSON": (200, b'{"items": [{"sku"'),
    "sends other JSON": (200, {"nobody": "agreed on this"}),
    "sends a list": (200, [1, None]),
    "breaks off": LOSE,
    "hangs": HANG,
}
CONTRACT = """
import json, os, time

given = json.loads(os.environ["CONTRACT"])
from monolith.chassis.database import Database
from monolith.recommendations import LocalRecommender
from monolith.recommendations.interface import RecommendationsUnavailable
from monolith.recommendations.remote import RemoteRecommender

def outcome(recommender, sku, cart, customer, limit):
    started = time.monotonic()
    try:
        said = ["answer", recommender.suggest(sku, cart, customer, limit)]
    except RecommendationsUnavailable:
        said = ["unavailable", ""]
    except BaseException as error:
        said = ["raised", f"{type(error).__name__}: {error}"]
    return [*said, time.monotonic() - started]

local = LocalRecommender(Database(given["database"]))
token = lambda: given["token"]
remote = RemoteRecommender(given["url"], token)
said = {"local": [], "remote": [], "failing": {}}
for question in given["questions"]:
    said["local"].append(outcome(local, *question))
    said["remote"].append(outcome(remote, *question))
for how, address in given["failing"].items():
    said["failing"][how] = outcome(RemoteRecommender(address, token), *given["questions"][0])
print(json.dumps(said))
os._exit(0)
"""


@check("service-answers-the-same", task="service", oracle=True, until="parallel-run")
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


@check("data-of-its-own", task="service")
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


@check("feed-is-for-services", task="feed", seconds=20)
def _(bench: Bench) -> None:
    """The feed of orders exists, and only a service with a valid token can read it."""
    shop = bench.shop()
    monolith = Direct(shop, "monolith")
    path = "/internal/events?after=0&limit=5"
    look, why = "monolith/orders/events.py: require_service", "The feed shows who bought what."
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
            got=f"{got.status} {json.dumps(got.json)[:200]}",
            why=why,
            look=look,
        )
    outside = shop.ask("GET", path)
    bench.expect(outside.status == 404, expected="404 from outside", got=outside, why=why, look="Caddyfile")


@check("learns-from-the-feed", task="feed", seconds=20)
def _(bench: Bench) -> None:
    """The service soon learns from what is bought in the shop."""
    shop, service = bench.shop(), _service(bench)
    path = "/api/products/{}/recommendations?limit=20"
    one = bench.some_sku()
    known = _skus_of(service.ask(path.format(one)).json)
    other = bench.random.choice([sku for sku in _skus(bench, 60) if sku not in {one, *known}])
    customer = shop.customer()
    for number in range(6):
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
        f"the service suggests {other} for {one}, after six orders of both together,",
    )
    bench.note(f"it took {took:.1f} s")


@check("one-contract-two-adapters", task="adapter", seconds=25, until="cut-over")
def _(bench: Bench) -> None:
    """Both adapters keep the same contract: one form of answer, and RecommendationsUnavailable for everything else."""
    shop = bench.shop()
    service = _service(bench)
    skus = _skus(bench, 5)
    ada = shop.customer("ada@example.com")
    given = {
        "database": sqlite_url(shop.database("monolith")),
        "url": service.url,
        "token": _token(shop),
        "questions": [[skus[0], [], None, 8], [skus[1], skus[2:4], None, 3], [skus[4], skus[:1], ada.id, 20]],
    }
    with ExitStack() as stack:
        with StandIn(lambda _: LOSE) as gone:
            failing = {"is not there": gone.url}
        for how, answer in BREAKS.items():
            broken = StandIn(lambda _, answer=answer: answer, hang_seconds=HANG_SECONDS)
            failing[how] = stack.enter_context(broken).url
        ran = bench.python(CONTRACT, env={"CONTRACT": json.dumps(given | {"failing": failing})}, timeout=90)
    look = "monolith/recommendations/remote.py"
    bench.expect(
        ran.status == 0,
        did="made LocalRecommender(database) and RemoteRecommender(url, token), and asked both",
        expected="answers, or RecommendationsUnavailable",
        got=(ran.err.strip().splitlines() or ["nothing"])[-1],
        why="The next exercises replace one adapter by the other.",
        look=f"{look}: the README has the name of the class and the arguments of __init__",
    )
    said = json.loads(ran.out.splitlines()[-1])
    for which in ("local", "remote"):
        for question, (kind, answer, _) in zip(given["questions"], said[which], strict=True):
            bench.expect(
                kind == "answer" and _has_the_form(answer, question),
                did=f"asked the {which} adapter: suggest{tuple(question)}",
                expected='{"sku": ..., "items": [{"sku": ..., "score": ...}, ...]}, with 1 to '
                f"{question[3]} items",
                got=f"{kind} {json.dumps(answer)[:200]}",
                why="A caller must not see which of the two adapters answers.",
                look=look if which == "remote" else "monolith/recommendations/local.py",
            )
    for how, (kind, answer, seconds) in said["failing"].items():
        bench.expect(
            kind == "unavailable",
            did=f"asked the remote adapter while the service {how}",
            expected="RecommendationsUnavailable, and nothing else",
            got=f"{answer or kind} after {seconds:.1f} s",
            why="Pages catch only this error and show bestsellers. Any other error becomes a 500.",
            look=look,
        )
        # A longer time is no delay by a busy machine: the adapter waited until the server ended.
        if GIVE_UP_SECONDS <= seconds < HANG_SECONDS - 1 and bench.busy() > 1.0:
            raise bench.inconclusive(
                f"the answer took {seconds:.1f} s while other programs used {bench.busy():.1f} cores"
            )
        bench.expect(
            seconds < GIVE_UP_SECONDS,
            did=f"asked the remote adapter while the service {how}",
            expected=f"RecommendationsUnavailable within {GIVE_UP_SECONDS:g} s (2 s is a good limit for now)",
            got=f"it took {seconds:.1f} s",
            why="A request without a timeout waits as long as the server does.",
            look=look,
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
    """One process of the shop, asked past the gateway."""

    def __init__(self, shop: Shop, name: str) -> None:
        self.url = f"http://127.0.0.1:{shop.fleet.replicas(name)[0].port}"

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
