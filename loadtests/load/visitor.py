"""The base of all personas: seeded choices, requests named by route template, and signing in."""

import itertools
import os
import random
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from locust import FastHttpUser, between
from locust.exception import StopUser

from loadtests.load.shelf import Shelf, ShopNotThereError, learn
from loadtests.load.spec import CUSTOMERS

DEMO_PASSWORD = "correct-horse-battery"  # noqa: S105 - of every seeded account, and in the docs
SEED = os.environ.get("LOADTESTS_SEED", "1")
APPROVED_CARD = "4242 4242 4242 4242"
UNAUTHORIZED = 401
ACCOUNTS = 2000  # account numbers of a persona wrap here
DEMO_ACCOUNTS = 3  # the first accounts of every data set have names of their own


def first_request(route: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Name the first request of a visit, for the row of a visit that could not be started."""

    def mark(visit: Callable[..., Any]) -> Callable[..., Any]:
        visit.first_request = route  # type: ignore[attr-defined]
        return visit

    return mark


def whole_visit(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let the lab log the visit as a whole too, as `VISIT name`, from its intended start to its end.

    The visit returns its last response. It succeeded if that one did, and a problem that was accepted gives it a name
    of its own, as in `VISIT buy (out-of-stock)`.
    """

    def mark(visit: Callable[..., Any]) -> Callable[..., Any]:
        visit.whole = name  # type: ignore[attr-defined]
        return visit

    return mark


class Persona(FastHttpUser):
    """A user of the shop: knows the shelf, makes seeded choices, names its requests by route template."""

    abstract = True
    wait_time = between(0.5, 2.5)
    persona: ClassVar[str]
    _shelves: ClassVar[dict[str, Shelf]] = {}
    _numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.number = next(self._numbers)
        self.rng = random.Random(f"{SEED}:{self.persona}:{self.number}")
        self.visit: Any = None  # set by the lab: the visit under way
        self.asking = ""

    @classmethod
    def number_from(cls, first: int, step: int) -> None:
        """Number the users that are made from now on; processes that share a load get different accounts."""
        Persona._numbers = itertools.count(first, step)

    def on_start(self) -> None:
        """Enter the shop. Locust calls this before the first visit, the lab before the schedule begins."""
        try:
            self.learn_shelf(str(self.host))
        except ShopNotThereError as error:
            self.environment.process_exit_code = 1
            raise StopUser(str(error)) from error

    @property
    def shelf(self) -> Shelf:
        """The shelf of the shop."""
        return self.learn_shelf(str(self.host))

    @classmethod
    def learn_shelf(cls, host: str) -> Shelf:
        """The shelf of `host`, which is read once."""
        if host not in cls._shelves:
            cls._shelves[host] = learn(host)
        return cls._shelves[host]

    def context(self) -> dict[str, Any]:
        """The context that Locust gives to request listeners."""
        return {"persona": self.persona, "visit": self.visit}

    def ask(self, method: str, path: str, route: str, *, accept: tuple[str, ...] = (), **options: Any) -> Any:
        """Send one request. A problem that `accept` names counts as a success, and is logged under its own name.

        The response has the problem as `accepted`; "" if there was none, or another one.
        """
        options["headers"] = {**self.headers(), **options.get("headers", {})}
        options["allow_redirects"] = False
        self.asking = f"{method} {route}"
        with self.client.request(method, path, name=route, catch_response=True, **options) as response:
            problem = _problem(response)
            response.accepted = problem if problem in accept else ""
            if response.accepted:
                response.request_meta["name"] = f"{route} ({problem})"
                response.success()
        return response

    def headers(self) -> dict[str, str]:
        """The headers of every request; none for anonymous users."""
        return {}


def _problem(response: Any) -> str:
    """The slug of the problem type of a response; "" if it is no problem."""
    if "problem+json" not in (response.headers or {}).get("content-type", ""):
        return ""
    return str(response.json().get("type", "")).removeprefix("/problems/")


class Customer(Persona):
    """A user with an account. Tokens expire after half an hour: after a 401 it signs in again, once."""

    abstract = True
    first_account: ClassVar[int] = DEMO_ACCOUNTS
    accounts: ClassVar[int] = ACCOUNTS
    customers: ClassVar[int] = CUSTOMERS
    """How many the data set has; a smaller one is shared by all personas."""
    _tokens: ClassVar[dict[tuple[str, str], str]] = {}

    @property
    def email(self) -> str:
        """The account of this user. Users of a persona with few accounts share them."""
        account = self.first_account + self.number % self.accounts
        account = DEMO_ACCOUNTS + (account - DEMO_ACCOUNTS) % (self.customers - DEMO_ACCOUNTS)
        return f"customer{account:05}@example.com"

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
        if answer.ok and answer.status_code:  # a request without any response also counts as "ok" for Locust
            self._tokens[str(self.host), self.email] = answer.json()["token"]

    def ask(self, method: str, path: str, route: str, *, accept: tuple[str, ...] = (), **options: Any) -> Any:
        accept = (*accept, "not-authenticated")
        response = super().ask(method, path, route, accept=accept, **options)
        if response.status_code == UNAUTHORIZED:
            self.sign_in()
            response = super().ask(method, path, route, accept=accept, **options)
        return response
