"""What goes well with a product, for this customer: the shop's hot component."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, String, bindparam, cast, func, select

from .models import CoPurchase, Popularity, Purchase
from .ranking import Neighbour, diversify, score, weigh_seeds

HISTORY = 5
SPACE, COMMA = " ", ","  # separators: in no SKU and in no category

# Built once: built per request, these cost 0.5 ms of CPU more for each list.
BOUGHT = (
    select(Purchase.sku)
    .where(Purchase.customer_id == bindparam("customer_id"))
    .order_by(Purchase.position)
    .limit(HISTORY)
)
KNOWN = select(Popularity.sku, Popularity.category, Popularity.orders).where(
    Popularity.sku.in_(bindparam("skus", expanding=True))
)
# One row for each seed instead of one for each neighbour: the driver gives the interpreter to another thread at every
# row, and with hundreds of rows four threads together took 2.5 times the CPU of one.
NEIGHBOURS = (
    select(
        CoPurchase.sku,
        func.aggregate_strings(
            cast(CoPurchase.orders, String)
            + SPACE
            + cast(Popularity.orders, String)
            + SPACE
            + CoPurchase.other
            + SPACE
            + Popularity.category,
            COMMA,
        ),
    )
    .join(Popularity, Popularity.sku == CoPurchase.other)
    # Most pairs were bought together only once, by chance. Without these rows the query is twice as fast.
    .where(CoPurchase.sku.in_(bindparam("skus", expanding=True)), CoPurchase.orders > 1)
    .group_by(CoPurchase.sku)
    .order_by(CoPurchase.sku)
)
TOGETHER = (
    select(
        CoPurchase.sku,
        func.aggregate_strings(cast(CoPurchase.orders, String) + SPACE + CoPurchase.other, COMMA),
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
    candidates = score(seeds, known, _neighbours(db, list(known)))
    picked = diversify(candidates, _together(db, [candidate.sku for candidate in candidates]), limit)
    items = [{"sku": candidate.sku, "score": round(candidate.score, 6)} for candidate in picked]
    if len(items) < limit:
        shown = {*seeds, *(candidate.sku for candidate in picked)}
        items += [{"sku": popular, "score": 0.0} for popular in _popular(db, shown, limit - len(items))]
    return {"sku": sku, "items": items}


def _history(db: Connection, customer_id: str | None) -> list[str]:
    if customer_id is None:
        return []
    return [sku for (sku,) in db.execute(BOUGHT, {"customer_id": customer_id})]


def _neighbours(db: Connection, seeds: list[str]) -> Iterator[Neighbour]:
    for seed, packed in db.execute(NEIGHBOURS, {"skus": seeds}):
        for neighbour in packed.split(COMMA):
            together, orders, sku, category = neighbour.split(SPACE)
            yield Neighbour(seed, sku, int(together), category, int(orders))


def _together(db: Connection, skus: list[str]) -> dict[tuple[str, str], int]:
    together = {}
    for sku, packed in db.execute(TOGETHER, {"skus": skus, "others": skus}):
        for pair in packed.split(COMMA):
            orders, other = pair.split(SPACE)
            together[sku, other] = int(orders)
    return together


def _popular(db: Connection, but_not: Collection[str], number: int) -> list[str]:
    best = db.execute(POPULAR, {"number": number + len(but_not)})
    return [sku for (sku,) in best if sku not in but_not][:number]
