"""One test from sign-in to order, with requests alone: what a customer does, and what must be true at each step."""

from __future__ import annotations

import uuid

import requests

PASSWORD = "correct-horse-battery"


def sign_in(url, email):
    given = {"email": email, "password": PASSWORD}
    answer = requests.post(f"{url}/api/sessions", json=given, timeout=30)
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def somebody_new(url):
    email = f"{uuid.uuid4().hex}@example.com"
    new = {"email": email, "password": PASSWORD, "name": "Somebody"}
    assert requests.post(f"{url}/api/customers", json=new, timeout=30).status_code == 201
    return sign_in(url, email)


def test_a_walk_through_the_shop(shop_url):
    admin, ann, bob = (
        sign_in(shop_url, "admin@example.com"),
        somebody_new(shop_url),
        somebody_new(shop_url),
    )
    listed = requests.get(f"{shop_url}/api/products?page_size=2", timeout=30).json()["items"]
    sku, other = (item["sku"] for item in listed)

    def ask(method, path, who, key="", **body):
        headers = {**who, "Idempotency-Key": key or uuid.uuid4().hex}
        return requests.request(method, shop_url + path, json=body or None, headers=headers, timeout=30)

    def stock():
        return requests.get(f"{shop_url}/api/inventory/{sku}", timeout=30).json()["available"]

    ask("PUT", f"/api/products/{sku}/price", admin, price_cents=1234)
    ask("PUT", f"/api/products/{other}/price", admin, price_cents=77)
    ask("PUT", f"/api/inventory/{sku}", admin, available=10)
    ask("PUT", f"/api/inventory/{other}", admin, available=10)
    ask("PUT", f"/api/cart/items/{sku}", ann, quantity=3)
    ask("PUT", f"/api/cart/items/{other}", ann, quantity=1)
    cart = ask("GET", "/api/cart", ann).json()

    assert ask("POST", "/api/orders", ann, card_number="4000000000000002").status_code == 402
    assert stock() == 10
    assert ask("GET", "/api/cart", ann).json() == cart
    assert ask("GET", "/api/orders", ann).json()["items"] == []
    cheap = ask("POST", "/api/orders", ann, card_number="4242424242424242", total_cents=1)
    assert cheap.status_code == 422
    assert ask("GET", "/api/orders", ann).json()["items"] == []

    bought = ask("POST", "/api/orders", ann, "the-one-key", card_number="4242424242424242")
    assert bought.json()["total_cents"] == 3702 + 77
    assert {line["line_total_cents"] for line in bought.json()["items"]} == {3702, 77}
    assert stock() == 7
    ask("PUT", f"/api/cart/items/{sku}", ann, quantity=1)
    again = ask("POST", "/api/orders", ann, "the-one-key", card_number="4242424242424242")
    assert (again.status_code, again.json()) == (bought.status_code, bought.json())
    assert stock() == 7

    path = f"/api/orders/{bought.json()['id']}"
    assert ask("GET", path, ann).status_code == 200
    assert ask("GET", path, bob).status_code == 404
