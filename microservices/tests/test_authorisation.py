"""Who may do what: every route of both shops, requested by every kind of actor. A route without a row here fails.

Both shops run in this process on the same small data. A cell is the status of the answer; for a redirect, also the
first part of its target: a page that needs a customer redirects others to sign in.
"""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from microservices.chassis.tokens import AUDIENCE, ISSUER
from microservices.tests.in_process import SplitShop
from microservices.tests.shops import stored_rows
from microservices.topology import SPLIT
from monolith.app import create_app
from monolith.chassis.config import Config
from monolith.dataset import DEMO_PASSWORD, Sizes
from monolith.seed import export, seed

SMALL = Sizes(seed=1, products=60, customers=8, orders=20)
SKU = "P00001"
CARD = "4242424242424242"

ACTORS = ("anonymous", "owner", "other customer", "admin", "service")
EVERYBODY = (200, 200, 200, 200, 200)
CUSTOMERS = (401, 200, 200, 200, 401)
ADMIN = (401, 403, 403, 200, 401)
SIGN_IN = "303 /sign-in"
ON_PAGES = (SIGN_IN, 200, 200, 200, SIGN_IN)

ROWS: dict[str, tuple[int | str, ...]] = {
    # For operators; the gateway does not route to them.
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /metrics": EVERYBODY,
    # The API. A service's token is not a customer's token: it opens no route of the API.
    "POST /api/customers": (201, 201, 201, 201, 201),
    "GET /api/customers/me": CUSTOMERS,
    "POST /api/sessions": (201, 201, 201, 201, 201),
    "GET /.well-known/jwks.json": EVERYBODY,
    "GET /api/categories": EVERYBODY,
    "GET /api/products": EVERYBODY,
    "GET /api/products/<sku>": EVERYBODY,
    "PUT /api/products/<sku>/price": ADMIN,
    "GET /api/products/<sku>/recommendations": (200, 200, 200, 200, 401),
    "GET /api/cart": CUSTOMERS,
    "PUT /api/cart/items/<sku>": CUSTOMERS,
    "DELETE /api/cart/items/<sku>": (401, 204, 204, 204, 401),
    "DELETE /api/cart": (401, 204, 204, 204, 401),
    "GET /api/inventory/<sku>": EVERYBODY,
    "PUT /api/inventory/<sku>": ADMIN,
    "POST /api/orders": (401, 201, 201, 201, 401),
    "GET /api/orders": CUSTOMERS,
    "GET /api/orders/<order_id>": (401, 200, 404, 404, 401),
    "GET /api/openapi.yaml": EVERYBODY,
    # The pages.
    "GET /static/<path:filename>": EVERYBODY,
    "GET /": EVERYBODY,
    "GET /search": EVERYBODY,
    "GET /products/<sku>": EVERYBODY,
    "GET /cart": ON_PAGES,
    "POST /cart/items": (SIGN_IN, "303 /cart", "303 /cart", "303 /cart", SIGN_IN),
    "GET /cart/items": ("303 /cart",) * 5,
    "GET /checkout": ON_PAGES,
    "POST /checkout": (SIGN_IN, "303 /orders", "303 /orders", "303 /orders", SIGN_IN),
    "GET /orders": ON_PAGES,
    "GET /orders/<order_id>": (SIGN_IN, 200, 404, 404, SIGN_IN),
    "GET /sign-in": (200, "303 /", "303 /", "303 /", 200),
    "POST /sign-in": ("303 /",) * 5,
    "POST /register": ("303 /",) * 5,
    "POST /sign-out": ("303 /",) * 5,
    "GET /sign-out": (SIGN_IN,) * 5,
    "GET /register": (SIGN_IN,) * 5,
    # Between services; only in the split.
    "GET /internal/carts/<customer_id>": (401, 401, 401, 401, 200),
    "POST /internal/carts/<customer_id>/checked-out": (401, 401, 401, 401, 204),
    "POST /internal/reservations": (401, 401, 401, 401, 201),
    "POST /internal/reservations/<order_id>/commit": (401, 401, 401, 401, 200),
    "POST /internal/reservations/<order_id>/release": (401, 401, 401, 401, 200),
    "POST /internal/payments": (401, 401, 401, 401, 201),
    "POST /internal/payments/<order_id>/refund": (401, 401, 401, 401, 200),
    "GET /internal/events": (401, 401, 401, 401, 200),
}
INTERNAL = [route for route in ROWS if "/internal/" in route]
FOR_CUSTOMERS = [route for route, row in ROWS.items() if row[0] == 401 and route not in INTERNAL]
PAGES_FOR_CUSTOMERS = [route for route, row in ROWS.items() if row[0] == SIGN_IN and row[1] != SIGN_IN]
CALLER = {"cart": "orders", "inventory": "orders", "payments": "orders", "orders": "recommendations"}
"""Who may call the internal routes of a service."""
ONLY_IN = {"GET /api/openapi.yaml": "monolith"} | dict.fromkeys(INTERNAL, "split")
OPERATIONS = {"GET /healthz", "GET /readyz", "GET /metrics"}

