"""Both shops as real processes, on SQLite and on PostgreSQL: equal responses, and no order or sale happens twice.

`make acceptance` runs the whole acceptance suite against the same shops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial

import pytest

from loadtests.contract.acceptance.contract import Contract
from loadtests.contract.acceptance.shelf import Shelf
from loadtests.contract.acceptance.visitors import DECLINED, Customer, Visitor, new_key
from loadtests.contract.acceptance.waiting import at_once, eventually
from loadtests.contract.fuzz.run import Fuzzed, fuzz
from loadtests.tests import live
from loadtests.tests.live import Shops
from microservices.chaos import invariants, snapshot
from microservices.tests import postgresql

pytestmark = [pytest.mark.processes, pytest.mark.acceptance]

BUYERS = 8
EVERY_PART = (
    "/api/orders",
    "/api/cart",
    "/api/customers/me",
    "/api/products/P00001",
    "/api/inventory/P00001",
    "/api/products/P00001/recommendations",
)
REPEATS = 10


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shops]:
    with live.on_sqlite(tmp_path_factory.mktemp("sqlite")) as shops:
        yield shops


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shops]:
    with live.on_postgresql(tmp_path_factory.mktemp("postgresql")) as shops:
        yield shops


@pytest.fixture(params=["sqlite", "postgresql"])
def shops(request: pytest.FixtureRequest) -> Shops:
    shops: Shops = request.getfixturevalue(f"on_{request.param}")
    return shops


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract.load()


@pytest.fixture(params=["monolith", "microservices"])
def shop_url(request: pytest.FixtureRequest, shops: Shops) -> str:
    return shops.urls[request.param]


@pytest.fixture
def new_customer(shop_url: str, contract: Contract) -> Iterator[Callable[[], Customer]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Customer(shop_url, contract)))


@pytest.fixture
def shelf(shop_url: str, contract: Contract) -> Iterator[Shelf]:
    with closing(Customer(shop_url, contract, "admin@example.com")) as admin:
        yield Shelf(admin)


@pytest.fixture
def visitor(shop_url: str, contract: Contract) -> Iterator[Visitor]:
    with closing(Visitor(shop_url, contract)) as visitor:
        yield visitor


def test_both_shops_give_equal_responses_to_one_script(shops: Shops) -> None:
    assert shops.parity.asked == live.SCRIPT
    assert shops.parity.differences == []


def test_the_last_item_is_sold_once_to_concurrent_buyers(
    visitor: Visitor, shelf: Shelf, new_customer: Callable[[], Customer]
) -> None:
    sku = shelf.pick(available=1)["sku"]
    buyers = [new_customer() for _ in range(BUYERS)]
    for buyer in buyers:
        buyer.put_in_cart(sku)
    answers = Counter(answer.status_code for answer in at_once([buyer.checkout for buyer in buyers]))
    assert answers == {201: 1, 409: BUYERS - 1}
    assert visitor.available(sku) == 0


def test_concurrent_checkouts_with_one_key_make_one_order_and_get_one_response(
    visitor: Visitor, shelf: Shelf, new_customer: Callable[[], Customer]
) -> None:
    sku, customer, key = shelf.pick(available=50)["sku"], new_customer(), new_key()
    customer.put_in_cart(sku)
    answers = at_once([lambda: customer.checkout(key=key)] * REPEATS)
    assert Counter(answer.status_code for answer in answers) == {201: REPEATS}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert (visitor.available(sku), len(customer.orders())) == (49, 1)


def test_a_declined_card_restores_stock_and_cart(
    visitor: Visitor, shelf: Shelf, new_customer: Callable[[], Customer]
) -> None:
    sku, customer = shelf.pick(available=5)["sku"], new_customer()
    customer.put_in_cart(sku, 2)
    assert customer.checkout(DECLINED).status_code == 402
    assert (visitor.available(sku), customer.cart(), customer.orders()) == (5, {sku: 2}, [])


def test_recommendations_learn_from_the_orders_of_new_customers(
    visitor: Visitor, shelf: Shelf, new_customer: Callable[[], Customer]
) -> None:
    bought, beside = (product["sku"] for product in shelf.pick_many(2))
    for customer in [new_customer() for _ in range(BUYERS)]:
        customer.put_in_cart(bought, 2)
        customer.put_in_cart(beside)
        order = customer.checkout()
        assert order.status_code == 201
        assert {line["sku"]: line["quantity"] for line in order.json()["items"]} == {bought: 2, beside: 1}
        assert (customer.orders(), customer.cart()) == ([order.json()], {})
    path = f"/api/products/{bought}/recommendations?limit=20"
    assert eventually(lambda: beside in {item["sku"] for item in visitor.get(path).json()["items"]})


@pytest.mark.parametrize("name", ["monolith", "microservices"])
def test_after_the_database_server_ends_all_sessions_the_shop_soon_works_again(
    on_postgresql: Shops, contract: Contract, name: str
) -> None:
    """The contract allows a 503 meanwhile. `Visitor.call` fails for any undocumented response."""
    with closing(Customer(on_postgresql.urls[name], contract)) as customer:
        for _ in range(16):  # until every thread has sessions that can be ended
            assert customer.get("/api/orders").status_code == 200
        postgresql.end_sessions(on_postgresql.servers[name])
        seen: list[int] = []

        def sells_again() -> bool:
            answers = [*map(customer.get, EVERY_PART), customer.checkout()]
            seen.extend(answer.status_code for answer in answers)
            return [answer.status_code for answer in answers] == [200] * len(EVERY_PART) + [409]

        # Many at once, so that every thread of every replica has dropped the sessions that it kept.
        assert eventually(lambda: all(at_once([sells_again] * 16)))
        assert set(seen) <= {200, 409, 502, 503}, seen


def test_the_databases_of_the_services_agree_with_each_other(shops: Shops) -> None:
    databases = snapshot.Databases(shops.split)
    eventually(lambda: not invariants.violations(databases))
    assert invariants.violations(databases) == []


@pytest.fixture(scope="module")
def fuzzed(on_sqlite: Shops, contract: Contract) -> dict[str, Fuzzed]:
    """Both shops under Schemathesis, as admin and as nobody. All at once: most of the time is its own."""
    runs = {
        f"{name} {who}": partial(fuzz, on_sqlite.urls[name], contract, who, examples=6)
        for name in ("monolith", "microservices")
        for who in ("admin", "nobody")
    }
    return dict(zip(runs, at_once(list(runs.values())), strict=True))


@pytest.mark.parametrize("who", ["admin", "nobody"])
@pytest.mark.parametrize("name", ["monolith", "microservices"])
def test_generated_requests_are_answered_as_the_contract_says(
    fuzzed: dict[str, Fuzzed], name: str, who: str
) -> None:
    _expect_many_without_failure(fuzzed[f"{name} {who}"], 300)


@pytest.mark.full
@pytest.mark.parametrize(
    ("database", "who"), [("sqlite", "admin"), ("postgresql", "customer"), ("postgresql", "nobody")]
)
def test_thousands_of_generated_requests_too(
    request: pytest.FixtureRequest, contract: Contract, database: str, who: str
) -> None:
    shops: Shops = request.getfixturevalue(f"on_{database}")
    runs = [partial(fuzz, url, contract, who, examples=60, seed=2) for url in shops.urls.values()]
    for result in at_once(runs):
        _expect_many_without_failure(result, 1000)


def _expect_many_without_failure(result: Fuzzed, least: int) -> None:
    if result.failure:
        pytest.fail(
            result.failure, pytrace=False
        )  # the full report, which says how to send the same request again
    assert result.requests > least


@pytest.mark.acceptance
def test_the_acceptance_suite_holds(shop_url: str) -> None:
    live.expect_the_acceptance_suite_to_pass(shop_url)
