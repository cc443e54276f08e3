"""Only the test with the mistake."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing


def test_an_order_takes_its_pieces_out_of_the_stock(new_customer, product):
    customer, sku = new_customer(), product(stock=7)
    customer.put_in_cart(sku, quantity=2)
    customer.check_out()
    with closing(sqlite3.connect(os.environ["SHOP_HOME"] + "/data/monolith.sqlite3")) as db:
        assert db.execute("SELECT available FROM stock WHERE sku = ?", (sku,)).fetchone() == (5,)
