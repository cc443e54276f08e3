"""Recommendations on Node keeps the promises of the Python service: the same answers from the same database."""

from __future__ import annotations

import base64
import json
import random
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from microservices.chaos.standin import StandIn
from microservices.chassis.config import sqlite_url
from microservices.chassis.runtime import runtime
from microservices.chassis.tokens import AUDIENCE, ISSUER, ServiceTokens
from microservices.launcher.ports import Ports
from microservices.recommendations.app import create_app
from microservices.tests.conftest import wait_until
from microservices.tests.one_service import KEY_ID, ServiceUnderTest, as_customer, publish_keys, signing_key
from microservices.topology import SPLIT, on_node

pytestmark = pytest.mark.processes
SKUS = [f"P{number:05}" for number in range(60)]
DAY_SECONDS = 86_400
"""Tokens are signed when tests are collected, and a slow machine checks them many minutes later."""
CATEGORIES = ["tea", "tools", "books", "toys"]
COUNTS = {
    "popularity": "SELECT sku, category, orders FROM popularity ORDER BY sku",
    "pairs": "SELECT sku, other, orders FROM co_purchases ORDER BY sku, other",
    "purchases": "SELECT customer_id, sku, position FROM purchases ORDER BY customer_id, sku",
    "position": "SELECT feed, position FROM feed_position",
}


