"""Only the test with the mistake."""

from __future__ import annotations

import requests
from people import PASSWORD


def test_a_new_guest_has_no_orders(shop_url):
    guest = {"email": "the-guest@example.com", "password": PASSWORD, "name": "The Guest"}
    assert requests.post(f"{shop_url}/api/customers", json=guest, timeout=30).status_code == 201
