"""What goes well with a product, for this customer: the shop's own `service.py`, with columns instead of rows."""  # noqa: INP001 -- a file that takes the place of one in the shop

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, String, bindparam, cast, func, select

from .models import CoPurchase, Popularity, Purchase
from .ranking import Candidates, Neighbours, Numbers, diversify, score, weigh_seeds

HISTORY = 5
COMMA = ","  # in no SKU and in no category

BOUGHT = (
    select(Purchase.sku)
    .where(Purchase.customer_id == bindparam("customer_id"))
    .order_by(Purchase.position.desc(), Purchase.sku)
    .limit(HISTORY)
)
KNOWN = select(Popularity.sku, Popularity.category, Popularity.orders).where(
    Popularity.sku.in_(bindparam("skus", expanding=True))
)
# One row for each seed, with a text of numbers that NumPy reads as a whole.
NEIGHBOURS = (
    select(
        CoPurchase.sku,
        func.aggregate_strings(cast(CoPurchase.orders, String), COMMA),
        func.aggregate_strings(cast(Popularity.orders, String), COMMA),
        func.aggregate_strings(CoPurchase.other, COMMA),
        func.aggregate_strings(Popularity.category, COMMA),
    )
    .join(Popularity, Popularity.sku == CoPurchase.other)
    .where(CoPurchase.sku.in_(bindparam("skus", expanding=True)))
    .group_by(CoPurchase.sku)
    .order_by(CoPurchase.sku)
)
TOGETHER = (
    select(
        CoPurchase.sku,
        func.aggregate_strings(cast(CoPurchase.orders, String), COMMA),
        func.aggregate_strings(CoPurchase.other, COMMA),
    )
    .where(
        CoPurchase.sku.in_(bindparam("skus", expanding=True)),
        CoPurchase.other.in_(bindparam("others", expanding=True)),
    )
    .group_by(CoPurchase.sku)
)
POPULAR = select(Popularity.sku).order_by(Popularity.orders.desc(), Popularity.sku).limit(bindparam("number"))


def suggest(
    db: Connection, sku: str, cart: Sequence[str], customer_id: str | None, limit: int
) -> dict[str, Any]:
    """Up to `limit` products that go well with `sku`, given what is in the cart and was bought before.

    Popular products (score 0) fill up a list that is too short, as for a product that was never sold.
    """
    seeds = weigh_seeds(sku, cart, _history(db, customer_id))
    known = {sku: (category, orders) for sku, category, orders in db.execute(KNOWN, {"skus": list(seeds)})}
    found = score(seeds, known, _neighbours(db, seeds, known))
    picked = diversify(found, _together(db, found), limit)
    items = [{"sku": found.skus[place], "score": round(float(found.scores[place]), 6)} for place in picked]
    if len(items) < limit:
        shown = {*seeds, *(found.skus[place] for place in picked)}
        items += [{"sku": popular, "score": 0.0} for popular in _popular(db, shown, limit - len(items))]
    return {"sku": sku, "items": items}


def _history(db: Connection, customer_id: str | None) -> list[str]:
    if customer_id is None:
        return []
    return [sku for (sku,) in db.execute(BOUGHT, {"customer_id": customer_id})]


def _neighbours(
    db: Connection, seeds: Mapping[str, float], known: Mapping[str, tuple[str, int]]
) -> Neighbours:
    skus: list[str] = []
    categories: list[str] = []
    together, orders, weight, seed_orders = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for seed, both, alone, others, kinds in db.execute(NEIGHBOURS, {"skus": list(known)}):
        together.append(_numbers(both))
        orders.append(_numbers(alone))
        skus += others.split(COMMA)
        categories += kinds.split(COMMA)
        weight.append(np.full(len(together[-1]), seeds[seed]))
        seed_orders.append(np.full(len(together[-1]), float(known[seed][1])))
    columns = (np.concatenate(column) for column in (together, orders, weight, seed_orders))
    return Neighbours(skus, categories, *columns)


def _together(db: Connection, found: Candidates) -> Numbers:
    places = {sku: place for place, sku in enumerate(found.skus)}
    together = np.zeros((len(places), len(places)))
    for sku, counts, others in db.execute(TOGETHER, {"skus": found.skus, "others": found.skus}):
        together[places[sku], [places[other] for other in others.split(COMMA)]] = _numbers(counts)
    return together


def _numbers(text: str) -> Numbers:
    return np.fromstring(text, sep=COMMA)


def _popular(db: Connection, but_not: Collection[str], number: int) -> list[str]:
    best = db.execute(POPULAR, {"number": number + len(but_not)})
    return [sku for (sku,) in best if sku not in but_not][:number]
