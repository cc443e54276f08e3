"""Accounts over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microservices.accounts import service
from microservices.accounts.app import create_app
from microservices.accounts.models import Base
from microservices.accounts.seed import tables
from microservices.chassis.config import sqlite_url
from microservices.seeding import fill
from microservices.tests.one_service import ServiceUnderTest

PASSWORD = "correct-horse-battery"
ADA = {"id": "C00001", "email": "ada@example.com", "name": "Ada", "role": "customer"}


@pytest.fixture(scope="module")
def password_hash() -> str:
    return service.hash_password(PASSWORD)


@pytest.fixture
def folder(tmp_path: Path, password_hash: str) -> Path:
    (tmp_path / "customers.jsonl").write_text(
        json.dumps(ADA | {"password_hash": password_hash}), encoding="utf-8"
    )
    fill(sqlite_url(tmp_path / "test.sqlite3"), Base, tables(tmp_path))
    return tmp_path


@pytest.fixture
def http(folder: Path) -> Iterator[Any]:
    accounts = ServiceUnderTest(create_app, folder)
    yield accounts.http
    accounts.close()


def sign_in(http: Any, email: str = "ada@example.com", password: str = PASSWORD) -> Any:
    return http.post("/api/sessions", json={"email": email, "password": password})


def test_all_replicas_sign_with_the_same_key(http: Any, folder: Path) -> None:
    other = ServiceUnderTest(create_app, folder)
    token = sign_in(other.http).json["token"]
    other.close()
    assert http.get("/api/customers/me", headers={"Authorization": f"Bearer {token}"}).json == ADA


def test_passwords_are_kept_as_argon2_hashes(password_hash: str) -> None:
    assert password_hash.startswith("$argon2id$")
    assert service.hash_password(PASSWORD) != password_hash
