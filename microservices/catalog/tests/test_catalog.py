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
from microservices.chassis.config import sqlite_url
from microservices.seeding import fill
from microservices.tests.one_service import ServiceUnderTest, publish_keys

CATEGORIES = [
    {"slug": "tea", "name": "Tea"},
    {"slug": "coffee", "name": "Coffee"},
    {"slug": "void", "name": "Void"},
]


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
    fill(sqlite_url(tmp_path / "test.sqlite3"), Base, tables(tmp_path))
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


@pytest.mark.parametrize("sku", ["P99999", "malformed", "p00001", "%25"])
def test_an_unknown_product_is_a_problem_that_names_it(http: Any, sku: str) -> None:
    unknown = http.get(f"/api/products/{sku}")
    assert unknown.status_code == 404
    assert unknown.json["type"] == "/problems/unknown-product"
    assert unknown.json["sku"] == sku.replace("%25", "%")
