"""The split shop in this process: eight applications that call each other's test clients, without a network.

The launcher's code makes the keys and the addresses, so each service trusts the same callers as in a fleet. Background
threads do not run.
"""

from __future__ import annotations

import json
from base64 import b64decode
from importlib import import_module
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from requests.adapters import BaseAdapter

from microservices.chassis.client import Upstream
from microservices.chassis.tokens import ServiceTokens
from microservices.launcher.environment import database_url, make_keys
from microservices.seeding import fill
from microservices.tests.one_service import answer
from microservices.topology import SPLIT


class Direct(BaseAdapter):
    """Calls the application of another service instead of sending the request over a network."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.app = app

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **_: Any
    ) -> requests.Response:
        """As DeadlineAdapter does."""
        headers, body = dict(request.headers), request.body
        got = self.app.test_client().open(request.path_url, method=request.method, headers=headers, data=body)
        return answer(got.status_code, got.headers.get("Content-Type", ""), got.data)

    def close(self) -> None:
        """There is nothing to close."""


class SplitShop:
    """The services by name, on SQLite databases in `folder` that are filled from a data set; close it at the end.

    `pattern` gives other databases, for example `postgresql://{service}@host/{service}`.
    """

    def __init__(self, folder: Path, dataset: Path, pattern: str | None = None, **settings: str) -> None:
        self._keys = make_keys(SPLIT)
        self.apps: dict[str, Flask] = {}
        for service in SPLIT.services:
            url = database_url(SPLIT, service, folder, pattern)
            trusted = {caller: self._keys[caller].public for caller in SPLIT.callers_of(service.name)}
            env = {
                "SHOP_HOME": str(folder),
                "SHOP_DATABASE_URL": url,
                "SHOP_SERVICE_KEY": self._keys[service.name].private,
                "SHOP_TRUSTED_KEYS": json.dumps(trusted),
                **{
                    f"SHOP_{name.upper()}_URL": "http://unused.invalid"
                    for name in SPLIT.addresses_for(service)
                },
                **settings,
            }
            if service.has_database:
                seed = import_module(f"microservices.{service.name}.seed")
                fill(url, seed.Base, seed.tables(dataset))
            self.apps[service.name] = import_module(f"microservices.{service.name}.app").create_app(env)
        for service in SPLIT.services:
            extensions = self.apps[service.name].extensions
            for name in SPLIT.addresses_for(service):
                extensions["upstreams"][name] = Upstream(
                    name,
                    extensions["config"].urls[name],
                    Direct(self.apps[name]),
                    timeout=extensions["config"].timeout,
                    tokens=extensions["service_tokens"],
                    metrics=extensions["metrics"],
                )

    def tokens(self, service: str) -> ServiceTokens:
        """Makes the tokens that the service sends with its calls."""
        tokens: ServiceTokens = self.apps[service].extensions["service_tokens"]
        return tokens

    def private_key(self, service: str) -> Ed25519PrivateKey:
        """The key that the service signs with."""
        return Ed25519PrivateKey.from_private_bytes(b64decode(self._keys[service].private))

    def public_key(self, service: str) -> str:
        """The key that others check the service's tokens with, in base64."""
        return self._keys[service].public

    def close(self) -> None:
        """Close the connections to the databases."""
        for app in self.apps.values():
            if "database" in app.extensions:
                app.extensions["database"].dispose()
