"""The cart service by itself, with a stand-in for the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from microservices.cart.app import create_app
from microservices.tests.one_service import ServiceUnderTest, as_customer, publish_keys

ADA = as_customer("C00001")


def catalog(_method: str, path: str, _body: Any) -> tuple[int, Any]:
    skus = parse_qs(urlsplit(path).query)["sku"][0].split(",")
    return 200, {
        "items": [{"sku": s, "name": f"Thing {s}", "price_cents": 250} for s in skus if s.startswith("P")]
    }


def away(_method: str, _path: str, _body: Any) -> tuple[int, Any]:
    raise requests.ReadTimeout


@pytest.fixture
def cart(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    service = ServiceUnderTest(
        create_app, tmp_path, callees={"accounts": publish_keys, "catalog": catalog}, callers=["orders"]
    )
    yield service
    service.close()


def put(cart: ServiceUnderTest, sku: str, quantity: Any) -> Any:
    return cart.http.put(f"/api/cart/items/{sku}", json={"quantity": quantity}, headers=ADA)


def test_a_cart_shows_todays_names_and_prices(cart):
    put(cart, "P00002", 1)
    assert put(cart, "P00001", 2).json == {
        "items": [
            {
                "sku": "P00001",
                "name": "Thing P00001",
                "unit_price_cents": 250,
                "quantity": 2,
                "line_total_cents": 500,
            },
            {
                "sku": "P00002",
                "name": "Thing P00002",
                "unit_price_cents": 250,
                "quantity": 1,
                "line_total_cents": 250,
            },
        ],
        "total_cents": 750,
    }


def test_the_catalog_is_asked_once_however_full_the_cart_is(cart):
    for number in range(10):
        put(cart, f"P{number:05d}", 1)
    asked = cart.stand_ins["catalog"].asked
    asked.clear()
    cart.http.get("/api/cart", headers=ADA)
    assert len(asked) == 1


@pytest.mark.parametrize("sku", ["X00001", "nonsense", "P,P00001"])
def test_what_the_catalog_does_not_know_cannot_be_put_in(cart, sku):
    assert put(cart, sku, 1).json["type"] == "/problems/unknown-product"


def test_orders_learns_the_lines_and_takes_out_those_that_are_still_the_same(cart):
    put(cart, "P00001", 1)
    put(cart, "P00002", 1)
    orders = cart.as_service("orders")
    lines = cart.http.get("/internal/carts/C00001", headers=orders).json
    put(cart, "P00002", 5)
    cart.http.post("/internal/carts/C00001/checked-out", json=lines, headers=orders)
    assert [item["sku"] for item in cart.http.get("/api/cart", headers=ADA).json["items"]] == ["P00002"]


def test_the_internal_routes_are_for_orders_only(cart):
    for headers in ({}, ADA, cart.as_service("stranger")):
        assert cart.http.get("/internal/carts/C00001", headers=headers).status_code == 401


def test_a_catalog_that_is_slow_makes_the_cart_say_so(tmp_path):
    service = ServiceUnderTest(create_app, tmp_path, callees={"accounts": publish_keys, "catalog": away})
    assert put(service, "P00001", 1).status_code == 504
    assert service.http.get("/api/cart", headers=ADA).json["items"] == [], "an empty cart needs no catalog"
    service.close()