EMAILS = {"owner": "ada", "other customer": "grace", "admin": "admin"}
_numbers = itertools.count(1)


class Shop:
    """One of the two shops: its applications, and the tokens of its actors."""

    def __init__(self, name: str, apps: dict[str, Flask], accounts: Flask) -> None:
        self.name, self.apps, self._accounts = name, apps, accounts
        self.tokens = {actor: self._sign_in(f"{email}@example.com") for actor, email in EMAILS.items()}
        self.split: SplitShop | None = None

    def routes(self) -> set[tuple[str, str]]:
        """Each route with its application, without the limits of parameters."""
        return {
            (f"{method} {plain(rule.rule)}", name)
            for name, app in self.apps.items()
            for rule in app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }

    def owners(self, route: str) -> list[str]:
        """The applications that have the route; every one has the routes for operators."""
        return sorted(name for known, name in self.routes() if known == route)

    def ask(
        self,
        app: str,
        route: str,
        headers: dict[str, str],
        cookie: str = "",
        extra: dict[str, Any] | None = None,
        **facts: str,
    ) -> TestResponse:
        """Send a valid request with parameters from `facts`, and with `extra` fields in its body."""
        method, path = route.split(" ")
        for name, value in {"sku": SKU, "path:filename": "shop.css", **facts}.items():
            path = path.replace(f"<{name}>", value)
        options: dict[str, Any] = {} if method in {"GET", "DELETE"} else body_of(route, facts)
        for kind in options:
            options[kind] |= extra or {}
        options["headers"] = {"Origin": "http://localhost", "Idempotency-Key": unique("key"), **headers}
        client = self.apps[app].test_client()
        if cookie:
            client.set_cookie("shop_session", cookie)
        return client.open(path, method=method, buffered=True, **options)

    def fill_cart(self, actor: str) -> None:
        app = self.owners("PUT /api/cart/items/<sku>")[0]
        answer = self.ask(app, "PUT /api/cart/items/<sku>", bearer(self.tokens[actor]))
        assert answer.status_code == 200

    def order_of(self, actor: str) -> str:
        self.fill_cart(actor)
        answer = self.ask(self.owners("POST /api/orders")[0], "POST /api/orders", bearer(self.tokens[actor]))
        assert answer.status_code == 201
        return str(answer.get_json()["id"])

    def signing_key(self) -> tuple[str, Any]:
        """The id and the private half of the key that signs customers' tokens."""
        with self._accounts.extensions["database"].reading() as db:
            kid, pem = db.execute(text("SELECT kid, private_pem FROM signing_keys")).one()
        return kid, load_pem_private_key(pem.encode(), None)

    def _sign_in(self, email: str) -> str:
        given = {"email": email, "password": DEMO_PASSWORD}
        return str(self._accounts.test_client().post("/api/sessions", json=given).get_json()["token"])


def plain(rule: str) -> str:
    """The rule with only the names of its parameters."""
    parts = rule.split("/")
    return "/".join(f"<{part.rpartition(':')[2]}" if part.startswith("<string(") else part for part in parts)


