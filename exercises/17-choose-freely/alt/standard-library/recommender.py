"""Recommendations once more, on http.server and sqlite3 alone; only PyJWT checks and signs the tokens.

The arithmetic is that of the service before: microservices.recommendations.ranking imports nothing but the standard
library.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import socket
import sqlite3
import sys
import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from microservices.recommendations.ranking import Neighbour, diversify, score, weigh_seeds

ENV = os.environ
FILE = unquote(ENV["SHOP_DATABASE_URL"].removeprefix("sqlite:///"))
TIMEOUT = float(ENV.get("SHOP_TIMEOUT_SECONDS", "2"))
PAUSE = float(ENV.get("SHOP_FEED_SECONDS", "0.5"))
SKU = re.compile(r"[A-Z0-9][A-Z0-9-]{1,19}")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")
ROUTE = re.compile(r"/api/products/([^/]+)/recommendations")
NAME = "/api/products/<sku>/recommendations"
MAX_EVENTS, MAX_CART = 500, 50
TABLES = """
CREATE TABLE IF NOT EXISTS co_purchases (
  sku VARCHAR(20) NOT NULL, other VARCHAR(20) NOT NULL, orders INTEGER NOT NULL, PRIMARY KEY (sku, other));
CREATE TABLE IF NOT EXISTS popularity (
  sku VARCHAR(20) NOT NULL, category VARCHAR(40) NOT NULL, orders INTEGER NOT NULL, PRIMARY KEY (sku));
CREATE TABLE IF NOT EXISTS purchases (
  customer_id VARCHAR(32) NOT NULL, sku VARCHAR(20) NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY (customer_id, sku));
CREATE TABLE IF NOT EXISTS feed_position (
  feed VARCHAR(40) NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (feed));
CREATE INDEX IF NOT EXISTS ix_popularity_orders ON popularity (orders);
"""
TITLES = {
    401: ("not-authenticated", "Sign in first"),
    404: ("not-found", "There is nothing here"),
    405: ("method-not-allowed", "This cannot be done here"),
    422: ("invalid-request", "The request is not valid"),
    500: ("internal-error", "Something went wrong"),
    502: ("bad-upstream", "A part of the shop gave no usable answer"),
    503: ("unavailable", "The shop cannot answer just now"),
    504: ("upstream-timeout", "A part of the shop did not answer in time"),
}


class Refused(Exception):
    """A refusal: a status, and a sentence for people; and the parameter that is not valid, if one is."""

    def __init__(self, status: int, detail: str, slug: str = "", field: str = "") -> None:
        super().__init__(detail)
        usual, self.title = TITLES[status]
        self.status, self.slug = status, slug or usual
        self.errors = {"errors": [{"field": field, "message": detail}]} if field else {}


class Context:
    """What a request passes on: its id, its trace and its deadline."""

    def __init__(self, headers: Any) -> None:
        asked, left = headers.get("X-Request-Id", ""), headers.get("X-Deadline-Ms", "")
        self.request_id = asked if REQUEST_ID.fullmatch(asked) else secrets.token_hex(16)
        found = TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        self.trace, self.flags = found.groups() if found else (secrets.token_hex(16), "00")
        seconds = min(TIMEOUT, int(left[:9]) / 1000) if left.isdigit() else TIMEOUT
        self.deadline = time.monotonic() + seconds

    def headers(self) -> dict[str, str]:
        """Headers of a call to the next service."""
        traceparent = f"00-{self.trace}-{secrets.token_hex(8)}-{self.flags}"
        return {"X-Request-Id": self.request_id, "traceparent": traceparent}


def log(message: str, **facts: object) -> None:
    """One JSON object a line."""
    sys.stderr.write(json.dumps({"service": "recommendations", "message": message, **facts}) + "\n")


# ---- other services


def fetch(service: str, path: str, context: Context, headers: dict[str, str]) -> Any:
    """The JSON of a GET, within the context's deadline; raises Refused."""
    left = context.deadline - time.monotonic()
    address = urlsplit(ENV[f"SHOP_{service.upper()}_URL"])
    connection = HTTPConnection(address.hostname or "", address.port, timeout=max(left, 0.001))
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(left, 0.001), hang_up)  # a socket's own timeout begins anew with every byte
    timer.daemon = True
    timer.start()
    try:
        connection.request(
            "GET", path, headers={"X-Deadline-Ms": str(int(left * 1000)), **context.headers(), **headers}
        )
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            raise Refused(504, f"The {service} service did not answer in time.") from None
        raise Refused(503, f"The {service} service cannot be reached just now.") from None
    finally:
        timer.cancel()
        connection.close()
    if late.is_set():
        raise Refused(504, f"The {service} service did not answer in time.")
    if answer.status != 200:
        raise Refused(502, f"The {service} service failed ({answer.status}).")
    return json.loads(body)


