"""Scenes with valid requests: customers browse, search, fill carts and buy, and the admin sets prices and stock."""

from __future__ import annotations

from urllib.parse import urlencode

from loadtests.contract.parity.steps import Step, get, send, sign_in
from loadtests.contract.parity.writer import Writer

APPROVED, DECLINED, TIMES_OUT = "4242424242424242", "4000000000000002", "4000000000000119"
OTHER_CARDS = (DECLINED, "4111111111111111", "1" * 12, "5500 0000 0000 0004")
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "{shop}"}


def opening(writer: Writer) -> None:
    """The demo users sign in, two new customers register, and the contract is read."""
    for name in ("admin", "ada", "grace"):
        writer.add(sign_in(name, f"{name}@example.com"), get("readProfile", "/api/customers/me", name))
    for _ in range(2):
        writer.add(get("readProfile", "/api/customers/me", writer.new_customer()))
    writer.add(get("readContract", "/api/openapi.yaml"), get("readKeys", "/.well-known/jwks.json"))


def browse(writer: Writer) -> None:
    category = writer.choose(writer.catalogue.categories)
    sku = writer.sku()
    page, size = writer.rng.randint(1, 5), writer.choose((1, 7, 20, 100))
    writer.add(
        get("listCategories", "/api/categories"),
        get("listProducts", "/api/products", category=category, page=page, page_size=size),
        get("listProducts", "/api/products", page=writer.choose((1, 2, 50, 10_000))),
        get("readProduct", f"/api/products/{sku}"),
        get("readAvailability", f"/api/inventory/{sku}"),
    )


def search(writer: Writer) -> None:
    words = writer.rng.sample(writer.catalogue.words, writer.rng.randint(1, 2))
    odd = writer.choose(("%", "_", "\\", "'", '" OR 1=1', "  ", "🛒", "ÄÖÜ", "no such thing", "q" * 100))
    batch = [*writer.skus(8), "NO-SUCH-SKU"]
    writer.add(
        get("listProducts", "/api/products", q=" ".join(words).upper(), page_size=50),
        get("listProducts", "/api/products", q=words[0], category=writer.choose(writer.catalogue.categories)),
        get("listProducts", "/api/products", q=odd),
        get("listProducts", "/api/products", sku=",".join([*batch, batch[0]]), page=3),
    )


def get_recommendations(writer: Writer) -> None:
    """Recommendations: anonymous, with a cart, for a customer with past orders, and for an unknown product."""
    path = f"/api/products/{writer.sku()}/recommendations"
    writer.add(
        get("recommend", path),
        get("recommend", path, cart=",".join(writer.skus(6)), limit=writer.rng.randint(1, 20)),
        get("recommend", path, writer.choose(("ada", "grace", writer.customer())), limit=12),
        get("recommend", "/api/products/NO-SUCH-SKU/recommendations"),
    )


def register(writer: Writer) -> None:
    name = writer.new_customer()
    writer.add(get("readCart", "/api/cart", name), get("listOrders", "/api/orders", name))


def fill_and_empty_the_cart(writer: Writer) -> None:
    name = writer.customer()
    skus = _fill_cart(writer, name, most=4)
    again = send("putCartItem", "PUT", f"/api/cart/items/{skus[0]}", {"quantity": 99}, name)
    writer.add(again, _remove(skus[0], name), _remove(skus[0], name), get("readCart", "/api/cart", name))
    if writer.rng.random() < 0.5:
        writer.add(Step("clearCart", "DELETE", "/api/cart", actor=name), get("readCart", "/api/cart", name))


def buy(writer: Writer) -> None:
    """A checkout, with enough stock most of the time, sent twice, then with another card."""
    name, key = writer.customer(), writer.key()
    writer.add(Step("clearCart", "DELETE", "/api/cart", actor=name))
    skus = _fill_cart(writer, name, most=3)
    if writer.rng.random() < 0.8:
        for sku in skus:
            writer.add(send("setAvailability", "PUT", f"/api/inventory/{sku}", {"available": 50}, "admin"))
    writer.add(_checkout(name, key), _checkout(name, key), _checkout(name, key, DECLINED))
    writer.add(
        get("readOrder", f"/api/orders/{{order:{key}}}", name),
        get("readOrder", f"/api/orders/{{order:{key}}}", writer.choose(("ada", "admin"))),
        get("listOrders", "/api/orders", name, page_size=100),
        get("readAvailability", f"/api/inventory/{skus[0]}"),
        get("readCart", "/api/cart", name),
    )


