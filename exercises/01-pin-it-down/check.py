"""01: the learner's tests are green on the shop and red on five shops that each break one promise.

The broken shops are made from the untouched monolith, not from the learner's, so these checks mean the same in every
workspace. All five are started and tested at the same time: one after the other they would take half a minute. Later
exercises run the tests on the shop as it is then, and not on the broken ones again.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from exercises.checks.checking import Bench, Ran, check

SUITE = ("-m", "pytest", "tests", "-q", "-p", "no:cacheprovider", "--tb=short")
FEWER_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""To load every installed plugin takes twice as long as these tests, and none of them is needed here."""
PASSED, TESTS_FAILED = 0, 1
"""pytest's exit statuses. Any other one means that the tests could not be run."""
TIMEOUT_SECONDS = 120.0
INSIDE = ("monolith", "microservices", "sqlite3", "sqlalchemy", "psycopg", "flask")
TESTS = "tests/test_shop.py"


@dataclass(frozen=True)
class Edit:
    """One change of a file of the monolith; the file has `old` exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A shop that breaks one promise."""

    breaks: str
    look: str
    edits: tuple[Edit, ...]


MUTANTS = {
    "total": Mutant(
        "whose orders do not cost what their lines add up to",
        "test_an_order_costs_what_its_lines_add_up_to: prices and quantities for which a wrong sum shows",
        (
            Edit(
                "monolith/orders/checkout.py",
                'sum(line["unit_price_cents"] * line["quantity"] for line in lines)',
                '100 * round(sum(line["unit_price_cents"] * line["quantity"] for line in lines) / 100)',
            ),
        ),
    ),
    "price": Mutant(
        "that charges the total_cents that a customer sends with the card",
        "test_a_customer_cannot_choose_the_price: send a field that the shop must refuse",
        (
            Edit("monolith/chassis/validation.py", 'extra="forbid"', 'extra="ignore"'),
            Edit("monolith/orders/routes.py", "import Blueprint, request", "import Blueprint, g, request"),
            Edit(
                "monolith/orders/routes.py",
                "class Checkout(Body):",
                "class Checkout(Body):\n    total_cents: int | None = None",
            ),
            Edit(
                "monolith/orders/routes.py",
                "given = body(Checkout)",
                "given = body(Checkout)\n    g.total_cents = given.total_cents",
            ),
            Edit(
                "monolith/orders/checkout.py",
                "from sqlalchemy import",
                "from flask import g\nfrom sqlalchemy import",
            ),
            Edit(
                "monolith/orders/checkout.py",
                "total_cents = sum(",
                'total_cents = g.get("total_cents") or sum(',
            ),
        ),
    ),
    "stock": Mutant(
        "that does not give the stock back when a card is declined",
        "test_a_declined_card_leaves_the_stock_as_it_was: look at the stock before and after",
        (
            Edit(
                "monolith/orders/checkout.py",
                "outcome = refusal",
                "outcome = refusal\n"
                "            if refusal.status == 402:\n"
                '                items = cart.read(db, customer_id)["items"]\n'
                '                inventory.sell(db, {item["sku"]: item["quantity"] for item in items})',
            ),
        ),
    ),
    "stranger": Mutant(
        "that shows an order to every customer who knows its id",
        "test_nobody_sees_the_order_of_somebody_else: two customers, one order",
        (
            Edit(
                "monolith/orders/service.py",
                'ONE = SHOWN.where(Order.id == bindparam("id"))',
                "ONE = select(Order.number, Order.id, Order.status, Order.total_cents, Order.created_at).where(\n"
                '    Order.id == bindparam("id")\n'
                ")",
            ),
        ),
    ),
    "twice": Mutant(
        "that takes a repeated checkout for a new one",
        "test_a_checkout_that_is_sent_twice_is_one_order: the two answers, with something in the cart both times",
        (
            Edit(
                "monolith/orders/checkout.py",
                "with writing() as db:",
                "key = uuid.uuid4().hex\n    with writing() as db:",
            ),
        ),
    ),
}
_suites: WeakKeyDictionary[Bench, dict[str, Ran]] = WeakKeyDictionary()


