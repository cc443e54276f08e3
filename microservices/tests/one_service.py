"""For the tests of a service: the service in this process, with a database of its own, tokens, and no network.

What stands in for another service sits below the real client, so that headers, breaker and errors are the real ones.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from flask.testing import FlaskClient
from requests.adapters import BaseAdapter

from microservices.chassis.client import Upstream
from microservices.chassis.config import sqlite_url
from microservices.chassis.runtime import runtime
from microservices.chassis.tokens import AUDIENCE, ISSUER, ServiceTokens

KEY_ID = "test"

Respond = Callable[[str, str, Any], tuple[int, Any]]
"""What a stand-in does: method, path with query and JSON body in; status and JSON out."""


class Asked(NamedTuple):
    """A call that a stand-in got."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]
    seconds_left: float


class StandIn(BaseAdapter):
    """Answers in place of another service, and remembers what it was asked."""

    def __init__(self, respond: Respond) -> None:
        super().__init__()
        self._respond = respond
        self.asked: list[Asked] = []

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, *, timeout: float, **_: Any
    ) -> requests.Response:
        """As DeadlineAdapter does; `respond` may raise the errors of `requests`."""
        method, path = str(request.method), request.path_url
        sent = json.loads(request.body) if request.body else None
        self.asked.append(Asked(method, path, sent, dict(request.headers), timeout))
        status, document = self._respond(method, path, sent)
        content_type = "application/json" if status < 400 else "application/problem+json"
        return answer(status, content_type, b"" if document is None else json.dumps(document).encode())

    def close(self) -> None:
        """There is nothing to close."""


def answer(status: int, content_type: str, body: bytes) -> requests.Response:
    """What a stand-in for another service returns to `requests`."""
    response = requests.Response()
    response.status_code = status
    response.headers["Content-Type"] = content_type
    response.raw = io.BytesIO(body)
    return response


class ServiceUnderTest:
    """A service in this process; close it at the end.

    `callees` says what stands in for each service that it calls, `callers` which services' tokens it trusts.
    """

    def __init__(
        self,
        create_app: Callable[[Mapping[str, str]], Flask],
        folder: Path,
        *,
        callees: Mapping[str, Respond] | None = None,
        callers: Sequence[str] = (),
        **settings: str,
    ) -> None:
        private = signing_key().private_bytes_raw()
        public = base64.b64encode(signing_key().public_key().public_bytes_raw()).decode()
        self.stand_ins = {name: StandIn(respond) for name, respond in (callees or {}).items()}
        env = {
            "SHOP_HOME": str(folder),
            "SHOP_DATABASE_URL": sqlite_url(folder / "test.sqlite3"),
            "SHOP_SERVICE_KEY": base64.b64encode(private).decode(),
            "SHOP_TRUSTED_KEYS": json.dumps(dict.fromkeys(callers, public)),
            **{f"SHOP_{name.upper()}_URL": "http://unused.invalid" for name in self.stand_ins},
        }
        self.app = create_app(env | settings)
        for name, stand_in in self.stand_ins.items():
            service = runtime(self.app)
            service.upstreams[name] = Upstream(
                name,
                "http://unused.invalid",
                stand_in,
                timeout=2.0,
                tokens=service.service_tokens,
                metrics=service.metrics,
            )

    @property
    def http(self) -> FlaskClient:
        """A client of the service's routes."""
        return self.app.test_client()

    def as_service(self, caller: str) -> dict[str, str]:
        """The headers of a call by another service."""
        tokens = ServiceTokens(caller, signing_key().private_bytes_raw(), {})
        return {"Authorization": f"Service {tokens.issue(self.app.name)}"}

    def close(self) -> None:
        """Close the connections to the database."""
        if database := runtime(self.app).own_database:
            database.dispose()


@cache
def signing_key() -> Ed25519PrivateKey:
    """The one key that signs everything in the tests of this process."""
    return Ed25519PrivateKey.generate()


def as_customer(customer_id: str, role: str = "customer", seconds: int = 3600) -> dict[str, str]:
    """The headers of a signed-in customer, for services whose keys come from `publish_keys`."""
    now = int(time.time())
    claims = {
        "sub": customer_id,
        "role": role,
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + seconds,
    }
    token = jwt.encode(claims, signing_key(), algorithm="EdDSA", headers={"kid": KEY_ID})
    return {"Authorization": f"Bearer {token}"}


def publish_keys(_method: str, _path: str, _body: Any) -> tuple[int, Any]:
    """Stands in for the service that publishes the keys of `as_customer`."""
    x = base64.urlsafe_b64encode(signing_key().public_key().public_bytes_raw()).rstrip(b"=").decode()
    return 200, {"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": KEY_ID, "x": x}]}
