"""Signing in, and who may do what."""

from __future__ import annotations

import time
from dataclasses import replace

import jwt
import pytest
from sqlalchemy import select

from monolith.accounts.models import Customer
from monolith.chassis.errors import NotAuthenticated
from monolith.chassis.runtime import runtime


def test_passwords_are_kept_as_argon2id_hashes_only(client, database):
    client.post("/api/customers", json={"email": "a@b.test", "password": "long enough", "name": "A"})
    with database.reading() as db:
        stored = db.execute(select(Customer.password_hash).where(Customer.email == "a@b.test")).scalar_one()
    assert stored.startswith("$argon2id$")


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "é", jwt.encode({"sub": "C00001"}, "", algorithm="none")]
)
def test_an_invalid_token_is_refused(app, token):
    with pytest.raises(NotAuthenticated):
        runtime(app).token_verifier.verify(token)


def test_a_remembered_token_is_refused_once_it_has_expired(app, ada):
    verifier = runtime(app).token_verifier
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    expires = verifier.verify(token).expires
    verifier._verified[token] = replace(verifier.verify(token), expires=time.time() - 1)
    assert verifier.verify(token).expires == expires, "asked again, the signature and its own expiry decide"


def test_two_applications_on_one_database_accept_each_others_tokens(config, ada):
    from monolith.app import create_app

    other = create_app(config)
    answer = other.test_client().get("/api/customers/me", headers=ada.headers)
    runtime(other).database.dispose()
    assert answer.json["email"] == "ada@example.com"