def unique(word: str) -> str:
    return f"{word}-{next(_numbers):08}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def body_of(route: str, facts: dict[str, str]) -> dict[str, Any]:
    """A valid body for the route, as JSON or as a form."""
    order_id = facts.get("order_id", unique("order"))
    new = {"email": f"{unique('guest')}@example.com", "password": DEMO_PASSWORD, "name": "A Guest"}
    known = {"email": "ada@example.com", "password": DEMO_PASSWORD}
    line = {"sku": SKU, "quantity": 1}
    bodies: dict[str, dict[str, Any]] = {
        "POST /api/customers": {"json": new},
        "POST /api/sessions": {"json": known},
        "PUT /api/products/<sku>/price": {"json": {"price_cents": 1000}},
        "PUT /api/cart/items/<sku>": {"json": {"quantity": 1}},
        "PUT /api/inventory/<sku>": {"json": {"available": 1000}},
        "POST /api/orders": {"json": {"card_number": CARD}},
        "POST /cart/items": {"data": {"sku": SKU, "quantity": "1"}},
        "POST /checkout": {"data": {"card_number": CARD, "key": unique("page-key")}},
        "POST /sign-in": {"data": known},
        "POST /register": {"data": new},
        "POST /sign-out": {"data": {}},
        "POST /internal/carts/<customer_id>/checked-out": {"json": {"items": [line]}},
        "POST /internal/reservations": {"json": {"order_id": order_id, "items": [line]}},
        "POST /internal/payments": {"json": {"order_id": order_id, "amount_cents": 5, "card_number": CARD}},
    }
    return bodies.get(route, {})


def outcome(answer: TestResponse) -> int | str:
    if answer.status_code != 303:
        return answer.status_code
    first = answer.headers["Location"].lstrip("/").partition("/")[0].partition("?")[0]
    return f"303 /{first}"


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shop]]:
    home = tmp_path_factory.mktemp("home")
    config = Config.from_env({"SHOP_HOME": str(home)})
    seed(config, SMALL)
    monolith = create_app(config)
    export(home / "dataset", SMALL)
    split = SplitShop(home, home / "dataset")
    shops = {
        "monolith": Shop("monolith", {"monolith": monolith}, monolith),
        "split": Shop("split", split.apps, split.apps["accounts"]),
    }
    shops["split"].split = split
    for shop in shops.values():
        app = shop.owners("PUT /api/inventory/<sku>")[0]
        shop.ask(app, "PUT /api/inventory/<sku>", bearer(shop.tokens["admin"]))
    yield shops
    split.close()
    monolith.extensions["database"].dispose()


@pytest.fixture(params=["monolith", "split"])
def shop(request: pytest.FixtureRequest, shops: dict[str, Shop]) -> Shop:
    return shops[request.param]


def service_token(shop: Shop, app: str) -> str:
    """A token of the service that may call `app`; the monolith knows no services, so there it is made up."""
    split = shop.split
    if split is None or app not in CALLER:
        return "made.up.token" if split is None else str(split.tokens("orders").issue(app))
    return str(split.tokens(CALLER[app]).issue(app))


def headers_of(shop: Shop, app: str, actor: str) -> tuple[dict[str, str], str]:
    """What the actor sends: headers, and the session cookie of the pages."""
    if actor == "anonymous":
        return {}, ""
    if actor == "service":
        return {"Authorization": f"Service {service_token(shop, app)}"}, ""
    return bearer(shop.tokens[actor]), shop.tokens[actor]


def facts_for(shop: Shop, app: str, route: str, actor: str) -> dict[str, str]:
    """Make what the route needs (a full cart, an order of the owner, a reservation); returns its parameters."""
    if actor in EMAILS and route in {"POST /api/orders", "POST /checkout"}:
        shop.fill_cart(actor)
    if "<customer_id>" in route:
        return {"customer_id": "C00001"}
    if "/internal/" in route and "<order_id>" in route:
        order_id = unique("order")
        if app == "inventory":
            headers, _ = headers_of(shop, app, "service")
            shop.ask(app, "POST /internal/reservations", headers, order_id=order_id)
        return {"order_id": order_id}
    return {"order_id": shop.order_of("owner")} if "<order_id>" in route else {}


class TestEveryRoute:
    def test_has_a_row_and_every_row_a_route(self, shops):
        for name, shop in shops.items():
            expected = {route for route in ROWS if ONLY_IN.get(route, name) == name}
            assert {route for route, _ in shop.routes()} == expected

    def test_belongs_to_one_service(self, shops):
        for route in ROWS.keys() - OPERATIONS:
            assert len(shops["split"].owners(route)) == (0 if ONLY_IN.get(route) == "monolith" else 1)

    @pytest.mark.parametrize("actor", ACTORS)
    @pytest.mark.parametrize("route", ROWS)
    def test_answers_each_actor_as_its_row_says(self, shop, route, actor):
        for app in shop.owners(route):
            facts = facts_for(shop, app, route, actor)
            headers, cookie = headers_of(shop, app, actor)
            answer = shop.ask(app, route, headers, cookie, **facts)
            assert outcome(answer) == ROWS[route][ACTORS.index(actor)], (app, answer.text)