class Keys:
    """The public keys of accounts, and the tokens that were checked with them."""

    def __init__(self) -> None:
        self._keys: dict[str, Any] = {}
        self._checked: dict[str, dict[str, Any]] = {}
        self._fetched = 0.0
        self._lock = threading.Lock()

    def customer(self, authorization: str | None, context: Context) -> str | None:
        """The id of the customer whose token it is; None without one."""
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "Send the token as `Authorization: Bearer <token>`.")
        known = self._checked.get(token)
        if known is None or known["exp"] <= time.time():
            known = self._checked[token] = self._check(token, context)
        return str(known["sub"])

    def _check(self, token: str, context: Context) -> dict[str, Any]:
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
            with self._lock:
                if kid not in self._keys and time.monotonic() > self._fetched + 0.5:
                    found = fetch("accounts", "/.well-known/jwks.json", context, {})
                    self._keys = {
                        each.key_id: each.key for each in jwt.PyJWKSet.from_dict(found).keys if each.key_id
                    }
                    self._fetched = time.monotonic()
            if kid not in self._keys:
                raise Refused(401, "The token is not valid; sign in again.")
            options = {"require": ["sub", "exp", "iat"]}
            claims: dict[str, Any] = jwt.decode(
                token, self._keys[kid], algorithms=["EdDSA"], audience="shop", issuer="shop", options=options
            )
        except (jwt.PyJWTError, ValueError):
            raise Refused(401, "The token is not valid or has expired; sign in again.") from None
        return claims


# ---- the database


def database() -> sqlite3.Connection:
    """A connection; transactions are begun by hand."""
    db = sqlite3.connect(FILE, timeout=4, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    return db


def suggest(
    db: sqlite3.Connection, sku: str, cart: list[str], customer: str | None, limit: int
) -> dict[str, Any]:
    """Up to `limit` products that go well with `sku`."""

    def marks(values: Any) -> str:
        return ",".join("?" * len(values))

    bought = "SELECT sku FROM purchases WHERE customer_id = ? ORDER BY position DESC, sku LIMIT 5"
    history = [row[0] for row in db.execute(bought, [customer])] if customer else []
    seeds = weigh_seeds(sku, cart, history)
    weighed = f"SELECT sku, category, orders FROM popularity WHERE sku IN ({marks(seeds)})"  # noqa: S608
    rows = db.execute(weighed, list(seeds))
    known = {row[0]: (row[1], row[2]) for row in rows}
    neighbours = db.execute(
        "SELECT c.sku, c.other, c.orders, p.category, p.orders FROM co_purchases c "  # noqa: S608
        f"JOIN popularity p ON p.sku = c.other WHERE c.sku IN ({marks(known)}) ORDER BY c.sku",
        list(known),
    )
    candidates = score(seeds, known, (Neighbour(*row) for row in neighbours))
    skus = [candidate.sku for candidate in candidates]
    pairs = db.execute(
        f"SELECT sku, other, orders FROM co_purchases WHERE sku IN ({marks(skus)}) AND other IN ({marks(skus)})",  # noqa: S608
        [*skus, *skus],
    )
    picked = diversify(candidates, {(one, other): orders for one, other, orders in pairs}, limit)
    items = [{"sku": candidate.sku, "score": round(candidate.score, 6)} for candidate in picked]
    shown = {*seeds, *(candidate.sku for candidate in picked)}
    best = db.execute("SELECT sku FROM popularity ORDER BY orders DESC, sku LIMIT ?", [limit + len(shown)])
    fill = [row[0] for row in best if row[0] not in shown][: limit - len(items)]
    return {"sku": sku, "items": items + [{"sku": popular, "score": 0.0} for popular in fill]}


# ---- the feed


def follow(stopped: threading.Event) -> None:
    """Read the feed of orders until it is to stop."""
    with closing(database()) as db:
        while not stopped.is_set():
            more = False
            try:
                more = step(db)
            except (Refused, sqlite3.Error, LookupError, TypeError, ValueError) as error:
                log(f"learning: {error}")
            stopped.wait(0 if more else PAUSE)


def step(db: sqlite3.Connection) -> bool:
    """Fetch what is new and count it; whether there may be more."""
    position = position_in(db)
    path = f"/internal/events?after={max(position - 1, 0)}&limit={MAX_EVENTS}"
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(ENV["SHOP_SERVICE_KEY"]))
    now = int(time.time())
    claims = {"iss": "recommendations", "aud": "orders", "iat": now, "exp": now + 300}
    token = jwt.encode(claims, key, algorithm="EdDSA")
    events = fetch("orders", path, Context({}), {"Authorization": f"Service {token}"})["events"]
    newest = max((event["position"] for event in events), default=0)
    if newest != position:
        db.execute("BEGIN IMMEDIATE")
        try:
            if newest > position:
                apply(db, events)
            elif position_in(db) == position:
                for table in ("popularity", "co_purchases", "purchases"):
                    db.execute(f"DELETE FROM {table}")  # noqa: S608
                db.execute("UPDATE feed_position SET position = 0 WHERE feed = 'orders'")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
    return newest < position or len(events) >= MAX_EVENTS


def apply(db: sqlite3.Connection, events: list[dict[str, Any]]) -> None:
    """Count the events after the stored position, which another replica may have moved."""
    position = position_in(db)
    for event in events:
        if event["position"] > position:
            position = event["position"]
            if event["type"] == "order-confirmed":
                count(db, event["data"])
    db.execute(
        "INSERT INTO feed_position VALUES ('orders', ?) ON CONFLICT (feed) DO UPDATE SET position = excluded.position",
        [position],
    )


