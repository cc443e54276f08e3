"""Who visits the shop: Locust users that know its public API and pages, and not which shop answers.

`locust -f loadtests/locustfile.py --host http://127.0.0.1:8000` lets them walk with pauses, each waiting
for its answers. The lab (`loadtests.generate`) starts their visits on a schedule instead. Both run the same
visits. Requests are named by route template, so that a thousand products are one line of the statistics.
"""

import itertools
import os
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from urllib.parse import quote_plus

from locust import FastHttpUser, between, task
from locust.exception import StopUser

from loadtests.shelf import Shelf, ShopNotThereError, learn

DEMO_PASSWORD = "correct-horse-battery"  # noqa: S105 - every seeded account's, printed in the docs
APPROVED_CARD = "4242 4242 4242 4242"
SEED = os.environ.get("LOADTESTS_SEED", "1")
UNAUTHORIZED = 401
SIGNED_IN = 0.25
CUSTOMERS = 2000  # account numbers wrap here; the default data set has 5,000


def opens(route: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Note which route a visit asks first, for the log row of a visit that could not be started."""

    def mark(visit: Callable[..., None]) -> Callable[..., None]:
        visit.opens = route  # type: ignore[attr-defined]
        return visit

    return mark


class Persona(FastHttpUser):
    """Anybody who visits: knows the shelf, makes seeded choices, names requests by route template."""

    abstract = True
    wait_time = between(0.5, 2.5)
    persona: ClassVar[str]
    _shelves: ClassVar[dict[str, Shelf]] = {}
    _numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.number = next(self._numbers)
        self.rng = random.Random(f"{SEED}:{self.persona}:{self.number}")
        self.visit: Any = None  # the lab's note of which arrival this is
        self.asking = ""

    def on_start(self) -> None:
        """Locust calls this before the first visit; the lab calls it before the schedule begins."""
        try:
            self.learn_shelf(str(self.host))
        except ShopNotThereError as error:
            self.environment.process_exit_code = 1
            raise StopUser(str(error)) from error

    @property
    def shelf(self) -> Shelf:
        """The shop's products, learnt once per host."""
        return self.learn_shelf(str(self.host))

    @classmethod
    def learn_shelf(cls, host: str) -> Shelf:
        """Read the shelf of `host`, or remember it."""
        if host not in cls._shelves:
            cls._shelves[host] = learn(host)
        return cls._shelves[host]

    def context(self) -> dict[str, Any]:
        """What Locust hands to request listeners besides the request itself."""
        return {"persona": self.persona, "visit": self.visit}

    def ask(self, method: str, path: str, route: str, *, accept: tuple[str, ...] = (), **options: Any) -> Any:
        """Send one request. `accept` names problems that are valid answers here: they count so, by name."""
        options["headers"] = {**self.headers(), **options.get("headers", {})}
        options["allow_redirects"] = False
        self.asking = f"{method} {route}"
        with self.client.request(method, path, name=route, catch_response=True, **options) as response:
            problem = _problem(response)
            if problem in accept:
                response.request_meta["name"] = f"{route} ({problem})"
                response.success()
        return response

    def headers(self) -> dict[str, str]:
        """Headers of every request; anonymous visitors have none."""
        return {}


def _problem(response: Any) -> str:
    """The slug of an answer's problem type, "" when it is no problem."""
    if "problem+json" not in (response.headers or {}).get("content-type", ""):
        return ""
    return str(response.json().get("type", "")).removeprefix("/problems/")


class Customer(Persona):
    """Somebody with an account. Tokens end after half an hour: a 401 is answered by signing in again, once."""

    abstract = True
    first_account: ClassVar[int] = 3
    accounts: ClassVar[int] = CUSTOMERS
    _tokens: ClassVar[dict[tuple[str, str], str]] = {}

    @property
    def email(self) -> str:
        """The account of this user; several users of a persona with few accounts share one."""
        return f"customer{self.first_account + self.number % self.accounts:05}@example.com"

    def headers(self) -> dict[str, str]:
        token = self._tokens.get((str(self.host), self.email))
        return {"Authorization": f"Bearer {token}"} if token else {}

    def on_start(self) -> None:
        super().on_start()
        if not self.headers():
            self.sign_in()

    def sign_in(self) -> None:
        """Fetch a token for this user's account."""
        self._tokens.pop((str(self.host), self.email), None)
        form = {"email": self.email, "password": DEMO_PASSWORD}
        answer = super().ask("POST", "/api/sessions", "/api/sessions", json=form)
        if answer.ok:
            self._tokens[str(self.host), self.email] = answer.json()["token"]

    def ask(self, method: str, path: str, route: str, *, accept: tuple[str, ...] = (), **options: Any) -> Any:
        accept = (*accept, "not-authenticated")
        response = super().ask(method, path, route, accept=accept, **options)
        if response.status_code == UNAUTHORIZED:
            self.sign_in()
            response = super().ask(method, path, route, accept=accept, **options)
        return response


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
    each.persona: each for each in (WindowShopper, Searcher, Buyer, RecommendationWidget)
}
