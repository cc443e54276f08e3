"""Real processes that kill themselves at a boundary of a checkout; the launcher starts them again.

`make test` has a few of the boundaries, `make chaos` all. Each has its own customer. The next crash does not wait until
the shop has recovered from the last one; the invariants are checked after all of them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from microservices.chaos.snapshot import ObservedCheckout
from microservices.launcher.replica import Phase
from microservices.tests.conftest import wait_until
from microservices.tests.live import LiveShop, running_shop
from microservices.tests.shops import CARD, DECLINED, observed
from microservices.tests.test_crash_points import BOUNDARIES
from monolith.dataset import Sizes

pytestmark = pytest.mark.processes

SIZES = Sizes(seed=1, products=40, customers=80, orders=10)
SKU = "P00001"
SETTLED_SECONDS = 30.0
FEW = {
    "split": [
        (CARD, "orders.place: after commit (2)"),
        (DECLINED, "payments.refund: after commit"),
    ],
    "monolith": [(CARD, "orders.place: after commit")],
}
ALL = {
    shop: [
        (card, point)
        for (name, card), points in BOUNDARIES.items()
        if name == shop
        for point in points
        if point
    ]
    for shop in FEW
}


@pytest.fixture(params=["split", "monolith"])
def shop(request: pytest.FixtureRequest, tmp_path) -> Iterator[LiveShop]:
    with running_shop(request.param, tmp_path, sizes=SIZES) as shop:
        yield shop


def test_after_a_few_kills_nothing_is_lost(shop):
    survive(shop, FEW[shop.name], shop.expire_leases)


@pytest.mark.full
def test_after_a_kill_at_each_boundary_nothing_is_lost(shop):
    survive(shop, ALL[shop.name], lambda: None)


def survive(shop: LiveShop, crashes: list[tuple[str, str]], and_then: Callable[[], None]) -> None:
    before = shop.snapshot()
    sent = [crash_during_checkout(shop, number, *crash) for number, crash in enumerate(crashes)]
    assert len(shop.fleet.died) == len(crashes), shop.fleet.died
    and_then()
    shop.settle(
        [one.observed for one in sent] + [outcome(shop, one) for one in sent], SETTLED_SECONDS, before
    )


@dataclass(frozen=True)
class Sent:
    """A checkout during which a process killed itself."""

    observed: ObservedCheckout
    card: str


def crash_during_checkout(shop: LiveShop, number: int, card: str, point: str) -> Sent:
    """Buy, each time with a new key, until the crash happens: after an earlier crash the shop may refuse at first."""
    wait_until(lambda: all(one.phase is Phase.READY for one in shop.fleet.members()), 30.0)
    customer, deaths = f"C{number + 1:05}", len(shop.fleet.died)
    shop.crash_at.write_text(point)
    deadline = time.monotonic() + SETTLED_SECONDS
    for attempt in itertools.count():
        shop.ask(customer, "PUT", f"/api/cart/items/{SKU}", {"quantity": 1})
        key = f"key-{attempt:08}"
        reply = shop.check_out(customer, key, card)
        if not shop.crash_at.exists():
            wait_until(lambda: len(shop.fleet.died) > deaths)
            return Sent(observed(customer, key, reply), card)
        assert time.monotonic() < deadline, f"no process reached {point}: {reply}"
    raise AssertionError


def outcome(shop: LiveShop, sent: Sent) -> ObservedCheckout:
    """The outcome, which must agree with the first answer."""
    first = sent.observed
    reply = shop.final_reply(first.customer_id, first.key, sent.card, seconds=SETTLED_SECONDS)
    assert reply.replayed or reply.status in {201, 402}, reply
    assert reply.status != (402 if sent.card == CARD else 201)
    assert first.status == reply.status or first.status not in {201, 402}
    return observed(first.customer_id, first.key, reply)