def pay_with_another_card(writer: Writer) -> None:
    name, key, card = writer.customer(), writer.key(), writer.choose(OTHER_CARDS)
    writer.add(Step("clearCart", "DELETE", "/api/cart", actor=name))
    skus = _fill_cart(writer, name, most=2)
    writer.add(_checkout(name, key, card), _checkout(name, key, card))
    writer.add(get("readAvailability", f"/api/inventory/{skus[0]}"), get("readCart", "/api/cart", name))


def pay_with_a_card_that_times_out(writer: Writer) -> None:
    name = writer.customer()
    writer.add(Step("clearCart", "DELETE", "/api/cart", actor=name))
    skus = _fill_cart(writer, name, most=2)
    writer.add(_checkout(name, writer.key(), TIMES_OUT))
    writer.add(get("readAvailability", f"/api/inventory/{skus[0]}"), get("listOrders", "/api/orders", name))


def order_more_than_the_stock(writer: Writer) -> None:
    """The admin sets a small stock. A customer orders one more than that, then exactly that many."""
    name, sku, left = writer.customer(), writer.sku(), writer.rng.randint(0, 3)
    writer.add(
        Step("clearCart", "DELETE", "/api/cart", actor=name),
        send("setAvailability", "PUT", f"/api/inventory/{sku}", {"available": left}, "admin"),
    )
    for quantity in (left + 1, max(left, 1)):
        writer.add(
            send("putCartItem", "PUT", f"/api/cart/items/{sku}", {"quantity": quantity}, name),
            _checkout(name, writer.key()),
            get("readAvailability", f"/api/inventory/{sku}"),
        )
    writer.add(Step("clearCart", "DELETE", "/api/cart", actor=name))


def check_out_an_empty_cart(writer: Writer) -> None:
    """An empty cart is refused, and the same key gets the same refusal with a full cart."""
    name, key = writer.customer(), writer.key()
    writer.add(Step("clearCart", "DELETE", "/api/cart", actor=name), _checkout(name, key))
    _fill_cart(writer, name, most=1)
    writer.add(_checkout(name, key))


def change_a_price(writer: Writer) -> None:
    sku, name = writer.sku(), writer.customer()
    price = writer.rng.randint(1, 10_000_000)
    writer.add(
        send("putCartItem", "PUT", f"/api/cart/items/{sku}", {"quantity": 2}, name),
        send("setPrice", "PUT", f"/api/products/{sku}/price", {"price_cents": price}, "admin"),
        get("readProduct", f"/api/products/{sku}"),
        get("readCart", "/api/cart", name),
    )


def read_old_orders(writer: Writer) -> None:
    """The past orders of the demo customers, in small pages."""
    name = writer.choose(("ada", "grace"))
    for page in (1, 2, 1000):
        writer.add(get("listOrders", "/api/orders", name, page=page, page_size=writer.choose((1, 3, 100))))


def look_at_pages(writer: Writer) -> None:
    name, word = writer.customer(), writer.choose(writer.catalogue.words)
    writer.add(
        get("home page", "/", writer.choose(("", name))),
        get("product page", f"/products/{writer.sku()}", writer.choose(("", "ada", name))),
        get("search page", "/search", q=word, page=writer.choose((1, 2))),
        get("cart page", "/cart", name),
        get("orders page", "/orders", writer.choose(("", "ada", name))),
        get("sign-in page", "/sign-in", next="/cart"),
    )


def buy_on_pages(writer: Writer) -> None:
    name, key = writer.customer(), writer.key()
    cart = {"sku": writer.sku(), "quantity": "2"}
    writer.add(
        Step("clearCart", "DELETE", "/api/cart", actor=name),
        send("setAvailability", "PUT", f"/api/inventory/{cart['sku']}", {"available": 20}, "admin"),
        Step("cart form", "POST", "/cart/items", (), name, FORM, urlencode(cart)),
        get("checkout page", "/checkout", name),
        _checkout(name, key),
        get("order page", f"/orders/{{order:{key}}}", name),
        get("order page", f"/orders/{{order:{key}}}", "grace"),
    )


def _fill_cart(writer: Writer, name: str, most: int) -> list[str]:
    skus = writer.skus(most)
    for sku in skus:
        body = {"quantity": writer.rng.randint(1, 3)}
        writer.add(send("putCartItem", "PUT", f"/api/cart/items/{sku}", body, name))
    return skus


def _remove(sku: str, name: str) -> Step:
    return Step("removeCartItem", "DELETE", f"/api/cart/items/{sku}", actor=name)


def _checkout(name: str, key: str, card: str = APPROVED) -> Step:
    return send("checkout", "POST", "/api/orders", {"card_number": card}, name, keep=key, key=key)