JSON_ROUTES = [route for route in ROWS if "json" in body_of(route, {})]
FORMS = [route for route in ROWS if "POST /" in route and "/api/" not in route and "/internal/" not in route]
SERVER_FIELDS = {
    "id": "C00000",
    "customer_id": "C00001",
    "role": "admin",
    "status": "confirmed",
    "paid_cents": 1,
    "total_cents": 1,
    "unit_price_cents": 1,
    "captured_cents": 1,
    "lines": [],
}


def stored(shop: Shop) -> dict[str, list[str]]:
    """All rows of all tables of the shop."""
    rows: dict[str, list[str]] = {}
    for name, app in shop.apps.items():
        if "database" not in app.extensions:
            continue
        for table, found in stored_rows(app.extensions["database"].engine).items():
            rows[f"{name}.{table}"] = found
    return rows


class TestWhatIsSentAlong:
    @pytest.mark.parametrize("route", JSON_ROUTES)
    def test_is_refused_by_name_and_changes_nothing(self, shop, route):
        actor = "service" if route in INTERNAL else "admin"
        for app in shop.owners(route):
            facts = facts_for(shop, app, route, actor)
            headers, _ = headers_of(shop, app, actor)
            before = stored(shop)
            answer = shop.ask(app, route, headers, extra=SERVER_FIELDS, **facts)
            assert (answer.status_code, answer.json["type"]) == (422, "/problems/invalid-request")
            assert {error["field"] for error in answer.json["errors"]} == set(SERVER_FIELDS)
            assert stored(shop) == before

    @pytest.mark.parametrize("route", [*JSON_ROUTES, *FORMS])
    def test_is_refused_when_it_is_too_large(self, shop, route):
        actor = "service" if route in INTERNAL else "admin"
        for app in shop.owners(route):
            headers, cookie = headers_of(shop, app, actor)
            answer = shop.ask(
                app, route, headers, cookie, extra={"much": "x" * 65_536}, order_id="any", customer_id="C1"
            )
            assert answer.status_code == 413

    @pytest.mark.parametrize("route", FORMS)
    def test_by_a_page_of_another_site_is_refused(self, shop, route):
        for app in shop.owners(route):
            before = stored(shop)
            for origin in ("https://evil.example", "null", ""):
                answer = shop.ask(app, route, {"Origin": origin}, shop.tokens["owner"])
                assert answer.status_code == 403
                assert "Set-Cookie" not in answer.headers
            assert stored(shop) == before


def customer_token(shop: Shop, **changes: Any) -> str:
    """Ada's token, signed with the shop's own key unless `key` is given; a claim that is None is left out."""
    kid, key = shop.signing_key()
    now = int(time.time())
    claims = {"sub": "C00001", "role": "admin", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600}
    key = changes.pop("key", key)
    algorithm = changes.pop("alg", "EdDSA")
    kept = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid})


def public_bytes(shop: Shop) -> bytes:
    return bytes(shop.signing_key()[1].public_key().public_bytes_raw())


BAD_CUSTOMER_TOKENS = {
    "expired": lambda shop: customer_token(shop, iat=1, exp=int(time.time()) - 1),
    "without an expiry": lambda shop: customer_token(shop, exp=None),
    "for another audience": lambda shop: customer_token(shop, aud="bank"),
    "by another issuer": lambda shop: customer_token(shop, iss="bank"),
    "signed with another key": lambda shop: customer_token(shop, key=Ed25519PrivateKey.generate()),
    "not signed": lambda shop: customer_token(shop, key=None, alg="none"),
    "signed with the public key as a secret": lambda shop: customer_token(
        shop, key=base64.b64encode(public_bytes(shop)), alg="HS256"
    ),
    "with a changed role": lambda shop: with_role(shop.tokens["owner"], "admin"),
    "not a token": lambda shop: "not-a-token",
}


def with_role(token: str, role: str) -> str:
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "role": role}).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


