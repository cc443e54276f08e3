"""Accounts over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from microservices.accounts import service
from microservices.accounts.app import create_app
from microservices.accounts.models import Base
from microservices.accounts.seed import tables
from microservices.chassis.tokens import PublishedKeys, TokenVerifier
from microservices.seeding import fill
from microservices.tests.one_service import ServiceUnderTest, as_customer

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
    fill(f"sqlite:///{tmp_path}/test.sqlite3", Base, tables(tmp_path))
    return tmp_path


@pytest.fixture
def http(folder: Path) -> Iterator[Any]:
    accounts = ServiceUnderTest(create_app, folder)
    yield accounts.http
    accounts.close()


def sign_in(http: Any, email: str = "ada@example.com", password: str = PASSWORD) -> Any:
    return http.post("/api/sessions", json={"email": email, "password": password})


def slug(response: Any) -> str:
    return str(response.json["type"]).removeprefix("/problems/")


def test_a_registered_customer_can_sign_in_and_see_the_account(http: Any) -> None:
    new = http.post("/api/customers", json={"email": "New@Example.com", "password": PASSWORD, "name": "New"})
    assert (new.status_code, new.headers["Location"]) == (201, "/api/customers/me")
    assert new.json == {"id": new.json["id"], "email": "new@example.com", "name": "New", "role": "customer"}
    session = sign_in(http, "NEW@example.com")
    assert (session.status_code, session.json["token_type"], session.json["expires_in"]) == (
        201,
        "Bearer",
        1800,
    )
    me = http.get("/api/customers/me", headers={"Authorization": f"Bearer {session.json['token']}"})
    assert me.json == new.json


def test_a_token_says_who_it_is_for_and_for_how_long(http: Any) -> None:
    token = sign_in(http).json["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert {name: claims[name] for name in ("sub", "role", "iss", "aud")} == {
        "sub": "C00001",
        "role": "customer",
        "iss": "shop",
        "aud": "shop",
    }
    assert claims["exp"] - claims["iat"] == 1800
    assert jwt.get_unverified_header(token)["alg"] == "EdDSA"


def test_others_can_check_a_token_with_the_published_keys(http: Any) -> None:
    keys = http.get("/.well-known/jwks.json").json
    assert all("d" not in key for key in keys["keys"])  # that would be the private half
    verifier = TokenVerifier(PublishedKeys(lambda: keys))
    assert verifier.verify(sign_in(http).json["token"]).customer_id == "C00001"


def test_all_replicas_sign_with_the_same_key(http: Any, folder: Path) -> None:
    other = ServiceUnderTest(create_app, folder)
    token = sign_in(other.http).json["token"]
    other.close()
    assert http.get("/api/customers/me", headers={"Authorization": f"Bearer {token}"}).json == ADA


def test_a_token_with_another_signature_is_refused(http: Any) -> None:
    assert http.get("/api/customers/me", headers=as_customer("C00001")).status_code == 401
    assert http.get("/api/customers/me").status_code == 401


def test_an_email_is_taken_once_whatever_its_case(http: Any) -> None:
    again = http.post("/api/customers", json={"email": "ADA@example.com", "password": PASSWORD, "name": "A"})
    assert (again.status_code, slug(again)) == (409, "email-taken")


def test_nobody_can_register_as_admin(http: Any) -> None:
    new = {"email": "new@example.com", "password": PASSWORD, "name": "New"}
    refused = http.post("/api/customers", json=new | {"role": "admin"})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "role")


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "nobody"},
        {"email": "a@b"},
        {"email": "a b@example.com"},
        {"email": f"{'x' * 250}@example.com"},
        {"password": "seven77"},
        {"password": "x" * 129},
        {"password": 12345678},
        {"name": ""},
        {"name": "x" * 81},
        {"name": "a\x00b"},
    ],
)
def test_invalid_input_is_refused(http: Any, wrong: dict[str, Any]) -> None:
    good = {"email": "new@example.com", "password": PASSWORD, "name": "New"}
    refused = http.post("/api/customers", json=good | wrong)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json["errors"]] == list(wrong)


def test_a_wrong_password_and_an_unknown_email_look_the_same(http: Any) -> None:
    wrong, unknown = sign_in(http, password="wrong"), sign_in(http, email="nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json == unknown.json
    assert slug(wrong) == "wrong-credentials"


def test_passwords_are_kept_as_argon2_hashes(password_hash: str) -> None:
    assert password_hash.startswith("$argon2id$")
    assert service.hash_password(PASSWORD) != password_hash
