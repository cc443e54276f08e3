"""What goes well with a product, as operations on arrays: the same numbers as the shop's own `ranking.py`.

Sums are made in the same order, so that scores are equal to the last digit.
"""  # noqa: INP001 -- a file that takes the place of one in the shop

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

VIEWED, IN_CART, BOUGHT = 1.0, 0.5, 0.25
CATEGORY_BONUS = 0.5
CANDIDATES = 40
RELEVANCE = 0.7
SAME_CATEGORY = 0.3

Numbers = npt.NDArray[np.float64]


@dataclass(slots=True)
class Neighbours:
    """Products that were bought together with seeds, a row for each pair: parallel columns."""

    skus: list[str]
    categories: list[str]
    together: Numbers
    orders: Numbers
    weight: Numbers
    """Of the pair's seed."""
    seed_orders: Numbers


@dataclass(slots=True)
class Candidates:
    """Products that may be shown, highest score first: parallel columns."""

    skus: list[str]
    categories: list[str]
    orders: Numbers
    scores: Numbers


def weigh_seeds(sku: str, cart: Sequence[str], history: Sequence[str]) -> dict[str, float]:
    """The weight of each product that the customer saw, put in the cart or bought; the largest one counts."""
    seeds = dict.fromkeys(history, BOUGHT)
    seeds.update(dict.fromkeys(cart, IN_CART))
    seeds[sku] = VIEWED
    return seeds


def score(
    seeds: Mapping[str, float], known: Mapping[str, tuple[str, int]], neighbours: Neighbours
) -> Candidates:
    """The best candidates; `known` gives category and number of orders for each seed that was ever sold."""
    places: dict[str, int] = {}
    rows = [places.setdefault(sku, len(places)) for sku in neighbours.skus]
    if not rows:
        return Candidates([], [], np.zeros(0), np.zeros(0))
    pairs = neighbours.weight * neighbours.together / np.sqrt(neighbours.seed_orders * neighbours.orders)
    scores = np.bincount(rows, pairs)
    skus = list(places)
    _, first = np.unique(rows, return_index=True)
    categories = [neighbours.categories[place] for place in first]
    affinity = _category_affinity(seeds, known)
    scores *= 1.0 + CATEGORY_BONUS * np.array([affinity.get(category, 0.0) for category in categories])
    scores[[place for sku in seeds if (place := places.get(sku)) is not None]] = -1.0  # never shown
    best = np.lexsort((np.array(skus), -scores))[:CANDIDATES]
    best = best[scores[best] >= 0]
    return Candidates(
        [skus[place] for place in best],
        [categories[place] for place in best],
        neighbours.orders[first[best]],
        scores[best],
    )


def diversify(found: Candidates, together: Numbers, limit: int) -> list[int]:
    """The places of `limit` candidates, each time the one that is relevant and unlike those already picked.

    `together` counts the orders with both of two candidates, [one, other].
    """
    if not found.skus:
        return []
    relevance = RELEVANCE * found.scores / found.scores[0]
    same = np.array(found.categories)[:, None] == np.array(found.categories)
    alike = together / np.sqrt(found.orders[:, None] * found.orders) + np.where(same, SAME_CATEGORY, 0.0)
    alike = np.minimum(1.0, alike)
    likeness = np.zeros(len(found.skus))
    picked: list[int] = []
    while len(picked) < min(limit, len(found.skus)):
        worth = relevance - (1.0 - RELEVANCE) * likeness
        worth[picked] = -np.inf
        chosen = int(np.argmax(worth))
        picked.append(chosen)
        likeness = np.maximum(likeness, alike[chosen])
    return picked


def _category_affinity(seeds: Mapping[str, float], known: Mapping[str, tuple[str, int]]) -> dict[str, float]:
    total = sum(seeds.values())
    affinity: dict[str, float] = {}
    for sku, weight in seeds.items():
        if sku in known:
            category = known[sku][0]
            affinity[category] = affinity.get(category, 0.0) + weight / total
    return affinity
