"""What goes well with a product, for this customer: the shop's hot component."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from monolith.recommendations.models import CoPurchase, Popularity, Purchase
from monolith.recommendations.ranking import Neighbour, diversify, score, weigh_seeds

HISTORY = 5


def suggest(
    db: Session, sku: str, cart: Sequence[str], customer_id: str | None, limit: int
) -> dict[str, Any]:
    """Up to `limit` products that go well with `sku`, given what is in the cart and was bought before.

    A product that was never sold, and too short a list, are filled up with what is popular (score 0).
    """
    seeds = weigh_seeds(sku, cart, _history(db, customer_id))
    known = _known(db, seeds)
    candidates = score(seeds, known, _neighbours(db, known))
    picked = diversify(candidates, _together(db, [c.sku for c in candidates]), limit)
    items = [{"sku": candidate.sku, "score": round(candidate.score, 6)} for candidate in picked]
    if len(items) < limit:
        shown = {*seeds, *(candidate.sku for candidate in picked)}
        items += [{"sku": popular, "score": 0.0} for popular in _popular(db, shown, limit - len(items))]
    return {"sku": sku, "items": items}


def _history(db: Session, customer_id: str | None) -> Sequence[str]:
    if customer_id is None:
        return []
    bought = select(Purchase.sku).where(Purchase.customer_id == customer_id)
    return db.scalars(bought.order_by(Purchase.position.desc(), Purchase.sku).limit(HISTORY)).all()


def _known(db: Session, skus: Collection[str]) -> dict[str, tuple[str, int]]:
    rows = db.execute(
        select(Popularity.sku, Popularity.category, Popularity.orders).where(Popularity.sku.in_(skus))
    )
    return {sku: (category, orders) for sku, category, orders in rows}


def _neighbours(db: Session, seeds: Collection[str]) -> list[Neighbour]:
    rows = db.execute(
        select(CoPurchase.sku, CoPurchase.other, CoPurchase.orders, Popularity.category, Popularity.orders)
        .join(Popularity, Popularity.sku == CoPurchase.other)
        .where(CoPurchase.sku.in_(seeds))
        .order_by(CoPurchase.sku, CoPurchase.other)
    )
    return [Neighbour(*row) for row in rows]


def _together(db: Session, skus: Collection[str]) -> dict[tuple[str, str], int]:
    rows = db.execute(
        select(CoPurchase.sku, CoPurchase.other, CoPurchase.orders).where(
            CoPurchase.sku.in_(skus), CoPurchase.other.in_(skus)
        )
    )
    return {(sku, other): orders for sku, other, orders in rows}


def _popular(db: Session, but_not: Collection[str], number: int) -> Sequence[str]:
    best = select(Popularity.sku).order_by(Popularity.orders.desc(), Popularity.sku)
    return [sku for sku in db.scalars(best.limit(number + len(but_not))) if sku not in but_not][:number]
