"""The idempotency key: a repeated checkout gets the same response, and makes no second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import APPROVED, DECLINED, Customer, Visitor, new_key
from loadtests.contract.acceptance.waiting import at_once, eventually


def test_a_repeated_checkout_gets_the_same_answer_and_makes_no_second_order(
    visitor: Visitor, customer: Customer, shelf: Shelf
) -> None:
    sku = shelf.pick(available=5)["sku"]
    customer.put_in_cart(sku)
    key = new_key()
    first, again = customer.checkout(key=key), customer.checkout(key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert (visitor.available(sku), len(customer.orders())) == (4, 1)


def test_only_a_replayed_response_has_the_header_that_says_so(
    customer: Customer, product: dict[str, Any]
) -> None:
    customer.put_in_cart(product["sku"])
    key = new_key()
    first, again = customer.checkout(key=key), customer.checkout(key=key)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_refusal_is_replayed_too_even_when_the_cart_has_changed(
    customer: Customer, product: dict[str, Any]
) -> None:
    key = new_key()
    first = customer.checkout(key=key)
    customer.put_in_cart(product["sku"])
    again = customer.checkout(key=key)
    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Content-Type"].startswith("application/problem+json")


def test_a_declined_payment_is_not_tried_again(customer: Customer, product: dict[str, Any]) -> None:
    customer.put_in_cart(product["sku"])
    key = new_key()
    first, again = customer.checkout(DECLINED, key), customer.checkout(DECLINED, key)
    assert (first.status_code, again.status_code) == (402, 402)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_stored_refusal_says_that_it_is_final_and_does_not_ask_to_be_repeated(
    customer: Customer, product: dict[str, Any]
) -> None:
    empty = customer.checkout(key=new_key())
    customer.put_in_cart(product["sku"])
    key = new_key()
    for answer in (empty, customer.checkout(DECLINED, key), customer.checkout(DECLINED, key)):
        assert answer.json()["final"] is True
        assert "Retry-After" not in answer.headers


def test_a_refusal_that_does_not_use_up_the_key_is_not_final(
    customer: Customer, product: dict[str, Any]
) -> None:
    customer.put_in_cart(product["sku"])
    key = new_key()
    customer.checkout(DECLINED, key)
    assert "final" not in customer.checkout(APPROVED, key).json()
    assert "final" not in customer.checkout("no card", new_key()).json()


def test_a_key_with_another_body_is_refused(customer: Customer, product: dict[str, Any]) -> None:
    customer.put_in_cart(product["sku"])
    key = new_key()
    customer.checkout(DECLINED, key)
    answer = customer.checkout(APPROVED, key)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/idempotency-key-reused"
    assert customer.orders() == []


def test_two_customers_may_use_the_same_key(
    new_customer: Callable[[], Customer], product: dict[str, Any]
) -> None:
    key = new_key()
    orders = []
    for customer in (new_customer(), new_customer()):
        customer.put_in_cart(product["sku"])
        orders.append(customer.checkout(key=key).json()["id"])
    assert len(set(orders)) == 2


def test_twenty_concurrent_checkouts_with_one_key_make_one_order(
    visitor: Visitor, customer: Customer, shelf: Shelf
) -> None:
    sku = shelf.pick(available=50)["sku"]
    customer.put_in_cart(sku)
    key = new_key()
    answers = at_once([lambda: customer.checkout(key=key)] * 20)
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    waiting = {answer.json()["type"] for answer in answers if answer.status_code != 201}
    assert waiting <= {"/problems/checkout-in-progress"}
    assert [order["id"] for order in customer.orders()] == list(made)
    assert visitor.available(sku) == 49
    assert eventually(lambda: customer.checkout(key=key).status_code == 201)


def test_concurrent_checkouts_of_one_cart_with_different_keys_buy_it_once(
    visitor: Visitor, customer: Customer, shelf: Shelf
) -> None:
    sku = shelf.pick(available=50)["sku"]
    customer.put_in_cart(sku)
    answers = at_once([customer.checkout] * 6)
    bought = sum(answer.status_code == 201 for answer in answers)
    assert bought == 1
    assert visitor.available(sku) == 49
    assert len(customer.orders()) == 1


def test_a_checkout_without_a_key_is_refused(customer: Customer, product: dict[str, Any]) -> None:
    customer.put_in_cart(product["sku"])
    answer = customer.post("/api/orders", {"card_number": APPROVED})
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/idempotency-key-required"
    assert customer.orders() == []


@pytest.mark.parametrize(
    "key", ["short-7", "k" * 65, "with space", "semi;colon", "dot.dot.dot", "' OR 1=1 --"]
)
def test_a_malformed_key_is_refused(regular: Customer, key: str) -> None:
    answer = regular.checkout(key=key)
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/idempotency-key-required"


def test_the_key_is_checked_before_the_body(regular: Customer) -> None:
    answer = regular.post("/api/orders", data=b"{", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/idempotency-key-required"


@pytest.mark.parametrize("length", [8, 64])
def test_the_shortest_and_the_longest_key_are_accepted(customer: Customer, length: int) -> None:
    key = (new_key() + new_key())[:length]
    assert customer.checkout(key=key).json()["type"] == "/problems/cart-empty"


def test_an_invalid_body_does_not_use_up_the_key(customer: Customer, product: dict[str, Any]) -> None:
    customer.put_in_cart(product["sku"])
    key = new_key()
    assert customer.checkout("no card", key).status_code == 422
    assert customer.checkout(APPROVED, key).status_code == 201
