"""What goes well with a product, and how the shop learns it."""

from __future__ import annotations

from monolith import recommendations
from monolith.recommendations.ranking import Candidate, Neighbour, diversify, score, weigh_seeds


def skus(answer):
    return [item["sku"] for item in answer.json["items"]]


def test_products_bought_together_are_recommended_once_the_shop_has_caught_up(ada, client, database):
    for turn in range(6):
        for sku in ("P00011", "P00023"):
            ada.put(f"/api/cart/items/{sku}", {"quantity": 1})
        ada.check_out(key=f"key-{turn:08d}")
    assert recommendations.catch_up(database) == 6
    assert "P00023" in skus(client.get("/api/products/P00011/recommendations"))


def test_each_order_is_learnt_once(ada, database):
    ada.put("/api/cart/items/P00011", {"quantity": 1})
    ada.check_out()
    assert [recommendations.catch_up(database) for _ in range(2)] == [1, 0]


def test_a_product_that_was_never_sold_is_answered_with_what_is_popular(client):
    answer = client.get("/api/products/X-NEVER-SOLD/recommendations?limit=5")
    assert len(answer.json["items"]) == 5
    assert {item["score"] for item in answer.json["items"]} == {0.0}


def test_the_largest_weight_of_a_seed_counts():
    seeds = weigh_seeds("A", cart=["A", "B"], history=["A", "B", "C"])
    assert seeds == {"A": 1.0, "B": 0.5, "C": 0.25}


def test_what_everybody_buys_is_damped():
    neighbours = [Neighbour("A", "RARE", 5, "x", 10), Neighbour("A", "COMMON", 5, "x", 1000)]
    ranked = score({"A": 1.0}, {"A": ("y", 10)}, neighbours)
    assert [candidate.sku for candidate in ranked] == ["RARE", "COMMON"]
    assert ranked[0].score == 0.5


def test_a_shared_category_lifts_a_candidate():
    neighbours = [Neighbour("A", "OTHER", 5, "x", 10), Neighbour("A", "SAME", 5, "y", 10)]
    ranked = score({"A": 1.0}, {"A": ("y", 10)}, neighbours)
    assert [candidate.sku for candidate in ranked] == ["SAME", "OTHER"]


def test_the_second_pick_is_unlike_the_first_when_relevance_is_close():
    first, twin, other = Candidate("A", "x", 4, 1.0), Candidate("B", "x", 4, 0.9), Candidate("C", "y", 4, 0.8)
    picked = diversify([first, twin, other], {("A", "B"): 4}, limit=2)
    assert [candidate.sku for candidate in picked] == ["A", "C"]
