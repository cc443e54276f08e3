"""The application factory that every service's app.py calls, in the order things happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask

from . import errors, observability
from .config import Config, ConfigError
from .tokens import PublishedKeys, ServiceTokens, TokenVerifier

if TYPE_CHECKING:
    from sqlalchemy.orm import DeclarativeBase

JWKS_PATH = "/.well-known/jwks.json"


def service(
    name: str,
    env: Mapping[str, str],
    *blueprints: Blueprint,
    base: type[DeclarativeBase] | None = None,
    calls: Sequence[str] = (),
    keys_from: str | None = None,
) -> Flask:
    """A service as a WSGI application: its routes on top of everything that all services have in common.

    `base` is the declarative base of its own tables, `calls` names the services that it calls, and `keys_from`
    the one that publishes the keys with which customers' tokens are checked.
    """
    config = Config.from_env(name, env)
    for callee in [*calls, *([keys_from] if keys_from else [])]:
        if callee not in config.urls:
            raise ConfigError(f"SHOP_{callee.upper()}_URL is not set; {name} has to know where {callee} is.")
    app = Flask(name, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # answers read in the order the contract lists
    app.url_map.strict_slashes = True
    app.extensions.update(config=config, upstreams={}, loops=[])
    app.extensions["service_tokens"] = ServiceTokens(name, config.service_key, config.trusted_keys)
    if keys_from:
        app.extensions["token_verifier"] = TokenVerifier(PublishedKeys(lambda: _key_set(keys_from)))
    if base is not None:
        _open_database(app, config, base)
    observability.init_app(app, config)  # first: a refusal of the next one is counted and logged too
    errors.init_app(app)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    return app


def _open_database(app: Flask, config: Config, base: type[DeclarativeBase]) -> None:
    from .database import Database

    database = Database(config.database_url, base, threads=config.threads)
    database.create_tables()
    app.extensions["database"] = database
    errors.database_errors(app)


def _key_set(publisher: str) -> Any:
    from .client import upstream

    return upstream(publisher).get(JWKS_PATH)
