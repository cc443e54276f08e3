"""The price list for accounting: `python price_list.py P00001 P00002` prints "P00001,12.90" and so on.

Accounting runs it every night, and has its own copy. SHOP_CATALOG_URL is the address of the catalog.
"""

from __future__ import annotations

import csv
import os
import sys

import requests


def main(skus: list[str]) -> None:
    """Print the price of each product in euros, as CSV."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            os.environ["SHOP_CATALOG_URL"] + "/internal/products",
            params={"sku": ",".join(skus), "reads": "price_cents"},
            headers={"User-Agent": "price-list"},
            timeout=5,
        )
    answer.raise_for_status()
    lines = csv.writer(sys.stdout, lineterminator="\n")
    for product in answer.json()["items"]:
        euros, cents = divmod(product.get("price_cents") or int(product["price"].replace(".", "")), 100)
        lines.writerow([product["sku"], f"{euros}.{cents:02}"])


if __name__ == "__main__":
    main(sys.argv[1:])