def count(db: sqlite3.Connection, order: dict[str, Any]) -> None:
    """Count one order."""
    products = {item["sku"]: item["category"] for item in order["items"]}
    for sku, category in products.items():
        db.execute(
            "INSERT INTO popularity VALUES (?, ?, 1) ON CONFLICT (sku) DO UPDATE SET orders = orders + 1",
            [sku, category],
        )
        db.execute(
            "INSERT INTO purchases VALUES (?, ?, ?) ON CONFLICT (customer_id, sku) "
            "DO UPDATE SET position = max(position, excluded.position)",
            [order["customer_id"], sku, order["number"]],
        )
        for other in products:
            if other != sku:
                db.execute(
                    "INSERT INTO co_purchases VALUES (?, ?, 1) "
                    "ON CONFLICT (sku, other) DO UPDATE SET orders = orders + 1",
                    [sku, other],
                )


def position_in(db: sqlite3.Connection) -> int:
    """How far the feed was read."""
    row = db.execute("SELECT position FROM feed_position WHERE feed = 'orders'").fetchone()
    return int(row[0]) if row else 0


# ---- HTTP


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def handle_request(self) -> None:
        context = Context(self.headers)
        status, document = self._answered(context)
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.server.count(status)
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", context.request_id)
        if status == 405:
            self.send_header("Allow", "GET, HEAD, OPTIONS")
        if status == 503:
            self.send_header("Retry-After", "1")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_request  # noqa: N815

    def _answered(self, context: Context) -> tuple[int, Any]:
        try:
            return 200, self._answer(context)
        except Refused as error:
            problem = error
        except sqlite3.Error as error:
            log(f"the database: {error}", request_id=context.request_id)
            problem = Refused(503, "The database did not answer; try again in a moment.")
        except Exception as error:  # noqa: BLE001 -- whatever it is, no stranger must read it
            log(f"unexpected: {error!r}", request_id=context.request_id)
            problem = Refused(500, "The shop made a mistake; it has been logged with the request id.")
        return problem.status, {
            "type": f"/problems/{problem.slug}",
            "title": problem.title,
            "status": problem.status,
            "detail": str(problem),
            **problem.errors,
        }

    def _answer(self, context: Context) -> Any:
        path, _, text = self.path.partition("?")
        found = ROUTE.fullmatch(path)
        if not found and path not in {"/healthz", "/readyz", "/metrics"}:
            raise Refused(404, "No route of the shop has this path.")
        if self.command == "OPTIONS":
            return ""
        if self.command not in {"GET", "HEAD"}:
            raise Refused(405, "Use GET, HEAD, OPTIONS on this path.")
        if path == "/metrics":
            return self.server.metrics()
        if not found:
            if path == "/readyz" and Path(ENV.get("SHOP_DRAIN_FILE", "/none")).exists():
                raise Refused(503, "This process is draining; send requests elsewhere.")
            return {"status": "ok"}
        customer = self.server.keys.customer(self.headers.get("Authorization"), context)
        query = parse_qs(text, keep_blank_values=True)
        cart = [sku for sku in query.get("cart", [""])[0].split(",") if sku]
        limit = query.get("limit", ["8"])[0]
        if len(cart) > MAX_CART or not all(map(SKU.fullmatch, cart)):
            raise Refused(422, "cart must name at most 50 products.", field="cart")
        if not re.fullmatch("[0-9]{1,2}", limit) or not 1 <= int(limit) <= 20:
            raise Refused(422, "limit must be a whole number from 1 to 20.", field="limit")
        sku = unquote(found[1])
        if not SKU.fullmatch(sku):
            raise Refused(404, f"The shop has no product {sku}.", "unknown-product")
        with closing(database()) as db:
            return suggest(db, sku, list(dict.fromkeys(cart)), customer, int(limit))

    def log_message(self, *_: object) -> None:
        """The own lines say more."""


class Server(ThreadingHTTPServer):
    """The server, and what its connections share. It waits for the requests that it has begun."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__((ENV.get("SHOP_HOST", "127.0.0.1"), int(ENV["SHOP_PORT"])), Handler)
        self.keys = Keys()
        self._answers: dict[int, int] = {}
        self._lock = threading.Lock()

    def count(self, status: int) -> None:
        with self._lock:
            self._answers[status] = self._answers.get(status, 0) + 1

    def metrics(self) -> str:
        return "".join(
            f'http_requests_total{{method="GET",route="{NAME}",status="{status}"}} {number}\n'
            for status, number in self._answers.items()
        )


def main() -> None:
    """Serve until SIGTERM."""
    with closing(database()) as db:
        db.executescript(TABLES)
    server, stopped = Server(), threading.Event()
    threading.Thread(target=follow, args=(stopped,), daemon=True).start()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    server.shutdown()  # no new connections
    time.sleep(TIMEOUT)  # no request takes longer


if __name__ == "__main__":
    main()
