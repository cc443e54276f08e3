from __future__ import annotations

import sqlite3

import pytest

from microservices.launcher import LauncherError
from microservices.launcher import seed as seeding
from microservices.topology import Service, Topology

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
    seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path, env=SMALL)
    with sqlite3.connect(tmp_path / "data" / "catalog.sqlite3") as database:
        (products,) = database.execute("SELECT count(*) FROM products").fetchone()
    database.close()
    assert products == 40
    assert not (tmp_path / "data" / "storefront.sqlite3").exists()


def test_the_second_time_the_database_is_only_copied(tmp_path, ran):
    for _ in range(2):
        seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path)
    assert names(ran) == ["monolith.cli", "microservices.catalog.seed"]
    assert seeding.is_seeded(tmp_path / "data", CATALOG)


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
    with pytest.raises(LauncherError, match=r"each owns its own; write \{service\} in it"):
        seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path, env=env)


@pytest.mark.processes
def test_a_wrong_size_is_an_error_with_the_text_of_the_program_that_refused_it(tmp_path):
    with pytest.raises(LauncherError, match="The data set could not be made: SHOP_PRODUCTS is 'many'"):
        seeding.seed(tmp_path / "data", topology=CATALOG, home=tmp_path, env={"SHOP_PRODUCTS": "many"})
    assert not (tmp_path / "data").exists()
