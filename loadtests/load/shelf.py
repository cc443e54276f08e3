"""The products, categories and words that a customer can know of a shop, read from its public API."""

import json
import random
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PAGES = 5
PAGE_SIZE = 100
SHORTEST_WORD = 4
TIMEOUT_SECONDS = 10.0
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy


class ShopNotThereError(Exception):
    """The shop does not answer as a shop should. The message says how."""


@dataclass(frozen=True)
class Shelf:
    """The first products in bestseller order, the slugs of all categories, and words of product names."""

    skus: tuple[str, ...]
    categories: tuple[str, ...]
    words: tuple[str, ...]

    def popular(self, rng: random.Random) -> str:
        """A product by popularity: the n-th bestseller about 1/n as often as the first (Zipf's law)."""
        return self.skus[int(len(self.skus) ** rng.random()) - 1]

    def any(self, rng: random.Random) -> str:
        """Any product, all with equal probability. Buyers use this, so that no bestseller sells out in a trial."""
        return rng.choice(self.skus)

    def some(self, rng: random.Random, count: int) -> list[str]:
        """`count` different products, as for a cart."""
        return rng.sample(self.skus, min(count, len(self.skus)))


def learn(host: str) -> Shelf:
    """Read the shelf of the shop at `host`, with requests that are not measured. ShopNotThereError without products."""
    categories = read(host, "/api/categories")["items"]
    products: list[dict[str, Any]] = []
    for page in range(1, PAGES + 1):
        found = read(host, f"/api/products?page={page}&page_size={PAGE_SIZE}")
        products += found["items"]
        if len(products) >= found["total"]:
            break
    if not products:
        raise ShopNotThereError(f"The shop at {host} sells no products; seed it first.")
    words = {
        word for each in products for word in re.findall(r"\w+", each["name"]) if len(word) >= SHORTEST_WORD
    }
    return Shelf(
        skus=tuple(each["sku"] for each in products),
        categories=tuple(each["slug"] for each in categories),
        words=tuple(sorted(words)),
    )


def read(
    host: str, path: str, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT_SECONDS
) -> dict[str, Any]:
    """The JSON object at `path`, read without a row in the log. `timeout` in seconds. Raises ShopNotThereError."""
    url = host.rstrip("/") + path
    try:
        # The URL is the --host that the user of the test gave.
        request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310
        with OPENER.open(request, timeout=timeout) as response:
            body = json.load(response)
    except (OSError, ValueError) as error:
        raise ShopNotThereError(f"No shop answers at {url} ({error}); start one first.") from error
    if not isinstance(body, dict):
        raise ShopNotThereError(f"{url} answers, but not as a shop does.")
    return body
