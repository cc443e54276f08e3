"""The personas: Locust users that know the public API and pages of the shop, and nothing else of it.

`locust -f loadtests/locustfile.py --host http://127.0.0.1:8000` runs them in a closed model: each user waits for its
responses, and pauses between visits. The lab (`loadtests.load.generate`) runs the same visits on a schedule. Requests
are named by route template, so that all products share one line of the statistics.
"""

import itertools
import uuid
from typing import Any
from urllib.parse import quote_plus

from locust import task

from loadtests.load.auditor import Auditor
from loadtests.load.visitor import APPROVED_CARD, Customer, Persona, first_request, whole_visit

SIGNED_IN = 0.25


class WindowShopper(Persona):
    """Looks around and buys nothing: the front page, products, categories."""

    persona = "window-shopper"
    weight = 5

    @task(3)
    @first_request("GET /")
    def stroll(self) -> None:
        """The front page, then the page of a product, with recommendations."""
        self.ask("GET", "/", "/")
        self.ask("GET", f"/products/{self.shelf.popular(self.rng)}", "/products/{sku}")

    @task(2)
    @first_request("GET /api/products?category={slug}")
    def browse_a_category(self) -> None:
        """The list of a category, then a product and its stock."""
        category = self.rng.choice(self.shelf.categories)
        self.ask("GET", f"/api/products?category={category}", "/api/products?category={slug}")
        sku = self.shelf.popular(self.rng)
        self.ask("GET", f"/api/products/{sku}", "/api/products/{sku}")
        self.ask("GET", f"/api/inventory/{sku}", "/api/inventory/{sku}")


class Searcher(Persona):
    """Searches for a word, through the API or on the search page."""

    persona = "searcher"
    weight = 3

    @task(2)
    @first_request("GET /api/products?q={words}")
    def search(self) -> None:
        """Search through the API and open a product."""
        words = quote_plus(self.rng.choice(self.shelf.words))
        self.ask("GET", f"/api/products?q={words}", "/api/products?q={words}")
        self.ask("GET", f"/api/products/{self.shelf.popular(self.rng)}", "/api/products/{sku}")

    @task(1)
    @first_request("GET /search?q={words}")
    def search_page(self) -> None:
        """The search page."""
        self.ask("GET", f"/search?q={quote_plus(self.rng.choice(self.shelf.words))}", "/search?q={words}")


class Buyer(Customer):
    """Puts a product into the cart and orders it; sometimes looks at past orders.

    Each user has its own account: two users with one cart would order each other's products.
    """

    persona = "buyer"
    weight = 2
    first_account = 100
    _numbers = itertools.count()

    @task(4)
    @first_request("PUT /api/cart/items/{sku}")
    @whole_visit("buy")
    def buy(self) -> Any:
        """Order one or two of one product. "Out of stock" is a valid answer; then the cart is emptied."""
        sku = self.shelf.any(self.rng)
        quantity = {"quantity": self.rng.randint(1, 2)}
        self.ask("PUT", f"/api/cart/items/{sku}", "/api/cart/items/{sku}", json=quantity)
        # A new key each time: the shop would answer a used one with the stored response, without any work.
        key = {"Idempotency-Key": uuid.uuid4().hex}
        card = {"card_number": APPROVED_CARD}
        order = self.ask(
            "POST", "/api/orders", "/api/orders", accept=("out-of-stock",), json=card, headers=key
        )
        if not order.ok:
            self.ask("DELETE", "/api/cart", "/api/cart")
        return order

    @task(1)
    @first_request("GET /api/orders")
    def look_back(self) -> None:
        """The list of past orders, and the newest one."""
        history = self.ask("GET", "/api/orders", "/api/orders")
        orders = history.json()["items"] if history.ok and history.status_code else []
        if orders:
            self.ask("GET", f"/api/orders/{orders[0]['id']}", "/api/orders/{id}")


class RecommendationWidget(Customer):
    """The recommendations box of a page: requests only recommendations, half of the time with a cart.

    One visitor in four is signed in. Those get personal recommendations, which cost the shop about twice as much. A few
    accounts are enough, because this persona is not meant to measure signing in.
    """

    persona = "recommendation-widget"
    weight = 4
    accounts = 4
    _numbers = itertools.count()

    def headers(self) -> dict[str, str]:
        return super().headers() if self.signed_in else {}

    def on_start(self) -> None:
        self.signed_in = True
        super().on_start()

    @task
    @first_request("GET /api/products/{sku}/recommendations")
    def ask_what_goes_well(self) -> None:
        """Request recommendations for a product."""
        self.signed_in = self.rng.random() < SIGNED_IN
        sku = self.shelf.popular(self.rng)
        cart = self.shelf.some(self.rng, 2 * self.rng.randint(0, 1))
        query = f"?cart={','.join(cart)}" if cart else ""
        self.ask("GET", f"/api/products/{sku}/recommendations{query}", "/api/products/{sku}/recommendations")


PERSONAS: dict[str, type[Persona]] = {
    each.persona: each for each in (WindowShopper, Searcher, Buyer, RecommendationWidget, Auditor)
}
