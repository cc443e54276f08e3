"""Accounts: registering, signing in, the profile, and the public keys of tokens."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import jwt
import pytest

from loadtests.contract.acceptance.browser import Browser
from loadtests.contract.acceptance.contract import Contract
from loadtests.contract.acceptance.visitors import Customer, Visitor, new_key
from loadtests.contract.acceptance.waiting import at_once
from loadtests.contract.client import PASSWORD


def registration(**changes: Any) -> dict[str, Any]:
    return {"email": f"guest-{new_key()}@example.com", "password": PASSWORD, "name": "A Guest"} | changes


def test_a_new_customer_gets_an_id_and_the_role_customer(visitor: Visitor) -> None:
    body = registration(name="Zoë 🛒 李")
    answer = visitor.post("/api/customers", body)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/api/customers/me"
    customer = answer.json()
    assert (customer["email"], customer["name"], customer["role"]) == (body["email"], "Zoë 🛒 李", "customer")


def test_a_customer_reads_their_own_profile(customer: Customer) -> None:
    answer = customer.get("/api/customers/me")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": customer.id,
        "email": customer.email,
        "name": "A Guest",
        "role": "customer",
    }


def test_the_demo_accounts_exist(ada: Customer, admin: Customer) -> None:
    assert (ada.id, ada.get("/api/customers/me").json()["role"]) == ("C00001", "customer")
    assert (admin.id, admin.get("/api/customers/me").json()["role"]) == ("C00000", "admin")


def test_an_email_can_be_registered_only_once_in_any_case(visitor: Visitor, customer: Customer) -> None:
    answer = visitor.post("/api/customers", registration(email=customer.email.upper()))
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/email-taken"


def test_an_email_is_stored_in_lower_case_and_signs_in_in_any_case(visitor: Visitor) -> None:
    body = registration(email=f"MiXeD-{new_key()}@Example.COM")
    assert visitor.post("/api/customers", body).json()["email"] == body["email"].lower()
    session = visitor.post("/api/sessions", {"email": body["email"].upper(), "password": PASSWORD})
    assert session.status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no-at-sign.example.com"),
        ("email", "no-dot@example"),
        ("email", "two words@example.com"),
        ("email", "a" * 250 + "@example.com"),
        ("email", "nul\x00@example.com"),
        ("email", ""),
        ("email", 7),
        ("password", "seven77"),
        ("password", "x" * 129),
        ("password", None),
        ("password", 12345678),
        ("name", ""),
        ("name", "n" * 81),
        ("name", "nul\x00"),
        ("name", ["A", "Guest"]),
        ("role", "admin"),
        ("id", "C00000"),
    ],
)
def test_a_registration_with_an_invalid_field_is_refused_by_name(
    visitor: Visitor, field: str, value: Any
) -> None:
    answer = visitor.post("/api/customers", registration(**{field: value}))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("field", ["email", "password", "name"])
def test_a_registration_needs_every_field(visitor: Visitor, field: str) -> None:
    body = registration()
    del body[field]
    answer = visitor.post("/api/customers", body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_the_longest_and_shortest_fields_are_accepted(visitor: Visitor) -> None:
    shortest = visitor.post("/api/customers", registration(password="8 letter", name="N"))
    longest = visitor.post("/api/customers", registration(password="ß" * 128, name="李" * 80))
    assert (shortest.status_code, longest.status_code) == (201, 201)


def test_a_wrong_password_and_an_unknown_email_are_answered_alike(
    visitor: Visitor, customer: Customer
) -> None:
    wrong = visitor.post("/api/sessions", {"email": customer.email, "password": "not-my-password"})
    unknown = visitor.post("/api/sessions", {"email": f"{new_key()}@example.com", "password": PASSWORD})
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json()["type"] == "/problems/wrong-credentials"
    assert wrong.json() == unknown.json()


def test_the_eleventh_try_is_refused_even_with_the_right_password(
    visitor: Visitor, customer: Customer
) -> None:
    wrong = {"email": customer.email, "password": "not-my-password"}
    tries = [visitor.post("/api/sessions", wrong).status_code for _ in range(10)]
    answer = visitor.post("/api/sessions", {"email": customer.email, "password": PASSWORD})
    assert tries == [401] * 10
    assert answer.status_code == 429
    assert answer.json()["type"] == "/problems/too-many-attempts"
    assert 1 <= int(answer.headers["Retry-After"]) <= 90


def test_concurrent_tries_are_no_more_than_sequential_ones(visitor: Visitor, customer: Customer) -> None:
    wrong = {"email": customer.email, "password": "not-my-password"}
    answers = at_once([lambda: visitor.post("/api/sessions", wrong).status_code] * 24)
    assert Counter(answers) == {401: 10, 429: 14}


def test_a_forged_client_address_gives_no_more_tries(visitor: Visitor, customer: Customer) -> None:
    wrong = {"email": customer.email, "password": "not-my-password"}
    names = ("X-Client-Address", "X_Client_Address", "X-Forwarded-For", "Forwarded", "X-Real-IP")
    answers = [
        visitor.post("/api/sessions", wrong, headers=dict.fromkeys(names, f"203.0.113.{number}")).status_code
        for number in range(12)
    ]
    assert answers == [401] * 10 + [429] * 2


@pytest.mark.served("a second client address needs a connection")
def test_a_stranger_elsewhere_cannot_keep_a_customer_out(
    shop_url: str, contract: Contract, elsewhere: str, customer: Customer
) -> None:
    wrong = {"email": customer.email, "password": "not-my-password"}
    with closing(Visitor(shop_url, contract, source=elsewhere)) as stranger:
        answers = [stranger.post("/api/sessions", wrong).status_code for _ in range(12)]
    assert answers == [401] * 10 + [429] * 2
    Customer(shop_url, contract, customer.email).close()


@pytest.mark.served("a second client address needs a connection")
def test_a_stranger_cannot_keep_a_customer_out_of_the_pages_either(
    shop_url: str, elsewhere: str, customer: Customer, browser: Browser
) -> None:
    with closing(Browser(shop_url, source=elsewhere)) as stranger:
        answers = [stranger.sign_in(customer.email, "not-my-password").status for _ in range(11)]
    assert answers == [401] * 10 + [429]
    assert browser.sign_in(customer.email, customer.password).status == 303


def test_one_customers_failures_do_not_lock_out_another(
    visitor: Visitor, new_customer: Callable[[], Customer]
) -> None:
    locked_out, other = new_customer(), new_customer()
    for _ in range(11):
        visitor.post("/api/sessions", {"email": locked_out.email, "password": "not-my-password"})
    answer = visitor.post("/api/sessions", {"email": other.email, "password": PASSWORD})
    assert answer.status_code == 201


def test_a_token_can_be_checked_with_the_published_keys(visitor: Visitor, customer: Customer) -> None:
    session = visitor.post("/api/sessions", {"email": customer.email, "password": PASSWORD}).json()
    keys = jwt.PyJWKSet.from_dict(visitor.get("/.well-known/jwks.json").json())
    key = keys[jwt.get_unverified_header(session["token"])["kid"]]
    claims = jwt.decode(session["token"], key, algorithms=["EdDSA"], audience="shop", issuer="shop")
    assert (claims["sub"], claims["role"]) == (customer.id, "customer")
    assert claims["exp"] - claims["iat"] == session["expires_in"] == 30 * 60


def test_the_published_keys_are_public_only(visitor: Visitor) -> None:
    keys = visitor.get("/.well-known/jwks.json").json()["keys"]
    assert all("d" not in key for key in keys)
    assert all(len(base64.urlsafe_b64decode(key["x"] + "=")) == 32 for key in keys)


def test_no_answer_about_an_account_holds_a_password(visitor: Visitor, customer: Customer) -> None:
    registered = visitor.post("/api/customers", registration())
    profile = customer.get("/api/customers/me")
    assert "password" not in registered.text + profile.text
    assert "argon2" not in registered.text + profile.text
