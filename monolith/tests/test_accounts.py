"""Signing in, and who may do what."""

from __future__ import annotations

import time
from dataclasses import replace

import jwt
import pytest
from sqlalchemy import select, update

from monolith.accounts.models import Customer, SignInFailure
from monolith.auth import TokenVerifier
from monolith.dataset import DEMO_PASSWORD
from monolith.errors import NotAuthenticated


def sign_in(client, email, password):
    return client.post("/api/sessions", json={"email": email, "password": password})


def test_passwords_are_kept_as_argon2id_hashes_only(client, database):
    client.post("/api/customers", json={"email": "a@b.test", "password": "long enough", "name": "A"})
    with database.reading() as db:
        stored = db.execute(select(Customer.password_hash).where(Customer.email == "a@b.test")).scalar_one()
    assert stored.startswith("$argon2id$")


def test_the_eleventh_try_after_ten_wrong_passwords_is_refused_even_with_the_right_one(client):
    for _ in range(10):
        assert sign_in(client, "ada@example.com", "wrong").status_code == 401
    assert sign_in(client, "ada@example.com", DEMO_PASSWORD).status_code == 429


def test_wrong_passwords_are_forgotten_after_a_quarter_of_an_hour(client, database):
    for _ in range(10):
        sign_in(client, "ada@example.com", "wrong")
    with database.writing() as db:
        db.execute(update(SignInFailure).values(at=time.time() - 901))
    assert sign_in(client, "ada@example.com", DEMO_PASSWORD).status_code == 201


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "é", jwt.encode({"sub": "C00001"}, "", algorithm="none")]
)
def test_a_text_that_proves_nothing_is_no_token(app, token):
    with pytest.raises(NotAuthenticated):
        app.extensions["token_verifier"].verify(token)


def test_a_remembered_token_is_refused_once_it_has_expired(app, ada):
    verifier: TokenVerifier = app.extensions["token_verifier"]
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    expires = verifier.verify(token).expires
    verifier._verified[token] = replace(verifier.verify(token), expires=time.time() - 1)
    assert verifier.verify(token).expires == expires, "asked again, the signature and its own expiry decide"


def test_two_applications_on_one_database_accept_each_others_tokens(config, ada):
    from monolith.app import create_app

    other = create_app(config)
    answer = other.test_client().get("/api/customers/me", headers=ada.headers)
    other.extensions["database"].dispose()
    assert answer.json["email"] == "ada@example.com"
