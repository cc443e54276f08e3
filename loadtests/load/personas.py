"""Who visits the shop: Locust users that know its public API and pages, and not which shop answers.

`locust -f loadtests/locustfile.py --host http://127.0.0.1:8000` lets them walk with pauses, each waiting
for its answers. The lab (`loadtests.load.generate`) starts their visits on a schedule instead. Both run the same
visits. Requests are named by route template, so that a thousand products are one line of the statistics.
"""

import itertools
import uuid
from urllib.parse import quote_plus

from locust import task

from loadtests.load.auditor import Auditor
from loadtests.load.visitor import APPROVED_CARD, Customer, Persona, opens

SIGNED_IN = 0.25


class WindowShopper(Persona):
    """Looks around and buys nothing: the front page, a product, a category shelf."""

    persona = "window-shopper"
    weight = 5

    @task(3)
    @opens("GET /")
    def stroll(self) -> None:
        """The front page, then a product's page (which shows what goes well with it)."""
        self.ask("GET", "/", "/")
        self.ask("GET", f"/products/{self.shelf.popular(self.rng)}", "/products/{sku}")

    @task(2)
    @opens("GET /api/products?category={slug}")
    def look_along_a_shelf(self) -> None:
        """A category, one of its products, and whether it is in stock."""
        category = self.rng.choice(self.shelf.categories)
        self.ask("GET", f"/api/products?category={category}", "/api/products?category={slug}")
        sku = self.shelf.popular(self.rng)
        self.ask("GET", f"/api/products/{sku}", "/api/products/{sku}")
        self.ask("GET", f"/api/inventory/{sku}", "/api/inventory/{sku}")


class Searcher(Persona):
    """Knows a word and looks for it, in an app or on the search page."""

    persona = "searcher"
    weight = 3

    @task(2)
    @opens("GET /api/products?q={words}")
    def search(self) -> None:
        """Search by API and open a product."""
        words = quote_plus(self.rng.choice(self.shelf.words))
        self.ask("GET", f"/api/products?q={words}", "/api/products?q={words}")
        self.ask("GET", f"/api/products/{self.shelf.popular(self.rng)}", "/api/products/{sku}")

    @task(1)
    @opens("GET /search?q={words}")
    def search_page(self) -> None:
        """The search page."""
        self.ask("GET", f"/search?q={quote_plus(self.rng.choice(self.shelf.words))}", "/search?q={words}")


class Buyer(Customer):
    """Puts something into the cart and pays; now and then looks at past orders.

    Each user has an account of its own: two who share a cart would order each other's things.
    """

    persona = "buyer"
    weight = 2
    first_account = 100
    _numbers = itertools.count()

    @task(4)
    @opens("PUT /api/cart/items/{sku}")
    def buy(self) -> None:
        """One or two of one product. Sold out is an answer, not an error: the cart is emptied for next time."""
        sku = self.shelf.any(self.rng)
        quantity = {"quantity": self.rng.randint(1, 2)}
        self.ask("PUT", f"/api/cart/items/{sku}", "/api/cart/items/{sku}", json=quantity)
        # A key that another trial may have used would be answered from memory, without any work.
        key = {"Idempotency-Key": uuid.uuid4().hex}
        card = {"card_number": APPROVED_CARD}
        order = self.ask(
            "POST", "/api/orders", "/api/orders", accept=("out-of-stock",), json=card, headers=key
        )
        if not order.ok:
            self.ask("DELETE", "/api/cart", "/api/cart")

    @task(1)
    @opens("GET /api/orders")
    def look_back(self) -> None:
        """Past orders, and the newest in detail."""
        history = self.ask("GET", "/api/orders", "/api/orders")
        orders = history.json()["items"] if history.ok and history.status_code else []
        if orders:
            self.ask("GET", f"/api/orders/{orders[0]['id']}", "/api/orders/{id}")


class RecommendationWidget(Customer):
    """A page's "goes well with" box: asks for recommendations and nothing else, with a cart every other time.

    One visitor in four is signed in and gets personal ones, which cost the shop about twice as much. A few accounts
    are enough for that; signing in is not what this persona is about.
    """

    persona = "recommendation-widget"
    weight = 4
    accounts = 4
    _numbers = itertools.count()

    def headers(self) -> dict[str, str]:
        return super().headers() if self.known else {}

    def on_start(self) -> None:
        self.known = True
        super().on_start()

    @task
    @opens("GET /api/products/{sku}/recommendations")
    def ask_what_goes_well(self) -> None:
        """Recommendations for a product in view."""
        self.known = self.rng.random() < SIGNED_IN
        sku = self.shelf.popular(self.rng)
        cart = self.shelf.some(self.rng, 2 * self.rng.randint(0, 1))
        query = f"?cart={','.join(cart)}" if cart else ""
        self.ask("GET", f"/api/products/{sku}/recommendations{query}", "/api/products/{sku}/recommendations")


PERSONAS: dict[str, type[Persona]] = {
    each.persona: each for each in (WindowShopper, Searcher, Buyer, RecommendationWidget, Auditor)
}