@check("green-on-the-shop", task="run-it", untidy=True)
def _(bench: Bench) -> None:
    """Your tests are green on the shop, and green again on the same shop a moment later."""
    url = bench.shop().url
    for which in ("", " a second time, on the same shop"):
        started = time.perf_counter()
        ran = bench.run(*SUITE, env={**FEWER_PLUGINS, "SHOP_URL": url}, timeout=TIMEOUT_SECONDS)
        bench.expect(
            ran.status == PASSED,
            did=f"SHOP_URL={url} {ran.command}{which}",
            expected="green tests: this shop keeps its promises",
            got=_summary(ran),
            why="Tests that are red on a correct shop cannot find a broken one. Tests that need a fresh shop "
            "cannot be run against one in use.",
            look=TESTS,
        )
    bench.note(f"{_counted(ran)} in {time.perf_counter() - started:.1f} s")


@check("knows-only-the-address", task="run-it", shop=False)
def _(bench: Bench) -> None:
    """Your tests know only the shop's address, so they stay right when the code inside it changes."""
    for each in bench.imports("tests"):
        bench.expect(
            each.module.partition(".")[0] not in INSIDE,
            did=f"read the imports of {each.file.as_posix()}",
            expected="tests that ask the shop over HTTP and import nothing from it",
            got=f"line {each.line} imports {each.module}",
            why="In a few steps another program is behind the address, and these tests must still run.",
            look=f"{each.file.as_posix()}, line {each.line}",
        )


@check("finds-a-wrong-total", task="money", shop=False, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on a shop whose totals are wrong."""
    _expect_red(bench, "total")


@check("finds-a-price-from-outside", task="money", shop=False, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on a shop that lets a customer choose the price."""
    _expect_red(bench, "price")


@check("finds-lost-stock", task="refusal", shop=False, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on a shop that loses stock to declined cards."""
    _expect_red(bench, "stock")


@check("finds-a-strangers-order", task="privacy", shop=False, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on a shop that shows orders to strangers."""
    _expect_red(bench, "stranger")


@check("finds-a-second-order", task="repeat", shop=False, until="measure-first")
def _(bench: Bench) -> None:
    """Your tests are red on a shop that takes a repeated checkout for a new one."""
    _expect_red(bench, "twice")


def _expect_red(bench: Bench, name: str) -> None:
    mutant, ran = MUTANTS[name], _tested(bench)[name]
    bench.expect(
        ran.status == TESTS_FAILED,
        did=f"{ran.command}, against a shop {mutant.breaks}",
        expected="at least one red test",
        got=f"all of your tests are green: {_summary(ran)}" if ran.status == PASSED else _summary(ran),
        why="You will take this shop apart. A promise without a test can be broken on the way, unnoticed.",
        look=f"{TESTS}, {mutant.look}",
    )


def _tested(bench: Bench) -> dict[str, Ran]:
    """The run of the learner's tests on each broken shop, by the shop's name; made once for all checks of a run."""
    if bench not in _suites:
        with ThreadPoolExecutor(len(MUTANTS)) as pool:
            ran = pool.map(lambda mutant: _test_one(bench, mutant), MUTANTS.values())
            _suites[bench] = dict(zip(MUTANTS, ran, strict=True))
    return _suites[bench]


def _test_one(bench: Bench, mutant: Mutant) -> Ran:
    original = bench.original()
    changes: dict[str, str] = {}
    for edit in mutant.edits:
        text = changes.get(edit.file) or (original / edit.file).read_text(encoding="utf-8")
        assert text.count(edit.old) == 1, f"{edit.file} has changed: {edit.old!r} is not there exactly once"
        changes[edit.file] = text.replace(edit.old, edit.new)
    with bench.boot(bench.copy(changes, of=original)) as shop:
        return bench.run(*SUITE, "-x", env={**FEWER_PLUGINS, "SHOP_URL": shop.url}, timeout=TIMEOUT_SECONDS)


def _summary(ran: Ran) -> str:
    """The end of pytest's output: the failed tests and the count."""
    lines = [line for line in f"{ran.out}\n{ran.err}".splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return " ".join([*failed[:3], *lines[-1:]]) or f"pytest ended with status {ran.status} and no output"


def _counted(ran: Ran) -> str:
    found = re.search(r"(\d+) passed", ran.out)
    return f"{found[1]} tests" if found else "no tests"
