"""Settings from the environment."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from microservices.chassis.config import Config, ConfigError, origins, seconds, sqlite_url

KEY = base64.b64encode(bytes(32)).decode()


def test_without_settings_everything_has_a_default(tmp_path: Path) -> None:
    config = Config.from_env("stock", {"SHOP_HOME": str(tmp_path)})
    assert config.database_url == sqlite_url(tmp_path / "data" / "stock.sqlite3")
    assert (config.host, config.port, config.threads, config.log_level) == ("127.0.0.1", 8000, 8, "warning")
    assert (config.timeout, config.feed_interval) == (2.0, 0.5)
    assert (config.service_key, config.trusted_keys, config.drain_file) == (None, {}, None)
    assert config.drain_seconds is None


def test_every_address_is_found_by_the_name_of_its_service() -> None:
    env = {
        "SHOP_STOCK_URL": "http://127.0.0.1:1/",
        "SHOP_DATABASE_URL": "sqlite://",
        "OTHER_URL": "x",
    }
    assert Config.from_env("stock", env).urls == {"stock": "http://127.0.0.1:1"}


def test_keys_are_read_from_base64() -> None:
    config = Config.from_env(
        "stock", {"SHOP_SERVICE_KEY": KEY, "SHOP_TRUSTED_KEYS": f'{{"orders": "{KEY}"}}'}
    )
    assert config.service_key == config.trusted_keys["orders"] == bytes(32)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHOP_SERVICE", "other"),
        ("SHOP_PORT", "0"),
        ("SHOP_PORT", "65536"),
        ("SHOP_PORT", "80 "),
        ("SHOP_THREADS", "many"),
        ("SHOP_LOG_LEVEL", "loud"),
        ("SHOP_TIMEOUT_SECONDS", "0"),
        ("SHOP_TIMEOUT_SECONDS", "nan"),
        ("SHOP_FEED_SECONDS", "soon"),
        ("SHOP_DRAIN_SECONDS", "0"),
        ("SHOP_STOCK_URL", "127.0.0.1:80"),
        ("SHOP_STOCK_URL", "https://127.0.0.1:80"),
        ("SHOP_SERVICE_KEY", "short"),
        ("SHOP_SERVICE_KEY", base64.b64encode(bytes(31)).decode()),
        ("SHOP_TRUSTED_KEYS", "{"),
        ("SHOP_TRUSTED_KEYS", "[]"),
        ("SHOP_TRUSTED_KEYS", '{"orders": 1}'),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence_that_names_it(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}.*\.$"):
        Config.from_env("stock", {name: value})


def test_an_address_with_tls_is_refused_with_what_to_set_instead() -> None:
    with pytest.raises(ConfigError, match=r"call each other without TLS: set it to an http:// address"):
        Config.from_env("stock", {"SHOP_STOCK_URL": "https://stock.example"})


def test_a_service_reads_settings_of_its_own_the_same_way() -> None:
    assert seconds({"SHOP_NAP_SECONDS": "1.5"}, "SHOP_NAP_SECONDS", 1.0) == 1.5
    with pytest.raises(ConfigError, match="SHOP_NAP_SECONDS is 'x'"):
        seconds({"SHOP_NAP_SECONDS": "x"}, "SHOP_NAP_SECONDS", 1.0)


def test_trusted_addresses_are_read_in_any_case_and_with_a_slash_at_the_end() -> None:
    text = "https://Name-8080.Example/  http://[::1]:8080"
    assert origins({"SHOP_X": text}, "SHOP_X") == {"https://name-8080.example", "http://[::1]:8080"}
    assert origins({}, "SHOP_X") == frozenset()


@pytest.mark.parametrize(
    "text", ["name-8080.example", "https://name.example/path", "ftp://name.example", "*"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"SHOP_X has .* set it to addresses such as https://shop.example"):
        origins({"SHOP_X": text}, "SHOP_X")
