"""How often passwords may be guessed: two replicas of each shop's accounts in this process.

Tests that depend on the database run on both.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier
from types import ModuleType
from typing import Any

import psycopg
import pytest
from argon2.exceptions import VerifyMismatchError
from flask import Flask
from sqlalchemy import func, select, text

from microservices.accounts import app as split_app
from microservices.accounts import limits as split_limits
from microservices.accounts import service as split_service
from microservices.accounts.models import Base as SplitBase
from microservices.accounts.seed import tables
from microservices.chassis.config import sqlite_url
from microservices.chassis.runtime import runtime
from microservices.seeding import fill
from microservices.tests import postgresql
from microservices.topology import MONOLITH
from monolith.accounts import limits as monolith_limits
from monolith.accounts import service as monolith_service
from monolith.app import create_app
from monolith.chassis.config import Config

PASSWORD, HERE, ELSEWHERE = "correct-horse-battery", "198.51.100.7", "203.0.113.9"
AT_ONCE = 24
ADA = {"id": "C00001", "email": "ada@example.com", "name": "Ada", "role": "customer"}


class FastHasher:
    """Replaces Argon2, which is not tested here; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def hash(self, password: str) -> str:
        return f"hash of {password}"

    def verify(self, stored: str, password: str) -> None:
        self.calls += 1
        if stored != self.hash(password):
            raise VerifyMismatchError


