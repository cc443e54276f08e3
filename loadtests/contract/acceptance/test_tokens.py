"""Tokens: who may do what, and that tokens cannot be forged."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loadtests.contract.acceptance.visitors import Customer, Visitor

NEED_A_CUSTOMER = [
    ("GET", "/api/customers/me"),
    ("GET", "/api/cart"),
    ("DELETE", "/api/cart"),
    ("PUT", "/api/cart/items/P00001"),
    ("DELETE", "/api/cart/items/P00001"),
    ("POST", "/api/orders"),
    ("GET", "/api/orders"),
    ("GET", "/api/orders/any"),
]
NEED_AN_ADMIN = [("PUT", "/api/products/P00001/price"), ("PUT", "/api/inventory/P00001")]


def segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def claims(customer: Customer, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "sub": customer.id,
        "role": "customer",
        "iss": "shop",
        "aud": "shop",
        "iat": now,
        "exp": now + 1800,
    }
    return good | changes


def key_id(customer: Customer) -> str:
    return str(jwt.get_unverified_header(customer.token or "")["kid"])


def is_refused(visitor: Visitor, token: str) -> bool:
    """Whether the API answers 401 to the token. The contract check covers the header WWW-Authenticate."""
    answer = visitor.get("/api/customers/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == 401 and answer.json()["type"] == "/problems/not-authenticated"


@pytest.mark.parametrize(("method", "path"), NEED_A_CUSTOMER + NEED_AN_ADMIN)
def test_without_a_token_the_answer_is_401(visitor: Visitor, method: str, path: str) -> None:
    answer = visitor.call(method, path)
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/not-authenticated"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), NEED_AN_ADMIN)
def test_what_an_admin_may_do_a_customer_may_not(regular: Customer, method: str, path: str) -> None:
    answer = regular.call(method, path, json={"price_cents": 1, "available": 1})
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/forbidden"


@pytest.mark.parametrize(
    "header", ["Basic YWRhOmFkYQ==", "Bearer", "Bearer ", "Service {token}", "{token}", "x"]
)
def test_other_authentication_schemes_are_refused(visitor: Visitor, regular: Customer, header: str) -> None:
    answer = visitor.get("/api/cart", headers={"Authorization": header.format(token=regular.token)})
    assert answer.status_code == 401


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "..", "ey" * 3000, "%00", '{"sub":"C00000"}'])
def test_a_malformed_token_is_refused(visitor: Visitor, token: str) -> None:
    assert is_refused(visitor, token)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE"])
def test_an_unsigned_token_is_refused(visitor: Visitor, regular: Customer, algorithm: str) -> None:
    header = segment({"alg": algorithm, "typ": "JWT", "kid": key_id(regular)})
    assert is_refused(visitor, f"{header}.{segment(claims(regular))}.")


def test_a_changed_role_breaks_the_signature(visitor: Visitor, regular: Customer) -> None:
    header, _, signature = (regular.token or "").split(".")
    assert is_refused(visitor, f"{header}.{segment(claims(regular, role='admin'))}.{signature}")


def test_a_token_signed_with_another_key_is_refused_whatever_key_it_names(
    visitor: Visitor, regular: Customer
) -> None:
    own = Ed25519PrivateKey.generate()
    for kid in (key_id(regular), "unknown", ""):
        token = jwt.encode(claims(regular), own, algorithm="EdDSA", headers={"kid": kid})
        assert is_refused(visitor, token)


def test_the_public_key_does_not_work_as_a_shared_secret(visitor: Visitor, regular: Customer) -> None:
    public = base64.urlsafe_b64decode(visitor.get("/.well-known/jwks.json").json()["keys"][0]["x"] + "=")
    token = jwt.encode(claims(regular), public, algorithm="HS256", headers={"kid": key_id(regular)})
    assert is_refused(visitor, token)


def test_an_expired_token_is_refused(visitor: Visitor, regular: Customer) -> None:
    expired = claims(regular, iat=int(time.time()) - 3600, exp=int(time.time()) - 1800)
    token = jwt.encode(
        expired, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": key_id(regular)}
    )
    assert is_refused(visitor, token)


def test_an_invalid_token_is_refused_even_on_public_routes(visitor: Visitor) -> None:
    answer = visitor.get("/api/products/P00001/recommendations", headers={"Authorization": "Bearer garbage"})
    assert answer.status_code == 401


def test_identity_headers_from_outside_are_ignored(visitor: Visitor) -> None:
    pretended = {
        "X-Customer-Id": "C00001",
        "X-User": "C00001",
        "X-Role": "admin",
        "X-Forwarded-User": "C00001",
    }
    assert visitor.get("/api/cart", headers=pretended).status_code == 401
