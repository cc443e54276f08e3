"""What goes well with a product: pure functions from counts to a ranked list.

Similarity of two products is the cosine of their orders, together / sqrt(orders_a * orders_b), which damps what
everybody buys anyway. The list is then re-ranked by maximal marginal relevance (Carbonell and Goldstein 1998), so
that it does not show the same thing eight times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

VIEWED, IN_CART, BOUGHT = 1.0, 0.5, 0.25
CATEGORY_BONUS = 0.5
CANDIDATES = 40
RELEVANCE = 0.7
SAME_CATEGORY = 0.3


class Neighbour(NamedTuple):
    """A product that was bought together with a seed."""

    seed: str
    sku: str
    together: int
    category: str
    orders: int


@dataclass(slots=True)
class Candidate:
    """A product that may be shown."""

    sku: str
    category: str
    orders: int
    score: float = 0.0


def weigh_seeds(sku: str, cart: Sequence[str], history: Sequence[str]) -> dict[str, float]:
    """The weight of each product that the customer saw, put in the cart or bought; the largest one counts."""
    seeds = dict.fromkeys(history, BOUGHT)
    seeds.update(dict.fromkeys(cart, IN_CART))
    seeds[sku] = VIEWED
    return seeds


def score(
    seeds: Mapping[str, float], known: Mapping[str, tuple[str, int]], neighbours: Iterable[Neighbour]
) -> list[Candidate]:
    """The best candidates, highest score first.

    `known` gives category and number of orders for each seed that was ever sold.
    """
    found: dict[str, Candidate] = {}
    for neighbour in neighbours:
        if neighbour.sku in seeds:
            continue
        candidate = found.get(neighbour.sku)
        if candidate is None:
            candidate = Candidate(neighbour.sku, neighbour.category, neighbour.orders)
            found[neighbour.sku] = candidate
        seed_orders = known[neighbour.seed][1]
        candidate.score += seeds[neighbour.seed] * neighbour.together / sqrt(seed_orders * neighbour.orders)
    affinity = _category_affinity(seeds, known)
    for candidate in found.values():
        candidate.score *= 1.0 + CATEGORY_BONUS * affinity.get(candidate.category, 0.0)
    return sorted(found.values(), key=lambda c: (-c.score, c.sku))[:CANDIDATES]


def diversify(
    candidates: Sequence[Candidate], together: Mapping[tuple[str, str], int], limit: int
) -> list[Candidate]:
    """Pick `limit` candidates, each time the one that is relevant and unlike those already picked.

    `together` counts the orders with both of two candidates, in either direction.
    """
    if not candidates:
        return []
    best = candidates[0].score
    left = {candidate.sku: candidate for candidate in candidates}
    likeness = dict.fromkeys(left, 0.0)
    picked: list[Candidate] = []
    while left and len(picked) < limit:
        chosen = max(
            left.values(),
            key=lambda c: RELEVANCE * c.score / best - (1.0 - RELEVANCE) * likeness[c.sku],
        )
        picked.append(chosen)
        del left[chosen.sku]
        for candidate in left.values():
            alike = _similarity(chosen, candidate, together)
            likeness[candidate.sku] = max(likeness[candidate.sku], alike)
    return picked


def _category_affinity(seeds: Mapping[str, float], known: Mapping[str, tuple[str, int]]) -> dict[str, float]:
    total = sum(seeds.values())
    affinity: dict[str, float] = {}
    for sku, weight in seeds.items():
        if sku in known:
            category = known[sku][0]
            affinity[category] = affinity.get(category, 0.0) + weight / total
    return affinity


def _similarity(a: Candidate, b: Candidate, together: Mapping[tuple[str, str], int]) -> float:
    alike = together.get((a.sku, b.sku), 0) / sqrt(a.orders * b.orders)
    return min(1.0, alike + (SAME_CATEGORY if a.category == b.category else 0.0))
