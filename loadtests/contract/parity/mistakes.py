"""Scenes with invalid requests: paths, parameters, fields, JSON, forms, and credentials."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from loadtests.contract.parity.scenes import FORM
from loadtests.contract.parity.steps import JSON, Step, get, send
from loadtests.contract.parity.writer import Writer

NUMBERS: tuple[Any, ...] = (-1, 10**30, "1", 1.5, 1.0, True, None, [1], {"n": 1})
RAW_BODIES = (
    "",
    "{",
    "[]",
    "null",
    "7",
    '"text"',
    '{"quantity": 1',
    "[" * 60_000,
    "quantity=1",
    '{"quantity": NaN}',
)
NUMBER = {"card_number": "4" * 16}
TOO_LARGE = '{"quantity": "' + "x" * 70_000 + '"}'

PARAMETERS: tuple[tuple[str, str, str, str], ...] = tuple(
    (operation, path, name, value)
    for operation, path, name, values in (
        ("listProducts", "/api/products", "page", ("0", "-1", "10001", "x", "", "1.5", "9" * 40)),
        ("listProducts", "/api/products", "page_size", ("0", "101", "many", " 5", "+5")),
        ("listProducts", "/api/products", "q", ("q" * 101, "a\0b")),
        ("listProducts", "/api/products", "sku", ("lower", ",".join(f"NONE-{n}" for n in range(101)), ",,")),
        ("listProducts", "/api/products", "category", ("no-such-category", "%", "c" * 300)),
        ("recommend", "/api/products/{sku}/recommendations", "limit", ("0", "21", "x", "-1")),
        ("recommend", "/api/products/{sku}/recommendations", "cart", ("lower", "," * 60, "A1," * 60)),
        ("listOrders", "/api/orders", "page", ("0", "x", "10001")),
        ("listOrders", "/api/orders", "page_size", ("0", "101", "-1")),
    )
    for value in values
)
REGISTRATIONS: tuple[tuple[str, Any], ...] = (
    *[("email", value) for value in ("no-at", "a@b", "two words@example.com", "@example.com", "e" * 300, 7)],
    *[("password", value) for value in ("short", "x" * 129, None)],
    *[("name", value) for value in ("", "n" * 81, "nul\0", ["A"])],
    ("role", "admin"),
)
CARDS: tuple[Any, ...] = ("", "4242", "4" * 20, "4242-4242-4242-4242", 4242424242424242, None, " " * 41)
KEYS = ("short", "k" * 65, "with space", "dot.dot.dot")


def wrong_path(writer: Writer) -> None:
    sku = writer.choose(("NO-SUCH-SKU", "p00001", "P", "P" * 21, "-A1", "%27", "%C3%9C1"))
    name = writer.customer()
    writer.add(
        get("no route", writer.choose(("/api/nothing", "/api/orders/a/b", "/api/products/P1/x", "/api/"))),
        Step(
            "no method", writer.choose(("PATCH", "DELETE")), writer.choose(("/api/products", "/api/sessions"))
        ),
        get("no page", writer.choose(("/nothing", "/nothing/at/all", "/orders/a/b"))),
        get("readProduct", f"/api/products/{sku}"),
        get("readAvailability", f"/api/inventory/{sku}"),
        get("product page", f"/products/{sku}"),
        get("readOrder", f"/api/orders/{writer.choose(('0', 'x' * 300, '%27'))}", name),
        send("putCartItem", "PUT", f"/api/cart/items/{sku}", {"quantity": 1}, name),
        Step("removeCartItem", "DELETE", f"/api/cart/items/{sku}", actor=name),
    )


def wrong_parameters(writer: Writer) -> None:
    for operation, path, name, value in writer.rng.sample(PARAMETERS, 5):
        actor = writer.customer() if operation == "listOrders" else ""
        writer.add(Step(operation, "GET", path.format(sku=writer.sku()), ((name, value),), actor))


def wrong_credentials(writer: Writer) -> None:
    """No token, an invalid token, or a customer's token where an admin's is needed."""
    sku, name = writer.sku(), writer.customer()
    price, stock = f"/api/products/{sku}/price", f"/api/inventory/{sku}"
    token = writer.choose(("Bearer garbage", "Bearer a.b.c", "Basic YTpi", "Bearer", "Bearer  "))
    writer.add(
        send("setPrice", "PUT", price, {"price_cents": 1}, name),
        send("setAvailability", "PUT", stock, {"available": 1}, writer.choose(("", name))),
        get("readCart", "/api/cart"),
        send("checkout", "POST", "/api/orders", NUMBER, key=writer.key()),
        Step("readProfile", "GET", "/api/customers/me", headers={"Authorization": token}),
        Step("recommend", "GET", f"/api/products/{sku}/recommendations", headers={"Authorization": token}),
        send("signIn", "POST", "/api/sessions", {"email": writer.email(), "password": "not-my-password"}),
    )


def wrong_fields(writer: Writer) -> None:
    sku, name, number = writer.sku(), writer.customer(), writer.choose(NUMBERS)
    person = {"email": writer.email(), "password": "long enough", "name": "A Guest"}
    field, value = writer.choose(REGISTRATIONS)
    taken = person | {"email": "ADA@example.com"}
    checkout = {"card_number": writer.choose(CARDS)}
    writer.add(
        send(
            "putCartItem",
            "PUT",
            f"/api/cart/items/{sku}",
            {"quantity": writer.choose((*NUMBERS, 0, 100))},
            name,
        ),
        send("putCartItem", "PUT", f"/api/cart/items/{sku}", {"quantity": 1, "price_cents": 1}, name),
        send("setPrice", "PUT", f"/api/products/{sku}/price", {"price_cents": number}, "admin"),
        send("setAvailability", "PUT", f"/api/inventory/{sku}", {"available": number}, "admin"),
        send("setAvailability", "PUT", "/api/inventory/NO-SUCH-SKU", {"available": 1}, "admin"),
        send("register", "POST", "/api/customers", person | {field: value}),
        send("register", "POST", "/api/customers", taken),
        send("signIn", "POST", "/api/sessions", {"email": person["email"]}),
        send("checkout", "POST", "/api/orders", checkout, name, key=writer.key()),
        send("checkout", "POST", "/api/orders", NUMBER, name, key=writer.choose(KEYS)),
        send("checkout", "POST", "/api/orders", NUMBER | {"total_cents": 1}, name, key=writer.key()),
    )


def wrong_json(writer: Writer) -> None:
    path, name = f"/api/cart/items/{writer.sku()}", writer.customer()
    for body in writer.rng.sample(RAW_BODIES, 3):
        writer.add(Step("putCartItem", "PUT", path, (), name, JSON, body))
    kind = {
        "Content-Type": writer.choose(("text/plain", "application/xml", "application/x-www-form-urlencoded"))
    }
    writer.add(
        Step("putCartItem", "PUT", path, (), name, kind, '{"quantity": 1}'),
        Step("putCartItem", "PUT", path, (), name, JSON, TOO_LARGE),
        Step("signIn", "POST", "/api/sessions", (), "", kind, TOO_LARGE),
    )


def wrong_forms(writer: Writer) -> None:
    """Forms from another site, without a session, and with values that no page sends."""
    name = writer.customer()
    cart = {
        "sku": writer.choose((writer.sku(), "NO-SUCH-SKU")),
        "quantity": writer.choose(("-1", "100", "x")),
    }
    elsewhere = FORM | {"Origin": "https://evil.example"}
    nobody = urlencode({"email": writer.email(), "password": "not-my-password", "next": "/cart"})
    writer.add(
        Step("cart form", "POST", "/cart/items", (), name, FORM, urlencode(cart)),
        Step("cart form", "POST", "/cart/items", (), name, elsewhere, urlencode(cart)),
        Step("cart form", "POST", "/cart/items", (), "", FORM, urlencode(cart)),
        Step("sign-in form", "POST", "/sign-in", (), "", FORM, nobody),
        get("cart page", "/cart"),
        get("checkout page", "/checkout"),
    )
