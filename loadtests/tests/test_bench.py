"""The parts of the bench that need no shop: its client and its bars."""

import io
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from werkzeug.test import Client

from loadtests.bench import calls, orm
from loadtests.bench.bars import MEBIBYTE
from loadtests.bench.cli import as_json
from loadtests.bench.client import BenchError, Connection
from loadtests.bench.endpoints import checks
from loadtests.bench.journeys import BUY, ENDPOINTS, HELLO, MIXED, PUT, Shopper
from loadtests.bench.seeing import Seen, table
from loadtests.bench.targets import Cost, TargetResult
from loadtests.rig.processes import cpu_seconds
from loadtests.rig.sampler import sample_times
from microservices.launcher import sqlite_url

STUB = Path(__file__).with_name("stub_shop.py")


@pytest.fixture
def url() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, str(STUB)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


def measured(name: str, cpu: float, memory: float, ready: float = 3.0) -> TargetResult:
    costs = {journey.name: [Cost(cpu, 100.0)] for journey in (*ENDPOINTS, MIXED, HELLO)}
    return TargetResult(name, ready, round(memory * MEBIBYTE), 0.01, costs)


def shops(split_cpu: float = 1200.0, split_memory: float = 500.0) -> list[TargetResult]:
    return [
        measured("floor", 400, 30),
        measured("monolith", 900, 80),
        measured("monolith + gateway", 1000, 100),
        measured("microservices + gateway", split_cpu, split_memory),
    ]


@pytest.mark.processes
def test_one_connection_is_kept_for_many_requests(url: str) -> None:
    with Connection(url) as connection:
        for _ in range(3):
            assert b"kettle" in connection.request("GET", "/api/products")
        assert connection.request("DELETE", "/api/cart") == b""


@pytest.mark.processes
def test_a_refused_request_is_an_error(url: str) -> None:
    headers = {"Authorization": "Bearer ended"}
    with Connection(url) as connection, pytest.raises(BenchError, match="was answered 401"):
        connection.request("GET", "/api/orders", headers=headers)


def test_all_bars_are_met_by_a_good_run() -> None:
    assert all(check.met for check in checks(shops(), seeding=12.0))


def call_costs(floor: float, ours: float) -> list[calls.CallCost]:
    parts = {"caller": 0.5, "gateway": 0.25, "callee": 0.25}
    costs = [("the floor", floor), ("ours", ours)]
    return [calls.CallCost(name, [{part: us * share for part, share in parts.items()}]) for name, us in costs]


def test_a_call_in_the_shop_is_what_the_split_needs_more_for_each_call() -> None:
    results = shops(split_cpu=2400.0)
    assert calls.in_the_shop(results) == {PUT.name: 1400.0, BUY.name: 200.0}
    found = calls.checks(call_costs(floor=1000, ours=900), results)
    assert [(round(check.value, 2), check.met) for check in found] == [(0.9, True), (1.4, True), (0.2, True)]
    assert [check.met for check in calls.checks(call_costs(floor=900, ours=1400), results)] == [
        *(False, False, True)
    ]


def test_a_bar_that_is_missed_says_so() -> None:
    missed = {
        check.what for check in checks(shops(split_cpu=2100, split_memory=700), seeding=25) if not check.met
    }
    assert missed == {
        "CPU of the mixed journey, split : monolith",
        "CPU of single-owner endpoints, split : monolith (mean)",
        "CPU of single-owner endpoints, split : monolith (worst)",
        "split at rest, with gateway",
        "seeding both shops from nothing",
    }


def test_what_seeing_costs_is_a_row_for_each_shop_and_a_list_of_the_json() -> None:
    seen = [Seen("GET /api/products/{sku}", "monolith + gateway", 400.0, 1000.0)]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table(seen))
    row = console.export_text().splitlines()[-2]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        "GET /api/products/{sku}",
        "monolith + gateway",
        "400",
        "1000",
        "+600 (2.50 times)",
    ]
    assert as_json([], [], seen)["seeing"] == [asdict(seen[0])]


def test_a_product_by_an_orm_session_is_the_shops_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = {"sku": "P1", "name": "Kettle", "description": "Boils.", "category": "tea", "price_cents": 1900}
    with closing(sqlite3.connect(tmp_path / "shop.sqlite3")) as db:
        db.execute("CREATE TABLE products (sku, name, description, category, price_cents)")
        db.execute(
            "INSERT INTO products VALUES (:sku, :name, :description, :category, :price_cents)", product
        )
        db.commit()
    monkeypatch.setenv("SHOP_DATABASE_URL", sqlite_url(tmp_path / "shop.sqlite3"))
    wsgi: Any = orm.load("")
    client = Client(wsgi)
    assert client.get("/api/products/P1").json == product
    assert client.get("/api/products/P2").status_code == 404
    wsgi.__self__.extensions["engine"].dispose()


def test_a_shopper_takes_every_product_before_taking_one_twice() -> None:
    shopper = Shopper(tuple(f"P{n}" for n in range(10)), "")
    assert len({shopper.next_sku() for _ in range(10)}) == 10


def test_cpu_of_a_process_counts_up_while_it_works() -> None:
    import os

    before = cpu_seconds(os.getpid())
    sum(range(300_000))
    assert cpu_seconds(os.getpid()) > before


def test_cpu_of_a_process_that_has_ended_is_an_error() -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    with pytest.raises(ProcessLookupError):
        cpu_seconds(gone.pid)


def test_samples_fall_on_every_second_and_on_the_ends_of_phases() -> None:
    assert sample_times([(100.0, 102.5), (102.5, 104.0)]) == [100.0, 101.0, 102.0, 102.5, 103.5, 104.0]
    assert sample_times([(100.0, 101.1), (101.1, 102.0)]) == [100.0, 101.1, 102.0]


def test_no_sample_falls_into_the_turns_of_others() -> None:
    assert sample_times([(100.0, 101.5), (105.0, 106.0)]) == [100.0, 101.0, 101.5, 105.0, 106.0]
