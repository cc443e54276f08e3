"""Orders: the checkout and its refusals, the list of orders, and access only for the owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import APPROVED, DECLINED, TIMES_OUT, Customer, Visitor, new_key
from loadtests.contract.acceptance.waiting import at_once


def test_a_customer_buys_what_is_in_the_cart(visitor: Visitor, customer: Customer, shelf: Shelf) -> None:
    one, two = shelf.pick_many(2, available=10)
    customer.put_in_cart(one["sku"], 3)
    customer.put_in_cart(two["sku"], 1)
    lines = customer.get("/api/cart").json()
    answer = customer.checkout()
    order = answer.json()
    assert (answer.status_code, order["status"]) == (201, "confirmed")
    assert (order["items"], order["total_cents"]) == (lines["items"], lines["total_cents"])
    assert [visitor.available(item["sku"]) for item in (one, two)] == [7, 9]
    assert customer.cart() == {}


def test_an_order_can_be_read_where_the_answer_says(customer: Customer, product: dict[str, Any]) -> None:
    customer.put_in_cart(product["sku"])
    answer = customer.checkout()
    assert answer.headers["Location"] == f"/api/orders/{answer.json()['id']}"
    assert customer.get(answer.headers["Location"]).json() == answer.json()
    assert customer.orders() == [answer.json()]


def test_a_card_number_may_have_spaces(customer: Customer, product: dict[str, Any]) -> None:
    customer.put_in_cart(product["sku"])
    assert customer.checkout(card="4242 4242 4242 4242").status_code == 201


def test_an_order_keeps_the_price_that_was_paid(
    customer: Customer, shelf: Shelf, product: dict[str, Any]
) -> None:
    shelf.price(product["sku"], 1000)
    customer.put_in_cart(product["sku"], 2)
    order = customer.checkout().json()
    shelf.price(product["sku"], 9999)
    assert order["total_cents"] == 2000
    assert customer.get(f"/api/orders/{order['id']}").json() == order


@pytest.mark.parametrize(
    ("card", "status", "slug"),
    [
        (DECLINED, 402, "payment-declined"),
        ("4111111111111111", 402, "payment-declined"),
        ("1" * 12, 402, "payment-declined"),
        (TIMES_OUT, 504, "payment-timed-out"),
    ],
)
def test_a_refused_payment_leaves_everything_as_it_was(
    visitor: Visitor, customer: Customer, shelf: Shelf, card: str, status: int, slug: str
) -> None:
    sku = shelf.pick(available=5)["sku"]
    customer.put_in_cart(sku, 2)
    answer = customer.checkout(card)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")
    assert visitor.available(sku) == 5
    assert customer.cart() == {sku: 2}
    assert customer.orders() == []


def test_after_a_refused_payment_the_next_try_can_succeed(
    customer: Customer, product: dict[str, Any]
) -> None:
    customer.put_in_cart(product["sku"])
    statuses = [customer.checkout(card).status_code for card in (DECLINED, APPROVED)]
    assert statuses == [402, 201]
    assert len(customer.orders()) == 1


def test_an_empty_cart_cannot_be_bought(customer: Customer) -> None:
    answer = customer.checkout()
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/cart-empty"


def test_an_order_above_the_stock_is_refused_with_sku_and_amounts(
    visitor: Visitor, customer: Customer, shelf: Shelf
) -> None:
    plenty, scarce = shelf.pick(), shelf.pick(available=2)
    customer.put_in_cart(plenty["sku"], 1)
    customer.put_in_cart(scarce["sku"], 3)
    answer = customer.checkout()
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (409, "/problems/out-of-stock")
    assert (problem["sku"], problem["wanted"], problem["available"]) == (scarce["sku"], 3, 2)
    assert [visitor.available(item["sku"]) for item in (plenty, scarce)] == [1000, 2]
    assert customer.cart() == {plenty["sku"]: 1, scarce["sku"]: 3}
    assert customer.orders() == []


def test_the_last_items_can_be_bought(visitor: Visitor, customer: Customer, shelf: Shelf) -> None:
    sku = shelf.pick(available=2)["sku"]
    customer.put_in_cart(sku, 2)
    assert customer.checkout().status_code == 201
    assert visitor.available(sku) == 0


def test_eight_buyers_of_the_last_one_make_one_order(
    visitor: Visitor, new_customer: Callable[[], Customer], shelf: Shelf
) -> None:
    sku = shelf.pick(available=1)["sku"]
    buyers = [new_customer() for _ in range(8)]
    for buyer in buyers:
        buyer.put_in_cart(sku)
    statuses = [answer.status_code for answer in at_once([buyer.checkout for buyer in buyers])]
    assert sorted(statuses) == [201] + [409] * 7
    assert visitor.available(sku) == 0
    assert sum(len(buyer.orders()) for buyer in buyers) == 1


def test_carts_in_opposite_order_never_sell_more_than_the_stock(
    visitor: Visitor, new_customer: Callable[[], Customer], shelf: Shelf
) -> None:
    one, two = (item["sku"] for item in shelf.pick_many(2, available=3))
    buyers = [new_customer() for _ in range(6)]
    for number, buyer in enumerate(buyers):
        for sku in (one, two) if number % 2 else (two, one):
            buyer.put_in_cart(sku)
    statuses = [answer.status_code for answer in at_once([buyer.checkout for buyer in buyers])]
    assert sorted(statuses) == [201] * 3 + [409] * 3
    assert (visitor.available(one), visitor.available(two)) == (0, 0)


@pytest.mark.parametrize(
    "card", ["", "4242", "4" * 11, "4" * 20, "4242-4242-4242-4242", "4" * 15 + "x", "٤" * 16]
)
def test_an_invalid_card_number_is_refused(regular: Customer, card: str) -> None:
    answer = regular.checkout(card)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "card_number"


@pytest.mark.parametrize("card", [4242424242424242, None, True, ["4242424242424242"]])
def test_a_card_number_must_be_a_string(regular: Customer, card: Any) -> None:
    answer = regular.checkout(card)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "card_number"


@pytest.mark.parametrize("field", ["total_cents", "price_cents", "status", "customer_id", "items"])
def test_an_order_takes_no_price_status_or_customer_from_the_client(regular: Customer, field: str) -> None:
    body = {"card_number": APPROVED, field: 1}
    answer = regular.post("/api/orders", body, headers={"Idempotency-Key": new_key()})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_somebody_elses_order_reads_like_one_that_does_not_exist(
    new_customer: Callable[[], Customer], admin: Customer, product: dict[str, Any]
) -> None:
    owner, other = new_customer(), new_customer()
    owner.put_in_cart(product["sku"])
    order_id = owner.checkout().json()["id"]
    unknown = order_id[:-1] + ("0" if order_id[-1] != "0" else "1")
    for client in (other, admin):
        foreign, missing = client.get(f"/api/orders/{order_id}"), client.get(f"/api/orders/{unknown}")
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert foreign.text.replace(order_id, "ID") == missing.text.replace(unknown, "ID")
    assert other.orders() == []


@pytest.mark.parametrize("order_id", ["0", "O-1", "' OR 1=1 --", "x" * 500, "🛒"])
def test_an_invalid_order_id_answers_404(regular: Customer, order_id: str) -> None:
    answer = regular.get(f"/api/orders/{order_id}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/unknown-order"


def test_orders_come_newest_first_and_in_pages(customer: Customer, product: dict[str, Any]) -> None:
    bought: list[str] = []
    for _ in range(3):
        customer.put_in_cart(product["sku"])
        bought.insert(0, customer.checkout().json()["id"])
    whole = customer.get("/api/orders").json()
    pages = [customer.get(f"/api/orders?page_size=2&page={page}").json() for page in (1, 2, 3)]
    times = [order["created_at"] for order in whole["items"]]
    assert [order["id"] for order in whole["items"]] == bought
    assert times == sorted(times, reverse=True)
    assert (whole["page"], whole["page_size"], whole["total"]) == (1, 20, 3)
    assert [item for page in pages for item in page["items"]] == whole["items"]
    assert [len(page["items"]) for page in pages] == [2, 1, 0]


def test_past_orders_of_a_demo_customer_are_there(ada: Customer) -> None:
    history = ada.get("/api/orders?page_size=1").json()
    assert history["total"] > 0
    order = history["items"][0]
    assert ada.get(f"/api/orders/{order['id']}").json() == order
    assert order["total_cents"] == sum(line["line_total_cents"] for line in order["items"])


@pytest.mark.parametrize(
    "query", ["page=0", "page=10001", "page=x", "page_size=0", "page_size=101", "page_size=-1"]
)
def test_an_invalid_page_of_orders_is_refused(regular: Customer, query: str) -> None:
    answer = regular.get(f"/api/orders?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]
