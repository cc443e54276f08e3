"""Sends each step to both shops in order, and keeps the parts of responses that later steps need.

Recommendations learn of an order with a delay. Before the first order, both shops must recommend the same at once.
After it, a step that shows recommendations and differs is repeated until both shops agree, for at most SETTLE_SECONDS.
If they do not agree then, later differences are not waited for again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import requests

from loadtests.contract.client import session_cookie
from loadtests.contract.parity.compare import Answer, Difference, differences_of, parse, parts_of
from loadtests.contract.parity.steps import Catalogue, Step
from loadtests.contract.parity.wire import exchange

TIMEOUT_SECONDS = 30
SETTLE_SECONDS = 10.0
POLL_SECONDS = 0.1
SHOWS_RECOMMENDATIONS = frozenset({"recommend", "home page", "product page", "cart page", "order page"})
ORDER = re.compile(r"\{order:([^}]+)\}")


class Shop:
    """One of the two shops: its address, its tokens, and the names of its ids in the script."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.names: dict[str, str] = {urlsplit(self.url).netloc: "<the shop>"}
        self._tokens: dict[str, str] = {}
        self._orders: dict[str, str] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def ask(self, step: Step) -> Answer:
        """The response of the shop. Without one, the status is 0 and the content type is the reason."""
        try:
            if step.wire:
                return self._exchange(step)
            response = self._session.request(
                step.method,
                self.url + self._path(step),
                headers=self._headers(step),
                data=step.body.encode() if step.body is not None else None,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except OSError as error:  # those of `requests` too
            return Answer(0, type(error).__name__, {}, None)
        self._keep(step, response)
        return parse(response)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _exchange(self, step: Step) -> Answer:
        host = urlsplit(self.url).netloc
        request = step.wire.replace("{host}", host).replace("{token}", self._tokens.get(step.actor, ""))
        received = exchange(self.url, request, ends_early=step.ends_early, timeout=TIMEOUT_SECONDS)
        if not step.is_http:
            received = received.without_the_servers_part()
        return parts_of(received.status, received.headers, received.text)

    def _path(self, step: Step) -> str:
        return ORDER.sub(lambda match: self._orders.get(match[1], "no-such-order"), step.target)

    def _headers(self, step: Step) -> dict[str, str]:
        headers = {name: value.replace("{shop}", self.url) for name, value in step.headers.items()}
        token = self._tokens.get(step.actor)
        if token and step.is_page:
            headers["Cookie"] = f"{session_cookie(self.url)}={token}"
        elif token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _keep(self, step: Step, response: requests.Response) -> None:
        if response.status_code != requests.codes.created or not step.keep:
            return
        made = response.json()
        if step.operation == "signIn":
            self._tokens[step.keep] = made["token"]
        elif step.operation == "register":
            self.names[made["id"]] = f"<id of {step.keep}>"
        elif step.operation == "checkout":
            self._orders[step.keep] = made["id"]
            self.names[made["id"]] = f"<order of {step.keep}>"


class Run:
    """A script on both shops, and whether their recommendations may still change."""

    def __init__(self, a: Shop, b: Shop) -> None:
        self._a, self._b = a, b
        self._may_change = False
        self._gave_up = False

    def compare(self, number: int, step: Step) -> Difference | None:
        """Send the step to both. Repeat it while they differ and the recommendations may still change."""
        difference = self._ask_both(number, step)
        deadline = time.monotonic() + SETTLE_SECONDS
        may_settle = self._may_change and not self._gave_up and step.operation in SHOWS_RECOMMENDATIONS
        while difference and may_settle and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            difference = self._ask_both(number, step)
        self._gave_up = self._gave_up or (may_settle and difference is not None)
        self._may_change = self._may_change or step.operation == "checkout"
        return difference

    def _ask_both(self, number: int, step: Step) -> Difference | None:
        answer_a, answer_b = self._a.ask(step), self._b.ask(step)
        found = differences_of(answer_a.normal(self._a.names), answer_b.normal(self._b.names))
        return Difference(number, step.curl(self._a.url), *found) if found else None


def run_script(steps: Sequence[Step], url_a: str, url_b: str) -> list[Difference]:
    """Send all steps to both shops, and return the differences."""
    a, b = Shop(url_a), Shop(url_b)
    run = Run(a, b)
    try:
        found = [run.compare(number, step) for number, step in enumerate(steps, start=1)]
    finally:
        a.close()
        b.close()
    return [difference for difference in found if difference]


def read_catalogue(url: str) -> Catalogue:
    """The data that a script needs, from the first hundred products. Raises the errors of `requests`."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{url.rstrip('/')}/api/products?page_size=100", timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        products = answer.json()["items"]
    return Catalogue(
        skus=[product["sku"] for product in products],
        categories=sorted({product["category"] for product in products}),
        words=sorted({word for product in products for word in product["name"].split()}),
    )
