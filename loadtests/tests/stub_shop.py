"""A tiny shop for the generator's tests, as a process. It prints its URL and answers as the contract says.

`stub_shop.py DELAY` answers recommendations one at a time, each after DELAY seconds, like a saturated replica, and
takes as long for every order. It refuses the token `ended`, and the first token of a PUT, so that a user has to sign in
again. Recommendations are eight bestsellers (the default limit), then the products that were bought together, then
products without a score.
"""

import sys
import time
from collections import Counter, defaultdict
from threading import Event, Lock
from typing import Any

from microservices.chaos.standin import Answer, Asked, StandIn

DELAY = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
ONE_AT_A_TIME = Lock()
FIXED: dict[str, dict[str, Any]] = {
    "/api/categories": {"items": [{"slug": "tea", "name": "Tea", "products": 3}]},
    "/api/products": {
        "items": [{"sku": f"P{n}", "name": f"Green kettle {n}"} for n in range(3)],
        "page": 1,
        "page_size": 100,
        "total": 3,
    },
    "/api/prices": {"items": [{"price_cents": 1200}]},
}
refused: set[str] = set()
orders: set[str] = set()
carts: defaultdict[str, set[str]] = defaultdict(set)
sold: Counter[str] = Counter()
together: defaultdict[str, set[str]] = defaultdict(set)


def respond(asked: Asked) -> Answer:
    who = asked.headers["Authorization"]
    if who == "Bearer ended" or (who and asked.method == "PUT" and not refused):
        refused.add(who)
        return 401, {"type": "/problems/not-authenticated", "status": 401}
    return (200, read(asked)) if asked.method == "GET" else write(asked, who)


def read(asked: Asked) -> dict[str, Any]:
    match asked.route.split("/")[1:]:
        case ["api", "inventory", sku]:
            return {"available": 100 - sold[sku]}
        case ["api", "products", sku, "recommendations"]:
            return {"sku": sku, "items": recommend(sku, int(asked.query.get("limit", "8")))}
    return FIXED.get(asked.route, {"items": []})


def write(asked: Asked, who: str) -> Answer:
    match asked.method, asked.route.split("/")[1:]:
        case "DELETE", _:
            return 204, None
        case "POST", ["api", "sessions"]:
            return 200, {"token": f"token-{len(refused)}-{time.monotonic_ns()}"}
        case "POST", _:
            return check_out(who, asked.headers["Idempotency-Key"])
        case "PUT", ["api", "cart", "items", sku]:
            carts[who].add(sku)
    return 200, {"items": []}


def recommend(sku: str, limit: int) -> list[dict[str, Any]]:
    with ONE_AT_A_TIME:
        time.sleep(DELAY)
    found = [(each, 0.5) for each in [*(f"BESTSELLER-{n}" for n in range(8)), *together[sku]]]
    found += [(f"NO-SCORE-{n}", 0.0) for n in range(20)]
    return [{"sku": each, "score": score} for each, score in found[:limit]]


def check_out(who: str, key: str) -> Answer:
    time.sleep(DELAY)
    if key in orders:
        return 500, {}
    orders.add(key)
    if len(orders) % 3 == 0:
        return 409, {"type": "/problems/out-of-stock", "status": 409}
    skus = carts.pop(who, set())
    sold.update(skus)
    for sku in skus:
        together[sku] |= skus - {sku}
    return 201, {"id": "O1"}


if __name__ == "__main__":
    print(StandIn(respond).url, flush=True)  # noqa: T201 - how the test learns it
    Event().wait()
