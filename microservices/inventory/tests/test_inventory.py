"""The inventory over HTTP: the public part, and reservations as orders sees them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from microservices.chassis.config import sqlite_url
from microservices.chassis.runtime import runtime
from microservices.inventory.app import create_app
from microservices.inventory.models import Base, Stock
from microservices.inventory.seed import tables
from microservices.seeding import fill
from microservices.tests.one_service import ServiceUnderTest, as_customer, publish_keys

STOCK: list[Any] = [{"sku": "P00001", "available": 10}, {"sku": "P00002", "available": 1}]
ORDERS: list[Any] = [
    {"items": [{"sku": "P00001", "quantity": 3}]},
    {"items": [{"sku": "P00001", "quantity": 2}]},
]
ADMIN = as_customer("C00000", role="admin")


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    for table, rows in {"stock": STOCK, "orders": ORDERS}.items():
        (tmp_path / f"{table}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    fill(sqlite_url(tmp_path / "test.sqlite3"), Base, tables(tmp_path))
    inventory = ServiceUnderTest(
        create_app, tmp_path, callees={"accounts": publish_keys}, callers=["orders", "storefront"]
    )
    yield inventory
    adds_up(inventory)
    inventory.close()


@pytest.fixture
def http(inventory: ServiceUnderTest) -> Any:
    return inventory.http


@pytest.fixture
def orders(inventory: ServiceUnderTest) -> dict[str, str]:
    return inventory.as_service("orders")


def adds_up(inventory: ServiceUnderTest) -> None:
    with runtime(inventory.app).database.reading() as db:
        for row in db.execute(select(Stock.received, Stock.available, Stock.reserved, Stock.sold)):
            assert row.received == row.available + row.reserved + row.sold
            assert min(row) >= 0


def stock(inventory: ServiceUnderTest, sku: str = "P00001") -> tuple[int, int, int]:
    with runtime(inventory.app).database.reading() as db:
        columns = select(Stock.available, Stock.reserved, Stock.sold).where(Stock.sku == sku)
        available, reserved, sold = db.execute(columns).one()
        return available, reserved, sold


def reserve(http: Any, orders: dict[str, str], order_id: str = "o-1", **wanted: int) -> Any:
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in (wanted or {"P00001": 4}).items()]
    return http.post("/internal/reservations", json={"order_id": order_id, "items": items}, headers=orders)


def decide(http: Any, orders: dict[str, str], verb: str, order_id: str = "o-1") -> Any:
    return http.post(f"/internal/reservations/{order_id}/{verb}", headers=orders)


def slug(response: Any) -> str:
    return str(response.json["type"]).removeprefix("/problems/")


def test_the_seed_counts_past_orders_as_sold(inventory: ServiceUnderTest) -> None:
    assert stock(inventory) == (10, 0, 5)
    assert stock(inventory, "P00002") == (1, 0, 0)


def test_setting_a_number_leaves_what_is_reserved(
    inventory: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    reserve(http, orders)
    http.put("/api/inventory/P00001", json={"available": 0}, headers=ADMIN)
    assert stock(inventory) == (0, 4, 5)


def test_what_is_reserved_cannot_be_bought_by_others(
    inventory: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    done = reserve(http, orders)
    assert (done.status_code, done.json) == (201, {"order_id": "o-1", "status": "reserved"})
    assert stock(inventory) == (6, 4, 5)
    assert http.get("/api/inventory/P00001").json["available"] == 6


def test_a_reservation_takes_all_lines_or_none(
    inventory: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    refused = reserve(http, orders, P00001=1, P00002=2)
    assert (refused.status_code, slug(refused)) == (409, "out-of-stock")
    assert {name: refused.json[name] for name in ("sku", "wanted", "available")} == {
        "sku": "P00002",
        "wanted": 2,
        "available": 1,
    }
    assert stock(inventory) == (10, 0, 5)
    assert reserve(http, orders, P00001=1).status_code == 201  # the refusal did not use up the order's id


def test_an_unknown_product_cannot_be_reserved(http: Any, orders: dict[str, str]) -> None:
    refused = reserve(http, orders, P00001=1, P99999=1)
    assert (refused.status_code, slug(refused)) == (404, "unknown-product")


def test_lines_of_the_same_product_are_added_up(
    inventory: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    items = [{"sku": "P00001", "quantity": 2}, {"sku": "P00001", "quantity": 3}]
    http.post("/internal/reservations", json={"order_id": "o-1", "items": items}, headers=orders)
    assert stock(inventory) == (5, 5, 5)


@pytest.mark.parametrize(("verb", "end"), [("commit", (6, 0, 9)), ("release", (10, 0, 5))])
def test_every_verb_may_be_repeated(
    inventory: ServiceUnderTest,
    http: Any,
    orders: dict[str, str],
    verb: str,
    end: tuple[int, int, int],
) -> None:
    for _ in range(3):
        assert reserve(http, orders).json["status"] == "reserved"
    assert stock(inventory) == (6, 4, 5)
    answers = [decide(http, orders, verb).json for _ in range(3)]
    assert (
        answers == [{"order_id": "o-1", "status": {"commit": "committed", "release": "released"}[verb]}] * 3
    )
    assert stock(inventory) == end


def test_a_release_before_its_reservation_is_remembered(
    inventory: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    assert decide(http, orders, "release").json == {"order_id": "o-1", "status": "released"}
    late = reserve(http, orders)
    assert (late.status_code, slug(late), late.json["state"]) == (409, "reservation-closed", "released")
    assert stock(inventory) == (10, 0, 5)


def test_the_first_decision_holds(http: Any, orders: dict[str, str]) -> None:
    for order_id, first, second in (("o-1", "commit", "release"), ("o-2", "release", "commit")):
        reserve(http, orders, order_id)
        assert decide(http, orders, first, order_id).status_code == 200
        refused = decide(http, orders, second, order_id)
        assert (refused.status_code, slug(refused)) == (409, "reservation-closed")


def test_what_was_never_reserved_cannot_be_sold(http: Any, orders: dict[str, str]) -> None:
    refused = decide(http, orders, "commit")
    assert (refused.status_code, slug(refused)) == (404, "unknown-reservation")


def test_no_stock_is_lost_in_any_order_of_messages(
    inventory: ServiceUnderTest, http: Any, orders: dict[str, str]
) -> None:
    scripts = set(permutations(("reserve", "commit", "release"))) | set(
        product(("reserve", "release"), repeat=3)
    )
    for number, script in enumerate(sorted(scripts)):
        for verb in script:
            if verb == "reserve":
                reserve(http, orders, f"o-{number}", P00001=1)
            else:
                decide(http, orders, verb, f"o-{number}")
        adds_up(inventory)


def test_the_last_piece_is_reserved_once(inventory: ServiceUnderTest, orders: dict[str, str]) -> None:
    answers: list[int] = []
    start = threading.Barrier(12)

    def buy(number: int) -> None:
        start.wait(10)
        answers.append(reserve(inventory.http, orders, f"o-{number}", P00002=1).status_code)

    threads = [threading.Thread(target=buy, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [201] + [409] * 11
    assert stock(inventory, "P00002") == (0, 1, 0)


@pytest.mark.parametrize("path", ["", "/o-1/commit", "/o-1/release"])
def test_reservations_are_for_orders_only(http: Any, inventory: ServiceUnderTest, path: str) -> None:
    assert http.post(f"/internal/reservations{path}").status_code == 401
    assert http.post(f"/internal/reservations{path}", headers=ADMIN).status_code == 401
    other = inventory.as_service("storefront")
    assert http.post(f"/internal/reservations{path}", headers=other).status_code == 403


@pytest.mark.parametrize(
    "order",
    [
        {"order_id": "o-1", "items": []},
        {"order_id": "", "items": [{"sku": "P00001", "quantity": 1}]},
        {"order_id": "o-1", "items": [{"sku": "P00001", "quantity": 0}]},
        {"order_id": "o-1", "items": [{"sku": "oops", "quantity": 1}]},
        {"order_id": "o-1", "items": [{"sku": "P00001", "quantity": 1, "price": 1}]},
    ],
)
def test_an_invalid_order_is_refused(http: Any, orders: dict[str, str], order: Any) -> None:
    assert http.post("/internal/reservations", json=order, headers=orders).status_code == 422
