"""The catalog over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microservices.catalog.app import create_app
from microservices.catalog.models import Base
from microservices.catalog.seed import tables
from microservices.seeding import fill
from microservices.tests.one_service import ServiceUnderTest, as_customer, publish_keys

CATEGORIES = [
    {"slug": "tea", "name": "Tea"},
    {"slug": "coffee", "name": "Coffee"},
    {"slug": "void", "name": "Void"},
]
ADMIN = as_customer("C00000", role="admin")


def product(
    number: int, name: str, rank: int, category: str = "tea", description: str = "Plain."
) -> dict[str, Any]:
    return {
        "sku": f"P{number:05d}",
        "name": name,
        "description": description,
        "category": category,
        "price_cents": 100 * number,
        "bestseller_rank": rank,
    }


PRODUCTS = [
    product(1, "Oak Teapot", 3),
    product(2, "Copper Kettle", 1, "coffee", "For 100% arabica."),
    product(3, "Oak Grinder", 2, "coffee", "Ünglazed, with TEA_towel."),
]
SHOWN = [{name: value for name, value in row.items() if name != "bestseller_rank"} for row in PRODUCTS]


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Any]:
    for table, rows in {"categories": CATEGORIES, "products": PRODUCTS}.items():
        (tmp_path / f"{table}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    fill(f"sqlite:///{tmp_path}/test.sqlite3", Base, tables(tmp_path))
    catalog = ServiceUnderTest(create_app, tmp_path, callees={"accounts": publish_keys})
    yield catalog.http
    catalog.close()


def skus(response: Any) -> list[str]:
    return [item["sku"] for item in response.json["items"]]


def test_categories_come_by_name_with_their_numbers_of_products(http: Any) -> None:
    assert http.get("/api/categories").json == {
        "items": [
            {"slug": "coffee", "name": "Coffee", "products": 2},
            {"slug": "tea", "name": "Tea", "products": 1},
            {"slug": "void", "name": "Void", "products": 0},
        ]
    }


def test_products_come_by_rank_and_by_page(http: Any) -> None:
    first = http.get("/api/products?page_size=2")
    assert first.json == {"items": [SHOWN[1], SHOWN[2]], "page": 1, "page_size": 2, "total": 3}
    assert http.get("/api/products?page_size=2&page=2").json["items"] == [SHOWN[0]]
    assert http.get("/api/products?page=9").json == {"items": [], "page": 9, "page_size": 20, "total": 3}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("category=tea", ["P00001"]),
        ("category=unknown", []),
        ("q=oak", ["P00003", "P00001"]),
        ("q=OAK+teapot", ["P00001"]),
        ("q=oak&category=coffee", ["P00003"]),
        ("q=%C3%BCnglazed", ["P00003"]),
        ("q=%25", ["P00002"]),
        ("q=_", ["P00003"]),
        ("q=%20", ["P00002", "P00003", "P00001"]),
        ("q=nothing", []),
    ],
)
def test_search_wants_every_word_and_takes_wildcards_as_they_are(
    http: Any, query: str, found: list[str]
) -> None:
    answer = http.get(f"/api/products?{query}")
    assert skus(answer) == found
    assert answer.json["total"] == len(found)


def test_a_batch_keeps_the_order_asked_and_leaves_out_the_unknown(http: Any) -> None:
    answer = http.get("/api/products?sku=P00003,P99999,P00001,P00003&category=tea&page=7")
    assert answer.json == {"items": [SHOWN[2], SHOWN[0]], "page": 1, "page_size": 3, "total": 2}


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=10001",
        "page_size=101",
        "page_size=x",
        f"q={'x' * 101}",
        "sku=oops",
        "sku=P00001,;",
        "sku=" + ",".join(f"P{number:05d}" for number in range(101)),
    ],
)
def test_invalid_input_is_refused(http: Any, query: str) -> None:
    refused = http.get(f"/api/products?{query}")
    assert (refused.status_code, refused.json["type"]) == (422, "/problems/invalid-request")


def test_one_product(http: Any) -> None:
    assert http.get("/api/products/P00002").json == SHOWN[1]


@pytest.mark.parametrize("sku", ["P99999", "malformed", "p00001", "%25"])
def test_an_unknown_product_is_a_problem_that_names_it(http: Any, sku: str) -> None:
    unknown = http.get(f"/api/products/{sku}")
    assert unknown.status_code == 404
    assert unknown.json["type"] == "/problems/unknown-product"
    assert unknown.json["sku"] == sku.replace("%25", "%")


def test_a_new_price_holds_at_once(http: Any) -> None:
    changed = http.put("/api/products/P00001/price", json={"price_cents": 1}, headers=ADMIN)
    assert changed.json == {**SHOWN[0], "price_cents": 1}
    assert http.get("/api/products/P00001").json["price_cents"] == 1


def test_only_an_admin_sets_a_price(http: Any) -> None:
    asked = {"json": {"price_cents": 1}}
    assert http.put("/api/products/P00001/price", **asked).status_code == 401
    assert http.put("/api/products/P00001/price", headers=as_customer("C1"), **asked).status_code == 403
    assert http.get("/api/products/P00001").json == SHOWN[0]


@pytest.mark.parametrize("price", [0, 10_000_001, "1", 1.5, True, None])
def test_an_invalid_price_is_refused(http: Any, price: Any) -> None:
    refused = http.put("/api/products/P00001/price", json={"price_cents": price}, headers=ADMIN)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json["errors"]] == ["price_cents"]


def test_the_price_of_an_unknown_product_cannot_be_set(http: Any) -> None:
    assert http.put("/api/products/P99999/price", json={"price_cents": 1}, headers=ADMIN).status_code == 404
