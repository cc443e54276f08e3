"""Keys and passwords fit together, and are for their owner's eyes only."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from sqlalchemy import make_url

from microservices.chassis.config import Config
from microservices.chassis.tokens import ServiceTokens
from microservices.deployment import facts
from microservices.deployment.secret_values import make_secrets, write_env_files
from microservices.launcher.errors import LauncherError
from microservices.topology import MONOLITH, SPLIT


def test_each_service_gets_what_its_settings_ask_for() -> None:
    made = make_secrets(SPLIT, MONOLITH)
    for service in SPLIT.services:
        config = Config.from_env(service.name, made[service.name])
        assert config.service_key
        assert set(config.trusted_keys) == set(SPLIT.callers_of(service.name))


def test_a_call_that_the_topology_names_is_trusted_and_no_other() -> None:
    made = make_secrets(SPLIT)
    tokens = {}
    for service in SPLIT.services:
        config = Config.from_env(service.name, made[service.name])
        tokens[service.name] = ServiceTokens(service.name, config.service_key, config.trusted_keys)
    issued = tokens["orders"].issue("payments")
    assert issued is not None
    assert tokens["payments"].verify(issued) == "orders"
    forged = tokens["catalog"].issue("payments")
    assert forged is not None
    with pytest.raises(Exception, match="token"):
        tokens["payments"].verify(forged)


def test_each_database_has_its_own_role_and_password() -> None:
    made = make_secrets(SPLIT, MONOLITH)
    owners = [*SPLIT.with_database, *MONOLITH.with_database]
    urls = [make_url(made[service.name]["SHOP_DATABASE_URL"]) for service in owners]
    assert [url.username for url in urls] == [facts.role(service) for service in owners]
    assert [url.database for url in urls] == [facts.role(service) for service in owners]
    assert len({url.password for url in urls}) == len(urls)
    server = made[facts.DATABASE_HOST]
    assert [server[facts.password_variable(service)] for service in owners] == [url.password for url in urls]
    assert "SHOP_DATABASE_URL" not in made["storefront"]


def test_the_files_are_for_their_owner_and_are_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "containers"
    written = write_env_files(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in written} == {0o600}
    before = written[0].read_text()
    with pytest.raises(LauncherError, match="has secrets already"):
        write_env_files(folder)
    assert written[0].read_text() == before


def test_a_line_of_a_file_is_a_setting_in_single_quotes(tmp_path: Path) -> None:
    write_env_files(tmp_path / "containers")
    lines = (tmp_path / "containers" / "orders.env").read_text().splitlines()
    values = {name: value for name, _, value in (line.partition("=") for line in lines)}
    assert all(value[0] == value[-1] == "'" and "'" not in value[1:-1] for value in values.values())
    assert set(json.loads(values["SHOP_TRUSTED_KEYS"][1:-1])) == {"recommendations", "storefront"}
