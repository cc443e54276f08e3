"""A whole monolith in this process, on a small data set that is made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from monolith.app import create_app
from monolith.chassis.config import Config, sqlite_url
from monolith.chassis.database import Database
from monolith.chassis.runtime import runtime
from monolith.dataset import DEMO_PASSWORD, Sizes
from monolith.seed import seed

SMALL = Sizes(seed=1, products=200, customers=30, orders=300)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    seed(Config.from_env({"SHOP_HOME": str(home)}), SMALL)
    return home / "data" / "monolith.sqlite3"


@pytest.fixture
def config(template: Path, tmp_path: Path) -> Config:
    shutil.copyfile(template, tmp_path / "shop.sqlite3")
    return Config.from_env(
        {
            "SHOP_HOME": str(tmp_path),
            "SHOP_DATABASE_URL": sqlite_url(tmp_path / "shop.sqlite3"),
            "SHOP_PAYMENT_TIMEOUT_SECONDS": "0.01",
            "SHOP_DRAIN_FILE": str(tmp_path / "drain"),
        }
    )


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    app = create_app(config)
    yield app
    runtime(app).database.dispose()


@pytest.fixture
def database(app: Flask) -> Database:
    return runtime(app).database


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


class Shopper:
    """A signed-in customer who sends requests to the application."""

    def __init__(self, client: FlaskClient, email: str) -> None:
        self.client = client
        answer = client.post("/api/sessions", json={"email": email, "password": DEMO_PASSWORD})
        self.headers = {"Authorization": f"Bearer {answer.get_json()['token']}"}

    def get(self, path):
        return self.client.get(path, headers=self.headers)

    def put(self, path, body):
        return self.client.put(path, json=body, headers=self.headers)

    def check_out(self, card="4242 4242 4242 4242", key="key-00000001"):
        headers = {**self.headers, "Idempotency-Key": key}
        return self.client.post("/api/orders", json={"card_number": card}, headers=headers)


@pytest.fixture
def ada(client: FlaskClient) -> Shopper:
    return Shopper(client, "ada@example.com")