class Shop:
    """Stands in for orders and accounts: a feed of events, and the key set."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.tokens: list[str] = []

    def order(self, customer_id: str, *skus: str) -> None:
        number = len(self.events) + 1
        items = [{"sku": sku, "quantity": 1, "category": CATEGORIES[int(sku[1:]) % 4]} for sku in skus]
        data = {"order_id": f"O{number}", "number": number, "customer_id": customer_id, "items": items}
        self.events.append({"position": number, "type": "order-confirmed", "data": data})

    def __call__(self, asked: Any) -> tuple[int, Any]:
        if asked.route == "/.well-known/jwks.json":
            return publish_keys("GET", asked.route, None)
        self.tokens.append(asked.headers["Authorization"])
        after, limit = int(asked.query["after"]), int(asked.query["limit"])
        return 200, {"events": [event for event in self.events if event["position"] > after][:limit]}


@dataclass
class Node:
    """The service as a process."""

    process: subprocess.Popen[str]
    port: int
    drain_file: Path

    def get(self, path: str, **headers: str) -> tuple[int, Any, dict[str, str]]:
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, json.loads(answer.read()), dict(answer.headers)
        except HTTPError as refusal:
            return refusal.code, json.loads(refusal.read()), dict(refusal.headers)


def start(folder: Path, port: int = 1, **settings: str) -> subprocess.Popen[str]:
    service = on_node(SPLIT).service("recommendations")
    env = {
        "SHOP_HOME": str(folder),
        "SHOP_DATABASE_URL": sqlite_url(folder / "test.sqlite3"),
        "SHOP_PORT": str(port),
        "SHOP_FEED_SECONDS": "0.05",
        "SHOP_DRAIN_FILE": str(folder / "drain"),
        "SHOP_SERVICE_KEY": base64.b64encode(signing_key().private_bytes_raw()).decode(),
        **settings,
    }
    command = [str(service.program), *service.command]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def node(tmp_path: Path, shop: Shop) -> Iterator[Node]:
    ports = Ports(1)
    [port] = ports.numbers
    with StandIn(shop) as others:
        process = start(tmp_path, port, SHOP_ORDERS_URL=others.url, SHOP_ACCOUNTS_URL=others.url)
        node = Node(process, port, tmp_path / "drain")
        wait_until(lambda: answers(node))
        yield node
        process.kill()
        process.communicate()
    ports.release()


@pytest.fixture
def python(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """The Python service on the same database; it reads no feed here."""
    callees = {"accounts": publish_keys, "orders": lambda *_: (200, {"events": []})}
    service = ServiceUnderTest(create_app, tmp_path, callees=callees)
    yield service
    service.close()


def answers(node: Node) -> bool:
    try:
        return node.get("/readyz")[0] == 200
    except OSError:
        return False


def counted(folder: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(folder / "test.sqlite3")) as db:
        return {name: db.execute(query).fetchall() for name, query in COUNTS.items()}


def has_read(folder: Path, position: int) -> bool:
    return counted(folder)["position"] == [("orders", position)]


def sell(shop: Shop, orders: int) -> None:
    rng = random.Random(3)
    for _ in range(orders):
        shop.order(f"C{rng.randrange(9)}", *rng.sample(SKUS, rng.choice([1, 2, 3, 7])))


def test_it_gives_the_same_answers_as_the_python_service_to_the_last_digit(node, python, shop, tmp_path):
    sell(shop, 900)  # two pages of the feed
    wait_until(lambda: has_read(tmp_path, 900))
    rng = random.Random(5)
    for _ in range(150):
        sku, limit = rng.choice([*SKUS, "NO-SUCH-SKU"]), rng.choice([1, 8, 20])
        cart = ",".join(rng.sample(SKUS, rng.choice([0, 1, 5, 50])))
        headers = rng.choice([{}, as_customer(f"C{rng.randrange(9)}")])
        path = f"/api/products/{sku}/recommendations?limit={limit}&cart={cart}"
        theirs = python.http.get(path, headers=headers)
        assert node.get(path, **headers)[:2] == (theirs.status_code, theirs.get_json()), path


def test_it_counts_each_order_once_as_the_python_service_does(node, shop, tmp_path, tmp_path_factory):
    sell(shop, 40)
    wait_until(lambda: has_read(tmp_path, 40))
    folder = tmp_path_factory.mktemp("python")
    feed = {"orders": lambda *_: (200, {"events": shop.events}), "accounts": publish_keys}
    service = ServiceUnderTest(create_app, folder, callees=feed)
    try:
        [loop] = runtime(service.app).loops
        loop.turn()
        assert counted(tmp_path) == counted(folder)
    finally:
        service.close()


def test_two_replicas_count_each_order_once(node, shop, tmp_path):
    with StandIn(shop) as others:
        ports = Ports(1)
        second = start(tmp_path, ports.numbers[0], SHOP_ORDERS_URL=others.url, SHOP_ACCOUNTS_URL=others.url)
        try:
            sell(shop, 60)
            wait_until(lambda: has_read(tmp_path, 60))
        finally:
            second.kill()
            second.communicate()
            ports.release()
    expected: dict[str, int] = {}
    for event in shop.events:
        for item in event["data"]["items"]:
            expected[item["sku"]] = expected.get(item["sku"], 0) + 1
    assert {sku: orders for sku, _, orders in counted(tmp_path)["popularity"]} == expected


def test_when_an_older_copy_of_orders_is_restored_it_starts_over(node, shop, tmp_path):
    sell(shop, 20)
    wait_until(lambda: has_read(tmp_path, 20))
    del shop.events[8:]
    shop.order("C1", "P00001", "P00002")
    wait_until(lambda: has_read(tmp_path, 9))
    expected = Counter(item["sku"] for event in shop.events for item in event["data"]["items"])
    assert {sku: orders for sku, _, orders in counted(tmp_path)["popularity"]} == expected


@pytest.mark.parametrize("given", [True, False])
def test_a_folder_with_the_special_characters_of_urls_holds_the_database(tmp_path, given):
    folder = tmp_path / "50% off?#1" / "a%2Fb"
    file = folder / "data" / "recommendations.sqlite3"
    settings = {"SHOP_DATABASE_URL": sqlite_url(file) if given else "", "SHOP_HOME": str(folder)}
    urls = {"SHOP_ORDERS_URL": "http://127.0.0.1:9", "SHOP_ACCOUNTS_URL": "http://127.0.0.1:9"}
    ports = Ports(1)
    process = start(tmp_path, ports.numbers[0], **settings, **urls)
    try:
        wait_until(file.exists)
    finally:
        process.kill()
        process.communicate()
        ports.release()
    assert [path.name for path in tmp_path.iterdir()] == ["50% off?#1"]


def test_it_shows_orders_a_token_of_its_own(node, shop):
    wait_until(lambda: bool(shop.tokens))
    public = signing_key().public_key().public_bytes_raw()
    checking = ServiceTokens("orders", None, {"recommendations": public})
    scheme, _, token = shop.tokens[0].partition(" ")
    assert (scheme, checking.verify(token)) == ("Service", "recommendations")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer x",
        "Basic abc",
        "Bearer e30.e30.e30",
        "Bearer " + jwt.encode({"sub": "C1", "role": "admin"}, "secret" * 8, algorithm="HS256"),
    ],
)
def test_a_token_that_proves_nothing_is_refused(node, python, header):
    path = "/api/products/P00001/recommendations"
    theirs = python.http.get(path, headers={"Authorization": header})
    assert node.get(path, Authorization=header)[:2] == (401, theirs.get_json())


def signed(claims: dict[str, Any], kid: str = KEY_ID, key: Ed25519PrivateKey | None = None) -> dict[str, str]:
    now = int(time.time())
    whole = {
        "sub": "C1",
        "role": "customer",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 3600,
    } | claims
    kept = {name: value for name, value in whole.items() if value is not None}
    return {
        "Authorization": f"Bearer {jwt.encode(kept, key or signing_key(), algorithm='EdDSA', headers={'kid': kid})}"
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (signed({}), 200),
        (signed({"aud": [AUDIENCE, "other"]}), 200),
        *[(signed({name: None}), 401) for name in ("sub", "role", "iss", "aud", "iat", "exp")],
        *[(signed({name: "other"}), 401) for name in ("iss", "aud")],
        (signed({"exp": 1}), 401),
        (signed({"iat": int(time.time()) + DAY_SECONDS}), 401),
        (signed({"nbf": int(time.time()) + DAY_SECONDS}), 401),
        (signed({}, kid="other"), 401),
        (signed({}, key=Ed25519PrivateKey.generate()), 401),
    ],
)
def test_a_customers_token_is_checked_in_every_part_as_in_the_python_service(node, python, headers, status):
    path = "/api/products/P00001/recommendations"
    theirs = python.http.get(path, headers=headers)
    ours = node.get(path, **headers)
    assert (ours[0], theirs.status_code) == (status, status)


def test_it_is_not_ready_while_it_drains_and_ends_when_told(node):
    node.drain_file.touch()
    status, problem, headers = node.get("/readyz")
    assert (status, problem["type"], headers["Retry-After"]) == (503, "/problems/unavailable", "1")
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(timeout=10) == 0


def test_it_passes_the_request_id_back_and_makes_one_for_a_bad_one(node):
    assert node.get("/healthz", **{"X-Request-Id": "mine-1"})[2]["X-Request-Id"] == "mine-1"
    assert node.get("/healthz", **{"X-Request-Id": "no good"})[2]["X-Request-Id"] != "no good"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SHOP_DATABASE_URL": "postgresql://localhost/x"}, "stores in SQLite only"),
        ({"SHOP_PORT": "none"}, "SHOP_PORT is 'none'; set it to a whole number from 1 to 65535."),
        ({"SHOP_ORDERS_URL": "https://orders"}, "services call each other without TLS"),
        ({"SHOP_ORDERS_URL": ""}, "SHOP_ORDERS_URL is not set; recommendations has to know where orders is."),
        ({"SHOP_SERVICE_KEY": "short"}, "SHOP_SERVICE_KEY is not a raw Ed25519 key"),
        ({"SHOP_SERVICE": "cart"}, "SHOP_SERVICE is 'cart', but this is 'recommendations'; unset it."),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, settings, words):
    urls = {"SHOP_ORDERS_URL": "http://127.0.0.1:9", "SHOP_ACCOUNTS_URL": "http://127.0.0.1:9"}
    process = start(tmp_path, **(urls | settings))
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 2
    assert words in said
    assert said.count("\n") == 1


def test_a_database_that_lacks_a_column_is_said_at_the_start(tmp_path):
    with closing(sqlite3.connect(tmp_path / "test.sqlite3")) as db:
        db.execute("CREATE TABLE popularity (sku VARCHAR(20) PRIMARY KEY, orders INTEGER)")
    urls = {"SHOP_ORDERS_URL": "http://127.0.0.1:9", "SHOP_ACCOUNTS_URL": "http://127.0.0.1:9"}
    process = start(tmp_path, **urls)
    assert "lacks the column popularity.category" in process.communicate(timeout=20)[1]
    assert process.returncode == 2


def test_nothing_but_nodes_own_modules_is_imported():
    folder = Path(str(on_node(SPLIT).service("recommendations").command[-1])).parent
    for file in folder.glob("*.js"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("import "):
                source = line.rsplit('"', 2)[1]
                assert source.startswith(("node:", "./")), f"{file.name}: {line}"
    assert (folder / "main.js").exists()
