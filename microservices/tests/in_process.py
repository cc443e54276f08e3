"""The whole split shop in this process: eight applications that call each other's test clients, and no network.

Keys and addresses are as the launcher gives them, so a service believes here exactly whom it believes there. Threads
of the background do not run.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask

from microservices.chassis.client import Upstream
from microservices.chassis.runtime import runtime
from microservices.chassis.seeding import fill
from microservices.chassis.tokens import ServiceTokens
from microservices.chassis.transport import Answer
from microservices.launcher.environment import database_url, make_keys
from microservices.topology import SPLIT


class Direct:
    """Calls the application of another service instead of sending bytes to it."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> Answer:
        """As Transport.send does."""
        answer = self._app.test_client().open(path, method=method, headers=dict(headers), data=body)
        return Answer(answer.status_code, answer.headers.get("Content-Type", ""), answer.data)


class SplitShop:
    """The services by name, on databases in `folder` that are filled from a data set; close it at the end.

    With a `pattern` of addresses, such as `postgresql://{service}@host/{service}`, the databases are those instead.
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
            caller = runtime(self.apps[service.name])
            for name in SPLIT.addresses_for(service):
                caller.upstreams[name] = Upstream(
                    name,
                    Direct(self.apps[name]),
                    timeout=caller.config.timeout,
                    tokens=caller.service_tokens,
                    metrics=caller.metrics,
                )

    def tokens(self, service: str) -> ServiceTokens:
        """What the service signs its calls with."""
        return runtime(self.apps[service]).service_tokens

    def private_key(self, service: str) -> Ed25519PrivateKey:
        """What the service signs with."""
        return Ed25519PrivateKey.from_private_bytes(b64decode(self._keys[service].private))

    def public_key(self, service: str) -> str:
        """What others check the service's tokens with, in base64."""
        return self._keys[service].public

    def close(self) -> None:
        """Close the connections to the databases."""
        for app in self.apps.values():
            if database := runtime(app).own_database:
                database.dispose()
