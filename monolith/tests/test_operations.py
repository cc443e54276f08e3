"""Config, seeding, readiness, metrics and the commands."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from monolith.chassis.config import Config, ConfigError
from monolith.cli import cli
from monolith.dataset import Sizes, make_dataset
from monolith.seed import fingerprint
from monolith.tests.conftest import SMALL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHOP_PORT", "http"),
        ("SHOP_PORT", "0"),
        ("SHOP_THREADS", "-1"),
        ("SHOP_FEED_SECONDS", "nan"),
        ("SHOP_LOG_LEVEL", "loud"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_one_sentence(name, value):
    with pytest.raises(ConfigError, match=rf"^{name} is '{value}'; set it to .*\.$"):
        Config.from_env({name: value})


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data():
    assert make_dataset(SMALL, "hash") == make_dataset(SMALL, "hash")
    other = Sizes(seed=2, products=200, customers=30, orders=300)
    assert make_dataset(SMALL, "hash").orders != make_dataset(other, "hash").orders


def test_past_orders_cost_what_their_lines_cost():
    for order in make_dataset(SMALL, "hash").orders:
        assert order["total_cents"] == sum(i["unit_price_cents"] * i["quantity"] for i in order["items"])


def test_product_names_are_distinct():
    names = [product["name"] for product in make_dataset(Sizes(1, 2000, 3, 0), "hash").products]
    assert len(set(names)) == len(names)


def test_another_size_is_another_template():
    assert fingerprint(SMALL) != fingerprint(Sizes(seed=1, products=201, customers=30, orders=300))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"HTTP_HOST": ""}, 400),
        ({"HTTP_HOST": "a,b"}, 400),
        ({"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/api/categories", "/"])
def test_what_no_route_can_use_is_refused_without_a_gateway_too(client, path, sent, status):
    assert client.get(path, environ_overrides=sent).status_code == status


def test_a_draining_process_is_not_ready_but_alive(client, config):
    assert client.get("/readyz").json == {"status": "ready"}
    config.drain_file.touch()
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_requests_are_counted_by_route_template(client):
    client.get("/api/products/P00001")
    client.get("/api/products/NOTHING")
    metrics = client.get("/metrics").text
    route = 'method="GET",route="/api/products/<sku>"'
    assert f'http_requests_total{{{route},status="200"}} 1.0' in metrics
    assert f'http_requests_total{{{route},status="404"}} 1.0' in metrics


def test_an_unexpected_error_shows_no_traceback(app, client, monkeypatch):
    def broken(*_args):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("monolith.catalog.service.product", broken)
    answer = client.get("/api/products/P00001")
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "secret detail" not in answer.text


def test_a_writing_session_holds_the_write_lock_from_its_first_read(database):
    with database.writing() as db, database.reading() as other:
        db.execute(text("SELECT count(*) FROM products")).scalar()
        other.exec_driver_sql("PRAGMA busy_timeout=0")
        with pytest.raises(OperationalError, match="locked"):
            other.execute(text("DELETE FROM cart_lines"))


def test_a_reading_session_holds_no_lock(database):
    with database.reading() as reader:
        reader.execute(text("SELECT count(*) FROM products")).scalar()
        with database.writing() as db:
            db.execute(text("DELETE FROM cart_lines"))


def test_serve_without_a_shop_says_what_to_do(tmp_path: Path):
    result = CliRunner().invoke(cli, ["serve"], env={"SHOP_HOME": str(tmp_path)})
    assert isinstance(result.exception, ConfigError)
    assert "run `monolith seed` first" in str(result.exception)


def test_serve_on_a_taken_port_says_what_to_do(config):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env = {"SHOP_DATABASE_URL": config.database_url}
        result = CliRunner().invoke(cli, ["serve", "--port", port], env=env)
    assert "choose another with --port" in str(result.exception)


def test_routes_lists_what_the_shop_answers():
    result = CliRunner().invoke(cli, ["routes"], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    assert "/api/products/<sku>/recommendations" in result.output
