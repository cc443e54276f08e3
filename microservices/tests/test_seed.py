from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from microservices import cli
from microservices.launcher import LauncherError
from microservices.launcher import seed as seeding
from microservices.tests import postgresql
from microservices.topology import SPLIT, Service, Topology

SMALL = {"SHOP_PRODUCTS": "40", "SHOP_CUSTOMERS": "3", "SHOP_ORDERS": "10"}
CATALOG = Topology("one", (Service("catalog", ()), Service("storefront", (), has_database=False)))


@pytest.fixture
def ran(monkeypatch):
    """Instead of running a module, record it and write what it would write."""
    modules = []

    def run(module, env, failure):
        modules.append((module[0], env.get("SHOP_DATABASE_URL")))
        url = env.get("SHOP_DATABASE_URL", "")
        if module[0] == "monolith.cli":
            seeding.Path(module[2]).mkdir()
        elif url.startswith("sqlite:///"):
            seeding.Path(url.removeprefix("sqlite:///")).write_text("seeded")

    monkeypatch.setattr(seeding, "_run", run)
    return modules


def names(ran):
    return [module for module, _ in ran]


@pytest.mark.processes
def test_a_service_gets_its_part_of_the_shared_data(tmp_path):
    home = tmp_path / "50% off?#1" / "a%2Fb"  # would mean something else in a URL
    seeding.seed(tmp_path / "data", topology=CATALOG, home=home, env=SMALL)
    with sqlite3.connect(tmp_path / "data" / "catalog.sqlite3") as database:
        (products,) = database.execute("SELECT count(*) FROM products").fetchone()
    database.close()
    assert products == 40
    assert not (tmp_path / "data" / "storefront.sqlite3").exists()


def test_the_second_time_the_database_is_only_copied(tmp_path, ran):
    for _ in range(2):
        seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path)
    assert names(ran) == ["monolith.cli", "microservices.catalog.seed"]
    assert seeding.without_data(tmp_path / "data", CATALOG) == []


@pytest.fixture
def people_data(tmp_path, ran, monkeypatch):
    """The folder of a shop that people have used."""
    monkeypatch.setenv("SHOP_HOME", str(tmp_path))
    monkeypatch.delenv("SHOP_DATABASE_URL", raising=False)
    folder = tmp_path / "data"
    folder.mkdir()
    for service in SPLIT.with_database:
        seeding.database_file(folder, service).write_text("people's")
    return folder


def start(folder, *, fresh=None):
    """What `up` does about the data before it starts the shop."""
    cli._seed_if_wanted(folder, fresh=fresh)
    return {file.stem: file.read_text() for file in folder.glob("*.sqlite3")}


@pytest.mark.parametrize("how", [Path.unlink, lambda file: file.write_text("")])
def test_a_start_fills_only_the_database_that_is_missing_and_says_so(people_data, capsys, how):
    how(people_data / "catalog.sqlite3")
    found = start(people_data)
    assert found.pop("catalog") == "seeded"
    assert set(found.values()) == {"people's"}
    said = capsys.readouterr().out
    assert "There is no data of catalog: this part is filled with new data" in said
    assert "If you have a copy, stop the shop and put it back" in said


def test_a_start_changes_nothing_if_every_service_has_data(people_data, capsys):
    assert set(start(people_data).values()) == {"people's"}
    assert capsys.readouterr().out == ""


def test_data_is_replaced_when_asked_for_and_never_filled_when_refused(people_data, capsys):
    (people_data / "catalog.sqlite3").unlink()
    assert "catalog" not in start(people_data, fresh=False)
    assert set(start(people_data, fresh=True).values()) == {"seeded"}
    assert "There is no data" not in capsys.readouterr().out


def test_on_postgresql_a_database_without_tables_has_no_data(tmp_path, monkeypatch):
    two = Topology("two", tuple(SPLIT.service(name) for name in ("cart", "catalog")))
    with postgresql.databases(two) as (_, pattern):
        monkeypatch.setenv("SHOP_DATABASE_URL", pattern)
        assert seeding.without_data(tmp_path, two) == ["cart", "catalog"]
        with psycopg.connect(pattern.replace("{service}", "cart")) as db:
            db.execute("CREATE TABLE cart_lines ()")
        assert seeding.without_data(tmp_path, two) == ["catalog"]


def test_a_server_that_does_not_answer_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE_URL", "postgresql://shop@127.0.0.1:9/{service}")
    with pytest.raises(LauncherError, match=r"The database of catalog cannot be opened .*; start PostgreSQL"):
        seeding.without_data(tmp_path, CATALOG)


def test_on_postgresql_only_the_databases_that_are_asked_for_are_filled(tmp_path, ran):
    env = {"SHOP_DATABASE_URL": "postgresql://shop@db/{service}"}
    seeding.seed(tmp_path / "data", only=["cart"], home=tmp_path, env=env)
    assert ran[1:] == [("microservices.cart.seed", "postgresql://shop@db/cart")]


def test_a_new_copy_replaces_the_old_database(tmp_path, ran):
    target = tmp_path / "data" / "catalog.sqlite3"
    seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path)
    target.write_text("changed")
    (tmp_path / "data" / "catalog.sqlite3-wal").write_text("changes that would be applied to the new copy")
    seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path)
    assert target.read_text() == "seeded"
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["catalog.sqlite3"]


def test_other_sizes_need_other_data(tmp_path, ran):
    for products in ("40", "41"):
        seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path, env={"SHOP_PRODUCTS": products})
    assert names(ran) == ["monolith.cli", "microservices.catalog.seed"] * 2


def test_after_a_change_in_one_service_only_its_database_is_filled_again(tmp_path, ran, monkeypatch):
    (tmp_path / "code" / "catalog").mkdir(parents=True)
    (tmp_path / "code" / "chassis").mkdir()
    for file in ("catalog/models.py", "chassis/database.py", "seeding.py"):
        (tmp_path / "code" / file).write_text("before")
    monkeypatch.setattr(seeding, "__file__", str(tmp_path / "code" / "launcher" / "seed.py"))
    seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path)
    (tmp_path / "code" / "catalog" / "routes.py").write_text("does not affect the data")
    seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path)
    (tmp_path / "code" / "catalog" / "models.py").write_text("after")
    seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path)
    assert names(ran) == ["monolith.cli"] + ["microservices.catalog.seed"] * 2


def test_postgresql_databases_are_filled_directly_every_time(tmp_path, ran):
    env = {"SHOP_DATABASE_URL": "postgresql://shop@db/{service}"}
    for _ in range(2):
        seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path, env=env)
    assert ran[1:] == [("microservices.catalog.seed", "postgresql://shop@db/catalog")] * 2
    assert not (tmp_path / "data").exists()


def test_one_database_for_all_services_is_refused(tmp_path, ran):
    env = {"SHOP_DATABASE_URL": "postgresql://shop@db/all"}
    two = Topology("two", (Service("catalog", ()), Service("cart", ())))
    with pytest.raises(LauncherError, match=r"each owns its own; write \{service\} in it"):
        seeding.seed(tmp_path / "data", topology=two, home=tmp_path, env=env)


@pytest.mark.processes
def test_a_wrong_size_is_an_error_with_the_text_of_the_program_that_refused_it(tmp_path):
    with pytest.raises(LauncherError, match="The data set could not be made: SHOP_PRODUCTS is 'many'"):
        seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path, env={"SHOP_PRODUCTS": "many"})
    assert not (tmp_path / "data").exists()