class TestACustomersToken:
    def test_made_by_this_test_is_valid_unless_it_is_changed(self, shop):
        app = shop.owners("GET /api/customers/me")[0]
        assert shop.ask(app, "GET /api/customers/me", bearer(customer_token(shop))).status_code == 200

    @pytest.mark.parametrize("wrong", BAD_CUSTOMER_TOKENS)
    @pytest.mark.parametrize("route", FOR_CUSTOMERS)
    def test_that_is_invalid_opens_no_route(self, shop, route, wrong):
        token = BAD_CUSTOMER_TOKENS[wrong](shop)
        for app in shop.owners(route):
            answer = shop.ask(app, route, bearer(token), order_id="any")
            assert answer.status_code == 401, answer.text

    @pytest.mark.parametrize("wrong", BAD_CUSTOMER_TOKENS)
    @pytest.mark.parametrize("route", PAGES_FOR_CUSTOMERS)
    def test_that_is_invalid_opens_no_page_and_its_cookie_is_deleted(self, shop, route, wrong):
        (app,) = shop.owners(route)
        answer = shop.ask(app, route, {}, BAD_CUSTOMER_TOKENS[wrong](shop), order_id="any")
        assert outcome(answer) == SIGN_IN
        assert "shop_session=;" in answer.headers["Set-Cookie"]


def made_by(split: SplitShop, caller: str, audience: str, **changes: Any) -> str:
    """A service token as the caller would sign it, with changes."""
    now = int(time.time())
    claims = {"iss": caller, "aud": audience, "iat": now, "exp": now + 60}
    key = changes.pop("key", split.private_key(caller))
    algorithm = changes.pop("alg", "EdDSA")
    kept = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm)


BAD_SERVICE_TOKENS = {
    "made out to another service": lambda split, app: made_by(split, CALLER[app], "catalog"),
    "expired": lambda split, app: made_by(split, CALLER[app], app, iat=1, exp=int(time.time()) - 1),
    "without an expiry": lambda split, app: made_by(split, CALLER[app], app, exp=None),
    "good for a day": lambda split, app: made_by(split, CALLER[app], app, exp=int(time.time()) + 86_400),
    "not signed": lambda split, app: made_by(split, CALLER[app], app, key=None, alg="none"),
    "signed with another key": lambda split, app: made_by(
        split, CALLER[app], app, key=Ed25519PrivateKey.generate()
    ),
    "signed by another service in the caller's name": lambda split, app: made_by(
        split, CALLER[app], app, key=split.private_key("catalog")
    ),
    "signed by a service that is not trusted": lambda split, app: made_by(split, "accounts", app),
    "signed with the public key as a secret": lambda split, app: made_by(
        split, CALLER[app], app, key=split.public_key(CALLER[app]), alg="HS256"
    ),
    "not a token": lambda split, app: "not-a-token",
}


class TestAnInternalRoute:
    @pytest.fixture
    def shop(self, shops):
        return shops["split"]

    @pytest.mark.parametrize("wrong", BAD_SERVICE_TOKENS)
    @pytest.mark.parametrize("route", INTERNAL)
    def test_is_closed_to_an_invalid_service_token(self, shop, route, wrong):
        (app,) = shop.owners(route)
        token = BAD_SERVICE_TOKENS[wrong](shop.split, app)
        answer = shop.ask(app, route, {"Authorization": f"Service {token}"}, order_id="any", customer_id="C1")
        assert (answer.status_code, answer.json["type"]) == (401, "/problems/not-authenticated")

    @pytest.mark.parametrize("route", INTERNAL)
    def test_opens_with_a_token_made_by_this_test_unless_it_is_changed(self, shop, route):
        (app,) = shop.owners(route)
        facts = facts_for(shop, app, route, "service")
        token = made_by(shop.split, CALLER[app], app)
        assert shop.ask(app, route, {"Authorization": f"Service {token}"}, **facts).status_code < 300

    @pytest.mark.parametrize("scheme", ["Service", "Bearer", "service", "Basic"])
    @pytest.mark.parametrize("route", INTERNAL)
    def test_is_closed_to_a_customer_even_to_the_admin(self, shop, route, scheme):
        (app,) = shop.owners(route)
        headers = {"Authorization": f"{scheme} {shop.tokens['admin']}"}
        answer = shop.ask(app, route, headers, order_id="any", customer_id="C1")
        assert answer.status_code == 401

    @pytest.mark.parametrize("route", INTERNAL)
    def test_is_closed_to_services_that_may_call_only_its_other_routes(self, shop, route):
        (app,) = shop.owners(route)
        for caller in set(SPLIT.callers_of(app)) - {CALLER[app]}:
            headers = {"Authorization": f"Service {made_by(shop.split, caller, app)}"}
            answer = shop.ask(app, route, headers, order_id="any", customer_id="C1")
            assert (answer.status_code, answer.json["type"]) == (403, "/problems/forbidden")
