"""The pages of a small monolith in this process, and a browser that fills in its forms."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from monolith.app import create_app
from monolith.chassis.config import Config, sqlite_url
from monolith.chassis.runtime import runtime
from monolith.dataset import DEMO_PASSWORD, Sizes
from monolith.seed import seed


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    seed(Config.from_env({"SHOP_HOME": str(home)}), Sizes(seed=1, products=200, customers=30, orders=300))
    return home / "data" / "monolith.sqlite3"


@pytest.fixture
def app(template: Path, tmp_path: Path) -> Iterator[Flask]:
    shutil.copyfile(template, tmp_path / "shop.sqlite3")
    settings = {
        "SHOP_HOME": str(tmp_path),
        "SHOP_DATABASE_URL": sqlite_url(tmp_path / "shop.sqlite3"),
        "SHOP_PAYMENT_TIMEOUT_SECONDS": "0.01",
    }
    app = create_app(Config.from_env(settings))
    yield app
    runtime(app).database.dispose()


class Browser:
    """Sends forms as a browser does, with the address of the shop as their origin."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def get(self, path: str, **options) -> TestResponse:
        return self.client.get(path, **options)

    def send(self, path: str, origin: str = "http://localhost", **fields: str) -> TestResponse:
        headers = {"Origin": origin} if origin else {}
        return self.client.post(path, data=fields, headers=headers)

    def sign_in(self, email: str = "ada@example.com", **fields: str) -> TestResponse:
        return self.send("/sign-in", email=email, password=DEMO_PASSWORD, **fields)

    def pay(self, card: str, key: str = "") -> TestResponse:
        key = key or checkout_key(self.get("/checkout"))
        return self.send("/checkout", card_number=card, key=key)


def checkout_key(page: TestResponse) -> str:
    found = re.search(r'name="key" value="([^"]+)"', page.text)
    assert found
    return found[1]


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)
