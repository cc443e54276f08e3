"""What the visitors of a load test need from the shop: products, words to search for, and signed-in customers.

Products and tokens are fetched once for each shop and not for each visitor. A load test that begins with a thousand
sign-ins measures sign-ins.
"""

from __future__ import annotations

import random
from functools import cache

import requests

PASSWORD = "correct-horse-battery"  # noqa: S105 - published: the demo accounts' password
CARD = "4242424242424242"
ACCOUNTS = 8
SHOPPERS_FROM = 3  # the accounts before are admin, Ada and Grace
WORDS = ("tea", "oak", "linen", "pan", "lamp", "yoga", "wool", "bowl", "light", "travel")
SECONDS = 10


@cache
def skus(host: str) -> tuple[str, ...]:
    """The hundred products that sell best, best first."""
    answer = _session().get(f"{host}/api/products?page_size=100", timeout=SECONDS)
    return tuple(item["sku"] for item in answer.json()["items"])


def some_sku(host: str) -> str:
    """A random product; one that sells better is chosen more often."""
    shelf = skus(host)
    return random.choices(shelf, weights=[1 / (rank + 10) for rank in range(len(shelf))])[0]


def signed_in(host: str) -> dict[str, str]:
    """The header that signs a request in as one of a few customers, chosen at random."""
    return {"Authorization": f"Bearer {_token(host, random.randrange(ACCOUNTS))}"}


@cache
def _token(host: str, number: int) -> str:
    given = {"email": f"customer{SHOPPERS_FROM + number:05}@example.com", "password": PASSWORD}
    return str(_session().post(f"{host}/api/sessions", json=given, timeout=SECONDS).json()["token"])


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # never through a proxy of this machine
    return session
