"""Checkout as a saga: what is called in which order, what is undone, and what happens after a crash."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select, update

from microservices.chassis.database import reading, writing
from microservices.chassis.errors import Problem
from microservices.orders import checkout, clients
from microservices.orders.app import create_app
from microservices.orders.models import Order, Outbox, Step
from microservices.tests.one_service import ServiceUnderTest, as_customer, publish_keys

ADA = as_customer("C00001")
PRODUCT = {"sku": "P00001", "name": "Teapot", "description": "", "category": "tea", "price_cents": 500}


DONE = {
    "reservations": "reserved",
    "payments": "captured",
    "commit": "committed",
    "release": "released",
    "refund": "refunded",
}
"""The states that inventory and payments answer, by the end of the path."""


class Shop:
    """Stands in for the four services that checkout calls; `fails` says which call ends how."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.cart: list[dict[str, Any]] = [{"sku": "P00001", "quantity": 2}]
        self.products = [PRODUCT]
        self.fails: dict[str, BaseException] = {}
        self.nonsense: dict[str, Any] = {}
        """Unexpected documents that a call answers with a 200."""

    def answer(self, path: str, document: Any, status: int = 200) -> tuple[int, Any]:
        verb = path.split("?", maxsplit=1)[0].rsplit("/", 1)[-1]
        verb = {"C00001": "cart", "products": "price", "reservations": "reserve", "payments": "capture"}.get(
            verb, verb
        )
        self.calls.append(verb)
        failure = self.fails.get(verb)
        if isinstance(failure, Problem):
            return failure.status, failure.to_dict()
        if failure is not None:
            raise failure
        return status, self.nonsense.get(verb, document)

    def callees(self) -> dict[str, Any]:
        def cart(_method: str, path: str, _body: Any) -> tuple[int, Any]:
            return self.answer(path, {"items": self.cart})

        def catalog(_method: str, path: str, _body: Any) -> tuple[int, Any]:
            return self.answer(path, {"items": self.products})

        def effect(_method: str, path: str, body: Any) -> tuple[int, Any]:
            order_id = body["order_id"] if body else path.split("/")[-2]
            return self.answer(path, {"order_id": order_id, "status": DONE[path.rsplit("/", 1)[-1]]})

        return {
            "accounts": publish_keys,
            "cart": cart,
            "catalog": catalog,
            "inventory": effect,
            "payments": effect,
        }


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def orders(shop: Shop, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    service = ServiceUnderTest(create_app, tmp_path, callees=shop.callees(), callers=["recommendations"])
    yield service
    service.close()


def check_out(orders: ServiceUnderTest, card: str = "4242424242424242", key: str = "key-00000001") -> Any:
    headers = {**ADA, "Idempotency-Key": key}
    return orders.http.post("/api/orders", json={"card_number": card}, headers=headers)


def steps(orders: ServiceUnderTest) -> list[str]:
    with orders.app.app_context(), reading() as db:
        return [row.step for row in db.execute(select(Order.step).order_by(Order.number))]


def recover(orders: ServiceUnderTest) -> bool:
    """Take a turn of the recovery, as if every lease had run out."""
    with orders.app.app_context():
        with writing() as db:
            db.execute(update(Order).values(lease_until=time.time() - 1))
        return checkout.recover()


def test_a_checkout_prices_reserves_captures_and_then_settles(orders, shop):
    answer = check_out(orders)
    assert (answer.status_code, answer.json["total_cents"]) == (201, 1000)
    assert shop.calls == ["cart", "price", "reserve", "capture", "commit", "checked-out"]
    assert steps(orders) == [Step.SETTLED]


@pytest.mark.parametrize("call", ["cart", "price", "reserve", "capture"])
@pytest.mark.parametrize("document", [{"nobody": "agreed on this"}, [1, None], {"items": [{"sku": 1}]}, None])
def test_an_unexpected_response_confirms_no_order(orders, shop, call, document):
    shop.nonsense[call] = document
    answer = check_out(orders)
    assert (answer.status_code, answer.json["type"]) == (502, "/problems/bad-upstream")
    assert Step.SETTLED not in steps(orders)
    assert Step.PAID not in steps(orders)


def test_a_payment_for_another_order_confirms_no_order(orders, shop):
    shop.nonsense["capture"] = {"order_id": "another", "status": "captured"}
    assert check_out(orders).status_code == 502
    assert shop.calls[-2:] == ["refund", "release"]
    assert steps(orders) == [Step.UNDONE]


def test_a_confirmed_order_is_in_the_feed_with_everything_that_recommendations_needs(orders):
    order = check_out(orders).json
    feed = orders.http.get("/internal/events?after=0", headers=orders.as_service("recommendations")).json
    (event,) = feed["events"]
    assert (event["position"], event["type"]) == (1, "order-confirmed")
    assert event["data"]["order_id"] == order["id"]
    assert event["data"]["items"] == [{"sku": "P00001", "quantity": 2, "category": "tea"}]


def test_the_feed_is_for_recommendations_only(orders):
    assert orders.http.get("/internal/events").status_code == 401
    assert orders.http.get("/internal/events", headers=ADA).status_code == 401
    assert orders.http.get("/internal/events", headers=orders.as_service("stranger")).status_code == 401


def test_after_too_little_stock_a_late_copy_of_the_reservation_is_refused(orders, shop):
    shop.fails["reserve"] = clients.OutOfStock("There is 1 left.", sku="P00001", wanted=2, available=1)
    answer = check_out(orders)
    assert (answer.status_code, answer.json["available"]) == (409, 1)
    assert shop.calls == ["cart", "price", "reserve", "refund", "release"]
    assert steps(orders) == [Step.UNDONE]


def test_a_cart_is_not_sold_a_second_time_while_its_checkout_is_under_way(orders, shop):
    shop.fails["capture"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        check_out(orders)
    shop.fails = {}
    second = check_out(orders, key="key-00000002")
    assert (second.status_code, second.json["type"]) == (409, "/problems/checkout-in-progress")
    recover(orders)
    assert check_out(orders, key="key-00000002").status_code == 201


def test_products_that_the_catalog_no_longer_knows_leave_an_empty_cart(orders, shop):
    shop.cart = [{"sku": "GONE", "quantity": 1}]
    shop.products = []
    assert check_out(orders).json["type"] == "/problems/cart-empty"


def test_a_declined_card_gives_the_stock_back(orders, shop):
    shop.fails["capture"] = clients.PaymentDeclined("The card was declined; try another one.")
    assert check_out(orders).status_code == 402
    assert shop.calls[-2:] == ["refund", "release"]
    assert orders.http.get("/api/orders", headers=ADA).json["total"] == 0


def test_an_uncertain_payment_is_refunded_and_its_order_refused(orders, shop):
    shop.fails["capture"] = requests.ReadTimeout()
    assert check_out(orders).status_code == 504
    assert {"refund", "release"} <= set(shop.calls)
    assert steps(orders) == [Step.UNDONE]


@pytest.mark.parametrize("call", ["reserve", "capture"])
@pytest.mark.parametrize(
    ("failure", "status"), [(requests.ConnectionError(), 503), (requests.ReadTimeout(), 504)]
)
def test_a_failure_that_decides_a_checkout_is_final_and_does_not_ask_to_be_repeated(
    orders, shop, call, failure, status
):
    shop.fails[call] = failure
    first = check_out(orders)
    shop.fails = {}
    again = check_out(orders)
    for answer in (first, again):
        assert (answer.status_code, answer.json["final"]) == (status, True)
        assert "send a new Idempotency-Key" in answer.json["detail"]
        assert "Retry-After" not in answer.headers
    assert again.json == first.json
    assert check_out(orders, key="key-00000002").status_code == 201


@pytest.mark.parametrize("call", ["cart", "price"])
def test_a_failure_before_anything_was_stored_is_not_final(orders, shop, call):
    shop.fails[call] = requests.ConnectionError()
    first = check_out(orders)
    assert (first.status_code, first.headers["Retry-After"]) == (503, "1")
    assert "final" not in first.json
    shop.fails = {}
    assert check_out(orders).status_code == 201


def test_an_undo_that_fails_is_taken_up_later(orders, shop):
    shop.fails = {"capture": clients.PaymentDeclined("No."), "release": requests.ReadTimeout()}
    assert check_out(orders).status_code == 402
    assert steps(orders) == [Step.UNDOING]
    shop.fails = {}
    assert recover(orders)
    assert steps(orders) == [Step.UNDONE]
    assert not recover(orders), "nothing is left to do"


def test_the_stock_is_given_back_although_the_money_cannot_be_yet(orders, shop):
    shop.fails = {"capture": requests.ReadTimeout(), "refund": requests.ReadTimeout()}
    assert check_out(orders).status_code == 504
    assert shop.calls[-1] == "release"
    assert steps(orders) == [Step.UNDOING]


def test_a_confirmed_order_that_could_not_be_settled_is_settled_later(orders, shop):
    shop.fails["commit"] = requests.ReadTimeout()
    assert check_out(orders).status_code == 201
    assert steps(orders) == [Step.PAID]
    shop.fails = {}
    recover(orders)
    assert shop.calls[-2:] == ["commit", "checked-out"]
    assert steps(orders) == [Step.SETTLED]


@pytest.mark.parametrize("crash_at", ["reserve", "capture"])
def test_a_crash_before_the_order_was_confirmed_ends_in_a_refusal_that_the_repeat_learns(
    orders, shop, crash_at
):
    shop.fails[crash_at] = KeyboardInterrupt()  # like a kill: no handler runs, the step stays as it was
    with pytest.raises(KeyboardInterrupt):
        check_out(orders)
    assert steps(orders) == [Step.PRICED]
    shop.fails = {}
    recover(orders)
    assert shop.calls[-2:] == ["refund", "release"]
    repeated = check_out(orders)
    assert (repeated.status_code, repeated.json["type"]) == (503, "/problems/unavailable")
    assert repeated.json["final"] is True
    assert "Retry-After" not in repeated.headers
    assert repeated.headers["Idempotency-Replayed"] == "true"


def test_a_request_that_was_slower_than_the_recovery_does_not_confirm_what_was_refused(orders, shop):
    decide = clients.capture

    def slow_capture(*arguments: Any) -> None:
        decide(*arguments)
        recover(orders)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clients, "capture", slow_capture)
        answer = check_out(orders)
    assert answer.status_code == 503
    assert steps(orders) == [Step.UNDONE]
    with orders.app.app_context(), reading() as db:
        assert db.execute(select(Outbox.position)).all() == []


def test_a_repeat_is_answered_from_the_database_without_any_call(orders, shop):
    first = check_out(orders)
    calls = list(shop.calls)
    again = check_out(orders)
    assert (again.json, again.headers["Idempotency-Replayed"]) == (first.json, "true")
    assert shop.calls == calls


def test_a_repeat_while_the_first_is_under_way_is_told_to_come_back(orders, shop):
    shop.fails["capture"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        check_out(orders)
    headers = {**ADA, "Idempotency-Key": "key-00000001", "X-Deadline-Ms": "400"}
    again = orders.http.post("/api/orders", json={"card_number": "4242424242424242"}, headers=headers)
    assert (again.status_code, again.json["type"]) == (409, "/problems/checkout-in-progress")
    assert again.headers["Retry-After"] == "1"


def test_the_same_key_with_another_card_is_refused(orders):
    check_out(orders)
    assert check_out(orders, card="4000000000000002").json["type"] == "/problems/idempotency-key-reused"


def test_an_empty_cart_is_a_refusal_that_stays(orders, shop):
    shop.cart = []
    assert check_out(orders).json["type"] == "/problems/cart-empty"
    shop.cart = [{"sku": "P00001", "quantity": 1}]
    assert check_out(orders).json["type"] == "/problems/cart-empty"


def test_a_cart_that_cannot_be_read_leaves_the_key_free_for_another_try(orders, shop):
    shop.fails["cart"] = requests.ReadTimeout()
    assert check_out(orders).status_code == 504
    shop.fails = {}
    assert check_out(orders).status_code == 201