class Accounts:
    """Two replicas on one database; `sign_in` calls one of them from any address."""

    def __init__(self, replicas: list[Flask], limits: ModuleType, hasher: FastHasher) -> None:
        self.replicas, self.limits, self.hasher = replicas, limits, hasher

    def sign_in(
        self,
        password: str = "wrong",
        address: str = HERE,
        *,
        email: str = "ada@example.com",
        replica: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        return (
            self.replicas[replica]
            .test_client()
            .post(
                "/api/sessions",
                json={"email": email, "password": password},
                environ_overrides={"REMOTE_ADDR": address},
                headers=dict(headers or {}),
            )
        )

    def statuses(self, tries: int, address: str = HERE) -> list[int]:
        return [self.sign_in(address=address).status_code for _ in range(tries)]

    def rows(self, table: Any) -> int:
        with runtime(self.replicas[0]).database.reading() as db:
            return int(db.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture(params=["monolith", "split"])
def shop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def on_postgresql() -> Iterator[str]:
    with postgresql.databases(MONOLITH) as (_, pattern):
        yield pattern.replace("{service}", "monolith")


on_both_databases = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return sqlite_url(tmp_path / "accounts.sqlite3")
    url: str = request.getfixturevalue("on_postgresql")
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE")
        db.execute("CREATE SCHEMA public")
    return url


@pytest.fixture
def hasher(shop: str, monkeypatch: pytest.MonkeyPatch) -> FastHasher:
    hasher = FastHasher()
    for module in (monolith_service, split_service):
        monkeypatch.setattr(module, "_hasher", hasher)
        monkeypatch.setattr(module, "_unknown_email_hash", "of nobody")
    return hasher


@pytest.fixture
def start(shop: str, url: str, tmp_path: Path, hasher: FastHasher) -> Iterator[Callable[..., Accounts]]:
    """Start the accounts with Ada as a customer; they are closed after the test."""
    apps: list[Flask] = []
    ada = ADA | {"password_hash": hasher.hash(PASSWORD)}

    def start(**settings: str) -> Accounts:
        env = {"SHOP_HOME": str(tmp_path), "SHOP_DATABASE_URL": url, "SHOP_THREADS": str(AT_ONCE), **settings}
        if shop == "monolith":
            apps.extend(create_app(Config.from_env(env)) for _ in range(2))
            with runtime(apps[0]).database.writing() as db:
                db.execute(
                    text("INSERT INTO customers VALUES (:id, :email, :name, :role, :password_hash)"), ada
                )
            return Accounts(apps, monolith_limits, hasher)
        (tmp_path / "customers.jsonl").write_text(json.dumps(ada), encoding="utf-8")
        fill(url, SplitBase, tables(tmp_path))
        apps.extend(split_app.create_app(env) for _ in range(2))
        return Accounts(apps, split_limits, hasher)

    with ExitStack() as stack:
        yield start
        for app in apps:
            stack.callback(runtime(app).database.dispose)


@pytest.fixture
def accounts(start: Callable[..., Accounts]) -> Accounts:
    return start()


@on_both_databases
def test_no_number_of_threads_and_replicas_gets_more_tries_than_there_are(accounts: Accounts) -> None:
    together = Barrier(AT_ONCE)

    def guess(number: int) -> int:
        together.wait(timeout=30)
        return int(accounts.sign_in(replica=number % 2).status_code)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = Counter(pool.map(guess, range(AT_ONCE)))
    assert answers == {401: 10, 429: AT_ONCE - 10}
    assert accounts.hasher.calls == 10


def test_a_stranger_elsewhere_does_not_keep_a_customer_out(accounts: Accounts) -> None:
    assert accounts.statuses(12, ELSEWHERE) == [401] * 10 + [429] * 2
    assert accounts.sign_in(PASSWORD, ELSEWHERE).status_code == 429
    assert accounts.sign_in(PASSWORD).status_code == 201


def test_many_strangers_together_get_fifty_tries(accounts: Accounts) -> None:
    answers = [accounts.sign_in(address=f"203.0.113.{number}").status_code for number in range(53)]
    assert answers == [401] * 50 + [429] * 3


@on_both_databases
def test_many_strangers_do_not_keep_a_customer_out_where_they_have_signed_in_before(
    accounts: Accounts,
) -> None:
    assert accounts.sign_in(PASSWORD).status_code == 201
    for number in range(51):
        accounts.sign_in(address=f"203.0.113.{number}")
    assert accounts.sign_in(PASSWORD, "203.0.113.200").status_code == 429
    assert accounts.sign_in(PASSWORD, replica=1).status_code == 201


def test_a_network_with_only_wrong_guesses_is_not_known(accounts: Accounts) -> None:
    for number in range(50):
        accounts.sign_in(address=f"203.0.113.{number}")
    assert accounts.sign_in(PASSWORD, "203.0.113.1").status_code == 429


def test_a_network_is_known_for_thirty_days(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts.sign_in(PASSWORD)
    later = time.time() + accounts.limits.KNOWN_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(accounts.limits, "sweep_expired", lambda: None)  # it sweeps, and would forget it too
    for number in range(50):
        accounts.sign_in(address=f"203.0.113.{number}")
    assert accounts.sign_in(PASSWORD).status_code == 429


@on_both_databases
def test_a_try_is_available_again_after_retry_after(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    accounts.statuses(10)
    refused = accounts.sign_in(PASSWORD)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "90")
    assert "in 90 seconds" in refused.json["detail"]
    monkeypatch.setattr(time, "time", lambda: now + 89)
    assert accounts.sign_in(PASSWORD).headers["Retry-After"] == "1"
    monkeypatch.setattr(time, "time", lambda: now + 90)
    assert accounts.statuses(2) == [401, 429]
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert accounts.statuses(11) == [401] * 10 + [429]


def test_a_refusal_uses_up_no_try(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    accounts.statuses(10 + 45)
    assert accounts.hasher.calls == 10
    others = [accounts.sign_in(address=f"203.0.113.{number}").status_code for number in range(41)]
    assert others == [401] * 40 + [429]


def test_the_right_password_uses_up_no_try(accounts: Accounts) -> None:
    accounts.statuses(9)
    assert [accounts.sign_in(PASSWORD).status_code for _ in range(60)] == [201] * 60
    assert accounts.statuses(2) == [401, 429]


def test_an_unknown_email_is_limited_like_a_known_one(accounts: Accounts) -> None:
    answers = [accounts.sign_in(email="nobody@example.com") for _ in range(11)]
    assert [answer.status_code for answer in answers] == accounts.statuses(11)
    assert accounts.sign_in(email="grace@example.com").status_code == 401


@on_both_databases
def test_expired_tries_and_networks_are_deleted(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        accounts.sign_in(email=f"{number}@example.com")
    accounts.sign_in(PASSWORD)
    assert accounts.rows(accounts.limits.Tries) == 12
    later = time.time() + accounts.limits.KNOWN_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    accounts.sign_in(email="new@example.com")
    assert accounts.rows(accounts.limits.Tries) == 2
    assert accounts.rows(accounts.limits.KnownNetwork) == 0


def test_a_header_is_not_believed_without_a_gateway(accounts: Accounts) -> None:
    answers = [
        accounts.sign_in(headers={"X-Client-Address": f"203.0.113.{number}"}).status_code
        for number in range(12)
    ]
    assert answers == [401] * 10 + [429] * 2


def test_behind_a_gateway_its_header_is_believed(start: Callable[..., Accounts]) -> None:
    accounts = start(SHOP_BEHIND_GATEWAY="1")
    for number in range(10):
        accounts.sign_in(address=f"127.0.0.{number}", headers={"X-Client-Address": ELSEWHERE})
    assert accounts.sign_in(PASSWORD, headers={"X-Client-Address": ELSEWHERE}).status_code == 429
    assert accounts.sign_in(PASSWORD, headers={"X-Client-Address": HERE}).status_code == 201


@pytest.mark.parametrize("limits", [monolith_limits, split_limits])
@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("not an address", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_ipv6_customer_is_one_network(limits: ModuleType, address: str | None, network: str) -> None:
    assert limits.network_of(address) == network
