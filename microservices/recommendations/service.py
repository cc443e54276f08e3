"""What goes well with a product, for this customer: the shop's hot component."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from microservices.chassis.database import Reader
from microservices.recommendations.models import CoPurchase, Popularity, Purchase
from microservices.recommendations.ranking import Neighbour, diversify, score, weigh_seeds

HISTORY = 5

BOUGHT = (
    select(Purchase.sku)
    .where(Purchase.customer_id == bindparam("customer_id"))
    .order_by(Purchase.position.desc(), Purchase.sku)
    .limit(HISTORY)
)
KNOWN = select(Popularity.sku, Popularity.category, Popularity.orders).where(
    Popularity.sku.in_(bindparam("skus", expanding=True))
)
NEIGHBOURS = (
    select(CoPurchase.sku, CoPurchase.other, CoPurchase.orders, Popularity.category, Popularity.orders)
    .join(Popularity, Popularity.sku == CoPurchase.other)
    .where(CoPurchase.sku.in_(bindparam("skus", expanding=True)))
    .order_by(CoPurchase.sku, CoPurchase.other)
)
TOGETHER = select(CoPurchase.sku, CoPurchase.other, CoPurchase.orders).where(
    CoPurchase.sku.in_(bindparam("skus", expanding=True)),
    CoPurchase.other.in_(bindparam("others", expanding=True)),
)
POPULAR = select(Popularity.sku).order_by(Popularity.orders.desc(), Popularity.sku).limit(bindparam("number"))


def suggest(db: Reader, sku: str, cart: Sequence[str], customer_id: str | None, limit: int) -> dict[str, Any]:
    """Up to `limit` products that go well with `sku`, given what is in the cart and was bought before.

    A product that was never sold, and too short a list, are filled up with what is popular (score 0).
    """
    seeds = weigh_seeds(sku, cart, _history(db, customer_id))
    known = {sku: (category, orders) for sku, category, orders in db.execute(KNOWN, {"skus": list(seeds)})}
    neighbours = [Neighbour(*row) for row in db.execute(NEIGHBOURS, {"skus": list(known)})]
    candidates = score(seeds, known, neighbours)
    picked = diversify(candidates, _together(db, [candidate.sku for candidate in candidates]), limit)
    items = [{"sku": candidate.sku, "score": round(candidate.score, 6)} for candidate in picked]
    if len(items) < limit:
        shown = {*seeds, *(candidate.sku for candidate in picked)}
        items += [{"sku": popular, "score": 0.0} for popular in _popular(db, shown, limit - len(items))]
    return {"sku": sku, "items": items}


def _history(db: Reader, customer_id: str | None) -> list[str]:
    if customer_id is None:
        return []
    return [sku for (sku,) in db.execute(BOUGHT, {"customer_id": customer_id})]


def _together(db: Reader, skus: list[str]) -> dict[tuple[str, str], int]:
    rows = db.execute(TOGETHER, {"skus": skus, "others": skus})
    return {(sku, other): orders for sku, other, orders in rows}


def _popular(db: Reader, but_not: Collection[str], number: int) -> list[str]:
    best = db.execute(POPULAR, {"number": number + len(but_not)})
    return [sku for (sku,) in best if sku not in but_not][:number]
