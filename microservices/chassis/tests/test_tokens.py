"""Tokens of customers and of services, valid and invalid ones."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from microservices.chassis import tokens
from microservices.chassis.errors import NotAuthenticated, UpstreamError, UpstreamUnavailable
from microservices.chassis.tokens import PublishedKeys, ServiceTokens, TokenVerifier
from microservices.tests.one_service import as_customer, publish_keys

OURS, STRANGERS = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PUBLIC = OURS.public_key()


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    all_of_them = {"sub": "1", "role": "customer", "iss": "shop", "aud": "shop", "iat": now, "exp": now + 60}
    return {name: value for name, value in (all_of_them | changed).items() if value is not None}


def sign(payload: dict[str, Any], key: Any = OURS, algorithm: str = "EdDSA", kid: str = "k") -> str:
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": kid})


def forged_header(token: str, **changed: str) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"typ": "JWT", "kid": "k", **changed}).encode()).rstrip(b"=")
    return ".".join([header.decode(), *token.split(".")[1:]])


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier({"k": PUBLIC}.get)


def test_a_good_token_says_who_it_is(verifier: TokenVerifier) -> None:
    identity = verifier.verify(sign(claims(sub="C7", role="admin")))
    assert (identity.customer_id, identity.role) == ("C7", "admin")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        sign(claims(exp=int(time.time()) - 1)),
        sign(claims(aud="other")),
        sign(claims(iss="other")),
        sign(claims(aud=None)),
        sign(claims(exp=None)),
        sign(claims(iat=None)),
        sign(claims(sub=None)),
        sign(claims(role=None)),
        sign(claims(), key=STRANGERS),
        sign(claims(), kid="unknown"),
        sign(claims())[:-4] + "AAAA",
        jwt.encode(claims(), "", algorithm="none", headers={"kid": "k"}),
        forged_header(sign(claims()), alg="none"),
        forged_header(sign(claims()), alg="HS256"),
        sign(claims(), key="a shared secret that is long enough", algorithm="HS256"),
    ],
)
def test_any_other_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(NotAuthenticated):
        verifier.verify(token)


def test_a_verified_token_is_remembered_until_it_expires(
    verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign(claims())
    identity = verifier.verify(token)
    with monkeypatch.context() as patched:
        patched.setattr(jwt, "decode", None)  # nobody may decode it again
        assert verifier.verify(token) is identity
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(jwt, "decode", lambda *_arguments, **_options: claims(sub="decoded again"))
    assert verifier.verify(token).customer_id == "decoded again"


def test_remembering_has_a_bound(monkeypatch: pytest.MonkeyPatch, verifier: TokenVerifier) -> None:
    monkeypatch.setattr(tokens, "MAX_REMEMBERED", 3)
    for number in range(10):
        verifier.verify(sign(claims(sub=str(number))))
        assert len(verifier._verified) <= 3


class Publisher:
    """Publishes keys, or does not."""

    def __init__(self) -> None:
        self.fetches = 0
        self.now = 0.0
        self.keys: Callable[[], Any] = lambda: publish_keys("", "", None)[1]
        self.find = PublishedKeys(self.fetch, clock=lambda: self.now)

    def fetch(self) -> Any:
        self.fetches += 1
        return self.keys()


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def test_published_keys_are_fetched_when_first_needed_and_kept(publisher: Publisher) -> None:
    verifier = TokenVerifier(publisher.find)
    assert publisher.fetches == 0
    for number in range(3):
        token = as_customer(f"C{number}")["Authorization"].removeprefix("Bearer ")
        assert verifier.verify(token).customer_id == f"C{number}"
    assert publisher.fetches == 1


def test_made_up_key_ids_cause_a_fetch_every_five_seconds_at_most(publisher: Publisher) -> None:
    for number in range(20):
        assert publisher.find(f"made up {number}") is None
    assert publisher.fetches == 1
    publisher.now = 5.1
    assert publisher.find("made up") is None
    assert publisher.fetches == 2


def test_while_keys_cannot_be_fetched_no_token_is_called_invalid(publisher: Publisher) -> None:
    good = publisher.keys

    def unavailable() -> Any:
        raise UpstreamUnavailable("down")

    publisher.keys = unavailable
    for _ in range(3):
        with pytest.raises(UpstreamUnavailable):
            publisher.find("test")
    assert publisher.fetches == 1
    publisher.keys, publisher.now = good, 0.6
    assert publisher.find("test") is not None


@pytest.mark.parametrize("nonsense", [None, {}, {"keys": []}, {"keys": [{"kty": "oct"}]}, ["x"]])
def test_an_invalid_key_set_is_an_upstream_error(publisher: Publisher, nonsense: Any) -> None:
    publisher.keys = lambda: nonsense
    with pytest.raises(UpstreamError):
        publisher.find("test")


def pair(caller: str = "orders", callee: str = "stock") -> tuple[ServiceTokens, ServiceTokens]:
    key = Ed25519PrivateKey.generate()
    trusted = {caller: key.public_key().public_bytes_raw()}
    return ServiceTokens(caller, key.private_bytes_raw(), {}), ServiceTokens(callee, None, trusted)


def test_a_service_proves_who_it_is_to_the_one_it_calls() -> None:
    caller, callee = pair()
    assert callee.verify(caller.issue("stock") or "") == "orders"


def test_a_token_for_one_service_is_refused_by_another() -> None:
    caller, callee = pair()
    with pytest.raises(NotAuthenticated):
        callee.verify(caller.issue("payments") or "")


def test_a_service_cannot_use_the_name_of_another() -> None:
    _, callee = pair()
    impostor = ServiceTokens("orders", STRANGERS.private_bytes_raw(), {})
    with pytest.raises(NotAuthenticated):
        callee.verify(impostor.issue("stock") or "")


def service_claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": "orders", "aud": "stock", "iat": now, "exp": now + 300} | changed


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        sign(service_claims(iss="nobody")),
        sign(service_claims(exp=int(time.time()) - 1)),
        sign(service_claims(exp=int(time.time()) + 301)),
        sign(service_claims(exp=int(time.time()) + 10**9)),
        jwt.encode(service_claims(), "", algorithm="none"),
        forged_header(sign(service_claims()), alg="none"),
        sign(service_claims(), key="a shared secret that is long enough", algorithm="HS256"),
    ],
)
def test_a_bad_service_token_is_refused(token: str) -> None:
    callee = ServiceTokens("stock", None, {"orders": PUBLIC.public_bytes_raw()})
    with pytest.raises(NotAuthenticated):
        callee.verify(token)


def test_a_service_token_is_signed_and_checked_once_for_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    caller, callee = pair()
    token = caller.issue("stock") or ""
    callee.verify(token)
    monkeypatch.setattr(jwt, "encode", None)
    monkeypatch.setattr(jwt, "decode", None)
    assert caller.issue("stock") == token
    assert callee.verify(token) == "orders"


def test_a_service_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    caller, _ = pair()
    token = caller.issue("stock")
    later = time.time() + 250
    monkeypatch.setattr(time, "time", lambda: later)
    assert caller.issue("stock") != token


def test_without_a_key_there_is_no_token() -> None:
    assert ServiceTokens("stock", None, {}).issue("orders") is None
