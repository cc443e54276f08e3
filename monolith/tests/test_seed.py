"""Seeding: not while the shop is served, and with a cache that does not grow without limit."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

from monolith.chassis import serving_lock
from monolith.chassis.config import Config, ConfigError, sqlite_url
from monolith.chassis.database import Database
from monolith.dataset import Sizes
from monolith.seed import KEEP, seed

TINY = Sizes(seed=1, products=40, customers=8, orders=10)
SIZES = {"SHOP_PRODUCTS": "40", "SHOP_CUSTOMERS": "8", "SHOP_ORDERS": "10"}
POSTGRESQL = os.environ.get("SHOP_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


def run_seed(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monolith.cli", "seed", *options]
    env = {**os.environ, **SIZES, "SHOP_HOME": str(home)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def odd_home(tmp_path):
    """A folder whose name would mean something else in a URL."""
    return tmp_path / "50% off?#1" / "a%2Fb"


def test_a_folder_with_the_special_characters_of_urls_holds_the_database(odd_home, tmp_path):
    seed(Config.from_env({"SHOP_HOME": str(odd_home)}), TINY)
    assert (odd_home / "data" / "monolith.sqlite3").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["50% off?#1"]
    assert [path.name for path in odd_home.parent.iterdir()] == ["a%2Fb"]


@pytest.mark.processes
def test_a_shop_that_is_served_is_not_seeded_and_one_that_was_killed_is(odd_home):
    assert run_seed(odd_home).returncode == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "monolith.cli", "serve", "--port", str(port)]
    server = subprocess.Popen(
        command,
        env={**os.environ, "SHOP_HOME": str(odd_home)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not answers(f"http://127.0.0.1:{port}/readyz"):
            assert time.monotonic() < deadline
            assert server.poll() is None
        refused = run_seed(odd_home)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == (
            f"The shop is being served from {odd_home}/data/monolith.sqlite3; stop it, and seed again.\n"
        )
        assert answers(f"http://127.0.0.1:{port}/api/products/P00001")
    finally:
        os.killpg(server.pid, 9)
        server.wait(timeout=10)
    deadline = time.monotonic() + 60
    while run_seed(odd_home).returncode:  # the worker may outlive its parent by a moment
        assert time.monotonic() < deadline


def test_two_processes_may_serve_from_one_database(tmp_path):
    url = sqlite_url(tmp_path / "shop.sqlite3")
    first, second = serving_lock.shared(url), serving_lock.shared(url)
    assert first is not None
    assert second is not None
    first.close()
    with pytest.raises(ConfigError, match="stop it"), serving_lock.exclusive(url):
        pass
    second.close()
    with serving_lock.exclusive(url):
        pass


def test_a_database_of_postgresql_with_other_sessions_is_left_alone():
    try:
        session = psycopg.connect(POSTGRESQL, connect_timeout=2)
    except psycopg.Error as error:
        pytest.skip(
            f"no PostgreSQL at SHOP_TEST_POSTGRES ({POSTGRESQL}): {str(error).strip().splitlines()[0]}"
        )
    with (
        session,
        pytest.raises(ConfigError, match=r"in use by others \(\d+ open sessions\); stop"),
        serving_lock.exclusive(POSTGRESQL),
    ):
        pass


def test_the_cache_keeps_the_newest_templates_only(tmp_path):
    config = Config.from_env({"SHOP_HOME": str(tmp_path)})
    for products in range(40, 40 + KEEP + 2):
        seed(config, Sizes(seed=1, products=products, customers=8, orders=10))
    templates = sorted((tmp_path / "cache").glob("monolith-*.sqlite3"), key=lambda file: file.stat().st_mtime)
    assert len(templates) == KEEP
    seed(config, Sizes(seed=1, products=40 + KEEP + 1, customers=8, orders=10))
    assert sorted((tmp_path / "cache").iterdir()) == sorted(templates), (
        "the newest is still there to be copied"
    )


@pytest.mark.processes
def test_with_if_empty_a_database_that_a_replica_only_created_is_filled(tmp_path):
    config = Config.from_env({"SHOP_HOME": str(tmp_path)})
    database = Database(config.database_url)
    database.create_tables()
    database.dispose()
    assert "Seeded" in run_seed(tmp_path, "--if-empty").stdout


@pytest.mark.processes
def test_with_if_empty_a_shop_that_has_customers_stays_as_it_is(tmp_path):
    assert "Seeded" in run_seed(tmp_path, "--if-empty").stdout
    file = tmp_path / "data" / "monolith.sqlite3"
    before = file.stat().st_mtime_ns
    assert run_seed(tmp_path, "--if-empty").stdout == "The shop has data; it stays as it is.\n"
    assert file.stat().st_mtime_ns == before


def test_seeding_replaces_what_was_there(tmp_path):
    config = Config.from_env({"SHOP_HOME": str(tmp_path)})
    seed(config, TINY)
    file = tmp_path / "data" / "monolith.sqlite3"
    before = file.read_bytes()
    file.write_bytes(b"rubbish")
    seed(config, TINY)
    assert file.read_bytes() == before
