"""The recommendations service by itself, with a stand-in for the orders' feed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from microservices.chassis.runtime import runtime
from microservices.recommendations.app import create_app
from microservices.tests.one_service import ServiceUnderTest, as_customer, publish_keys


class Feed:
    """The orders' feed, which may deliver an event twice."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.forgets_where_we_are = False

    def order(self, customer_id: str, *skus: str) -> None:
        number = len(self.events) + 1
        items = [{"sku": sku, "quantity": 1, "category": "tea"} for sku in skus]
        data = {"order_id": f"O{number}", "number": number, "customer_id": customer_id, "items": items}
        self.events.append({"position": number, "type": "order-confirmed", "data": data})

    def __call__(self, _method: str, path: str, _body: Any) -> tuple[int, Any]:
        after = int(parse_qs(urlsplit(path).query)["after"][0])
        if self.forgets_where_we_are:
            return 200, {"events": [*reversed(self.events), *self.events]}
        return 200, {"events": [event for event in self.events if event["position"] > after]}


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def recommendations(feed: Feed, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    service = ServiceUnderTest(create_app, tmp_path, callees={"accounts": publish_keys, "orders": feed})
    yield service
    service.close()


def catch_up(service: ServiceUnderTest) -> None:
    (loop,) = runtime(service.app).loops
    loop.turn()


def suggestions(service: ServiceUnderTest, sku: str, **headers: str) -> list[dict[str, Any]]:
    answer = service.http.get(f"/api/products/{sku}/recommendations", headers=headers)
    items: list[dict[str, Any]] = answer.get_json()["items"]
    return items


def test_what_was_bought_together_is_suggested(recommendations, feed):
    for _ in range(3):
        feed.order("C1", "POT", "CUP")
    feed.order("C2", "POT", "SIEVE")
    catch_up(recommendations)
    assert [item["sku"] for item in suggestions(recommendations, "POT")] == ["CUP", "SIEVE"]


def test_an_event_counts_once_although_it_is_delivered_again_and_out_of_order(recommendations, feed):
    feed.order("C1", "POT", "CUP")
    feed.order("C1", "POT")
    catch_up(recommendations)
    before = suggestions(recommendations, "POT")
    feed.forgets_where_we_are = True
    for _ in range(3):
        catch_up(recommendations)
    assert suggestions(recommendations, "POT") == before


def test_events_of_another_kind_are_passed_over(recommendations, feed):
    feed.events = [{"position": 1, "type": "order-returned", "data": {}}]
    feed.order("C1", "POT", "CUP")
    catch_up(recommendations)
    assert [item["sku"] for item in suggestions(recommendations, "POT")] == ["CUP"]


def test_what_a_customer_bought_changes_what_they_are_shown(recommendations, feed):
    for sku in ("CUP", "SIEVE", "TRAY"):
        feed.order("C9", "POT", sku)
    feed.order("C8", "BOOK", "LAMP", "TRAY")
    feed.order("C1", "BOOK", "LAMP")
    catch_up(recommendations)
    anybody = [item["sku"] for item in suggestions(recommendations, "POT")]
    reader = [item["sku"] for item in suggestions(recommendations, "POT", **as_customer("C1"))]
    assert anybody[0] == "CUP"
    assert reader[0] == "TRAY"


def test_a_shop_without_orders_suggests_nothing_and_does_not_fail(recommendations):
    assert suggestions(recommendations, "POT") == []
