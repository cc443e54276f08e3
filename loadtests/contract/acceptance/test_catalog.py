"""The catalogue: categories, pages, search, batches, single products and their prices."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import Customer, Visitor


def listed(visitor: Visitor, **query: Any) -> dict[str, Any]:
    answer = visitor.get("/api/products", params=query)
    assert answer.status_code == 200
    return dict(answer.json())


def skus(envelope: dict[str, Any]) -> list[str]:
    return [item["sku"] for item in envelope["items"]]


def test_categories_are_sorted_by_name_and_count_all_products(visitor: Visitor) -> None:
    categories = visitor.get("/api/categories").json()["items"]
    names = [category["name"] for category in categories]
    assert names == sorted(names)
    assert sum(category["products"] for category in categories) == listed(visitor)["total"]


def test_products_come_in_pages_of_twenty(visitor: Visitor) -> None:
    first = listed(visitor)
    assert (first["page"], first["page_size"], len(first["items"])) == (1, 20, 20)


def test_small_pages_show_the_same_products_as_a_large_one(visitor: Visitor) -> None:
    large = skus(listed(visitor, page_size=30))
    small = [sku for page in (1, 2, 3) for sku in skus(listed(visitor, page_size=10, page=page))]
    assert small == large
    assert len(set(large)) == 30


def test_a_page_after_the_last_is_empty(visitor: Visitor) -> None:
    beyond = listed(visitor, page=10_000, page_size=100)
    assert beyond["items"] == []
    assert beyond["total"] == listed(visitor)["total"]


def test_a_category_shows_its_products_and_no_others(visitor: Visitor) -> None:
    category = visitor.get("/api/categories").json()["items"][0]
    shown = listed(visitor, category=category["slug"], page_size=100)
    assert shown["total"] == category["products"]
    assert {item["category"] for item in shown["items"]} == {category["slug"]}


@pytest.mark.parametrize("category", ["no-such-category", "' OR '1'='1", "%", "🛒"])
def test_an_unknown_category_is_empty(visitor: Visitor, category: str) -> None:
    assert listed(visitor, category=category)["total"] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("page", value) for value in ("0", "-1", "10001", "one", "1.5", "9" * 400, "٣", "1;2", "0x1")],
        *[("page_size", value) for value in ("0", "-5", "101", "many", "2e1", "True")],
        ("q", "q" * 101),
        ("q", "nul\x00"),
    ],
)
def test_an_invalid_parameter_is_refused_by_name(visitor: Visitor, name: str, value: str) -> None:
    answer = visitor.get("/api/products", params={name: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == name


def test_a_search_finds_what_has_all_the_words_in_any_case(visitor: Visitor) -> None:
    product = listed(visitor)["items"][7]
    words = [product["name"].split()[0].upper(), product["description"].split()[-1].strip(".").lower()]
    found = listed(visitor, q="  ".join(words), page_size=100)
    texts = [(item["name"] + " " + item["description"]).lower() for item in found["items"]]
    assert found["total"] > 0
    assert all(word.lower() in text for word in words for text in texts)


def test_a_search_can_be_limited_to_a_category(visitor: Visitor) -> None:
    product = listed(visitor)["items"][3]
    found = listed(visitor, q=product["name"], category=product["category"], page_size=100)
    assert product["sku"] in skus(found)
    assert {item["category"] for item in found["items"]} == {product["category"]}


@pytest.mark.parametrize("q", ["", " ", "   "])
def test_a_blank_search_does_not_filter(visitor: Visitor, q: str) -> None:
    assert listed(visitor, q=q)["total"] == listed(visitor)["total"]


@pytest.mark.parametrize(
    "q", ["%%%%", "____", "_%_", "\\", "' OR '1'='1' --", "'; DROP TABLE products; --", "*", "🛒", "q" * 100]
)
def test_special_characters_have_no_meaning_in_a_search(visitor: Visitor, q: str) -> None:
    found = listed(visitor, q=q, page_size=100)
    texts = [(item["name"] + " " + item["description"]).lower() for item in found["items"]]
    assert all(word in text for word in q.lower().split() for text in texts)
    assert found["total"] < listed(visitor)["total"]


def test_a_batch_is_in_the_requested_order_without_duplicates_and_unknown_skus(visitor: Visitor) -> None:
    first, second, third = skus(listed(visitor, page_size=3))
    batch = listed(visitor, sku=f"{third},{first},NO-SUCH-SKU,{third},{second}")
    assert skus(batch) == [third, first, second]
    assert (batch["page"], batch["page_size"], batch["total"]) == (1, 4, 3)


def test_a_batch_ignores_the_other_filters(visitor: Visitor) -> None:
    sku = skus(listed(visitor))[0]
    batch = listed(visitor, sku=sku, category="no-such-category", q="nothing", page="7", page_size="3")
    assert (skus(batch), batch["page"], batch["page_size"]) == ([sku], 1, 1)


@pytest.mark.parametrize(("name", "value"), [("page", "0"), ("page_size", "many"), ("q", "q" * 101)])
def test_a_batch_still_checks_its_other_parameters(visitor: Visitor, name: str, value: str) -> None:
    answer = visitor.get("/api/products", params={"sku": "P00001", name: value})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [name]


@pytest.mark.parametrize("sku", ["", ",", ",,"])
def test_an_empty_batch_is_an_ordinary_list(visitor: Visitor, sku: str) -> None:
    assert listed(visitor, sku=sku) == listed(visitor)


@pytest.mark.parametrize("last", ["NONE-100", "NONE-0"], ids=["another", "one of them again"])
def test_a_batch_has_at_most_a_hundred_products(visitor: Visitor, last: str) -> None:
    hundred = [f"NONE-{number}" for number in range(100)]
    assert listed(visitor, sku=",".join(hundred))["total"] == 0
    answer = visitor.get("/api/products", params={"sku": ",".join([*hundred, last])})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "sku"


def test_a_product_equals_its_entry_in_the_list(visitor: Visitor) -> None:
    item = listed(visitor)["items"][5]
    answer = visitor.get(f"/api/products/{item['sku']}")
    assert answer.status_code == 200
    assert answer.json() == item


@pytest.mark.parametrize("sku", ["p00001", "P", "P" * 21, "-P0001", "P00001'--", "P00001%20", "Ü1", "..."])
@pytest.mark.parametrize(
    "path", ["/api/products/{}", "/api/inventory/{}", "/api/products/{}/recommendations"]
)
def test_a_malformed_sku_answers_404(visitor: Visitor, path: str, sku: str) -> None:
    answer = visitor.get(path.format(sku))
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/unknown-product"


@pytest.mark.parametrize("path", ["/api/products/NO-SUCH-SKU", "/api/inventory/NO-SUCH-SKU"])
def test_an_unknown_product_answers_404_and_is_named(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/unknown-product"
    assert answer.json()["sku"] == "NO-SUCH-SKU"


def test_the_admin_sets_a_price_and_everybody_sees_it(
    visitor: Visitor, admin: Customer, shelf: Shelf, product: dict[str, Any]
) -> None:
    shelf.price(product["sku"], product["price_cents"])
    answer = admin.put(f"/api/products/{product['sku']}/price", {"price_cents": 10_000_000})
    assert answer.json() == product | {"price_cents": 10_000_000}
    assert visitor.get(f"/api/products/{product['sku']}").json() == answer.json()


@pytest.mark.parametrize("price", [0, -1, 10_000_001, 10**30, "100", 1.5, 1.0, True, None, [100]])
def test_an_invalid_price_is_refused_and_changes_nothing(
    visitor: Visitor, admin: Customer, some_sku: str, price: Any
) -> None:
    before = visitor.get(f"/api/products/{some_sku}").json()
    answer = admin.put(f"/api/products/{some_sku}/price", {"price_cents": price})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "price_cents"
    assert visitor.get(f"/api/products/{some_sku}").json() == before


def test_the_price_of_an_unknown_product_answers_404(admin: Customer) -> None:
    answer = admin.put("/api/products/NO-SUCH-SKU/price", {"price_cents": 100})
    assert answer.status_code == 404
    assert answer.json()["sku"] == "NO-SUCH-SKU"
