"""A database whose tables do not fit the code, in both shops: said at the start and by /readyz, not as `try again`."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from microservices.catalog import app as split
from microservices.chassis.config import ConfigError as SplitConfigError
from microservices.chassis.config import sqlite_url
from microservices.chassis.database import Database as SplitDatabase
from microservices.chassis.runtime import runtime
from microservices.tests import postgresql
from microservices.topology import MONOLITH, SPLIT
from monolith.app import create_app
from monolith.chassis.config import Config
from monolith.chassis.config import ConfigError as MonolithConfigError
from monolith.chassis.database import Database as MonolithDatabase

CONFIG_ERRORS = (MonolithConfigError, SplitConfigError)
SEED = {"monolith": "monolith seed", "split": "microservices seed"}
KEEPING_DATA = [service.name for service in SPLIT.services if service.has_database]

RENAMED = (
    "lacks the column products.price_cents, wants a value for the column products.cents, "
    "which the code does not have"
)

Start = Callable[[], AbstractContextManager[Flask]]


@pytest.fixture(params=["monolith", "split"])
def shop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def on_postgresql() -> Iterator[str]:
    with postgresql.databases(MONOLITH) as (_, pattern):
        yield pattern.replace("{service}", "monolith")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "shop.sqlite3")
    url: str = request.getfixturevalue("on_postgresql")
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE")
        db.execute("CREATE SCHEMA public")
    return url


@pytest.fixture
def start(shop: str, url: str, tmp_path: Path) -> Start:
    """Makes the application that has the catalog, for the length of a block."""
    env = {
        "SHOP_HOME": str(tmp_path),
        "SHOP_DATABASE_URL": url,
        "SHOP_ACCOUNTS_URL": "http://unused.invalid",
    }

    @contextmanager
    def start() -> Iterator[Flask]:
        app = create_app(Config.from_env(env)) if shop == "monolith" else split.create_app(env)
        yield app
        runtime(app).database.dispose()

    return start


def change(app: Flask, *statements: str) -> None:
    with runtime(app).database.writing() as db:
        for statement in statements:
            db.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("ALTER TABLE products DROP COLUMN price_cents", "lacks the column products.price_cents"),
        ("ALTER TABLE products RENAME COLUMN price_cents TO cents", RENAMED),
    ],
)
def test_it_is_said_at_the_start_with_the_next_step(start: Start, shop: str, statement: str, what: str):
    with start() as app:
        change(app, statement)
    with pytest.raises(CONFIG_ERRORS) as refused, start():
        pass
    assert re.fullmatch(
        rf"The database \S+ {re.escape(what)}; seed it anew with `{SEED[shop]}`, which replaces its data, "
        r"or set SHOP_DATABASE_URL to another\.",
        str(refused.value),
    )


def test_a_column_of_another_type_does_not_fit(start: Start):
    with start() as app:
        change(
            app,
            "ALTER TABLE products DROP COLUMN price_cents",
            "ALTER TABLE products ADD COLUMN price_cents VARCHAR(20)",
        )
    with (
        pytest.raises(CONFIG_ERRORS, match=r" has another type in the column products\.price_cents; "),
        start(),
    ):
        pass


def test_what_the_code_need_not_know_fits(start: Start):
    with start() as app:
        change(
            app,
            "ALTER TABLE products ADD COLUMN note VARCHAR(20)",
            "ALTER TABLE products ADD COLUMN weight INTEGER NOT NULL DEFAULT 0",
            "CREATE TABLE of_somebody_else (id INTEGER)",
        )
    with start():
        pass


def test_of_many_differences_the_first_are_said(start: Start):
    columns = ("name", "description", "bestseller_rank", "price_cents")
    with start() as app:
        change(app, "DROP INDEX ix_products_bestseller_rank")
        change(app, *(f"ALTER TABLE products DROP COLUMN {column}" for column in columns))
    with pytest.raises(CONFIG_ERRORS, match=r"lacks the column products\.\w+ and more; seed"), start():
        pass


def test_under_a_running_process_it_is_a_mistake_until_the_tables_fit_again(
    start: Start, caplog: pytest.LogCaptureFixture
):
    with start() as app:
        http = app.test_client()
        assert http.get("/readyz").json == {"status": "ready"}
        change(app, "ALTER TABLE products RENAME COLUMN price_cents TO cents")
        answer = http.get("/api/products/P00001")
        assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
        assert "Retry-After" not in answer.headers
        assert "lacks the column products.price_cents" in caplog.text
        ready = http.get("/readyz")
        assert (ready.status_code, ready.content_type) == (503, "application/problem+json")
        assert "lacks the column products.price_cents" in ready.text
        change(app, "ALTER TABLE products RENAME COLUMN cents TO price_cents")
        assert http.get("/readyz").json == {"status": "ready"}
        assert http.get("/api/products/P00001").status_code == 404


def test_a_statement_of_ours_that_is_wrong_leaves_the_process_ready(start: Start):
    with start() as app:

        @app.get("/wrong")
        def wrong() -> str:
            change(app, "SELECT * FROM no_such_table")
            return "nothing was wrong"

        assert app.test_client().get("/wrong").status_code == 500
        assert app.test_client().get("/readyz").status_code == 200


@pytest.mark.parametrize("name", ["monolith", *KEEPING_DATA])
def test_the_tables_that_the_code_makes_fit(url: str, name: str):
    database: Any
    if name == "monolith":
        database = MonolithDatabase(url)
    else:
        database = SplitDatabase(url, import_module(f"microservices.{name}.models").Base)
    database.create_tables()
    assert database.misfit() == ""
    database.dispose()


def test_a_page_of_the_monolith_says_no_try_again_either(tmp_path: Path):
    app = create_app(Config.from_env({"SHOP_HOME": str(tmp_path)}))
    change(app, "ALTER TABLE products RENAME COLUMN price_cents TO cents")
    assert app.test_client().get("/").status_code == 500
    runtime(app).database.dispose()


@pytest.mark.processes
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_command_that_serves_ends_with_the_sentence(start: Start, shop: str, url: str, tmp_path: Path):
    with start() as app:
        change(app, "ALTER TABLE products DROP COLUMN price_cents")
    env = {**os.environ, "SHOP_HOME": str(tmp_path), "SHOP_DATABASE_URL": url}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        env |= {"SHOP_ACCOUNTS_URL": "http://unused.invalid", "SHOP_PORT": str(probe.getsockname()[1])}
    command = {
        "monolith": ["-m", "monolith.cli", "serve"],
        "split": ["-m", "microservices.chassis.serve", "microservices.catalog.app"],
    }[shop]
    done = subprocess.run(
        [sys.executable, *command], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert re.fullmatch(r"The database \S+ lacks the column products\.price_cents; seed .+\.\n", done.stderr)
