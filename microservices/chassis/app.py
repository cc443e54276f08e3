"""The application factory that every service's app.py calls, in the order things happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask

from . import errors, observability, tracing
from .config import Config, ConfigError
from .observability import Metrics
from .runtime import NAME, Runtime
from .tokens import PublishedKeys, ServiceTokens, TokenVerifier

if TYPE_CHECKING:
    from sqlalchemy.orm import DeclarativeBase

    from .database import Database

JWKS_PATH = "/.well-known/jwks.json"

FindKey = Callable[[str], Any | None]


def service(
    name: str,
    env: Mapping[str, str],
    *blueprints: Blueprint,
    base: type[DeclarativeBase] | None = None,
    calls: Sequence[str] = (),
    keys_from: str | Callable[[Database], FindKey] | None = None,
    settings: object = None,
) -> Flask:
    """A service as a WSGI application: its own routes, and everything that all services have in common.

    `base` is the declarative base of the service's tables. `calls` names the services that it calls. `keys_from` says
    where the keys are that check customers' tokens: it names the service that publishes them, or it is a function that
    finds them in the service's own database. A service without customers leaves it out. `settings` are the service's
    own, see `Runtime.settings`.
    """
    config = Config.from_env(name, env)
    for callee in [*calls, *([keys_from] if isinstance(keys_from, str) else [])]:
        if callee not in config.urls:
            raise ConfigError(f"SHOP_{callee.upper()}_URL is not set; {name} has to know where {callee} is.")
    app = Flask(name, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # keys keep the order of the contract
    app.url_map.strict_slashes = True
    # Merging would redirect to the host that the request names, which can be any.
    app.url_map.merge_slashes = False
    database = _open_database(config, base) if base is not None else None
    app.extensions[NAME] = Runtime(
        config=config,
        own_settings=settings,
        own_database=database,
        metrics=Metrics(),
        token_verifier=TokenVerifier(_find_key(keys_from, database)),
        service_tokens=ServiceTokens(name, config.service_key, config.trusted_keys),
    )
    tracing.init_app(
        app,
        env,
        engine=database.engine if database else None,
        urls=config.urls,
        request_id=lambda _environ: observability.request_id(),
    )
    observability.init_app(app)  # first, so that it counts and logs the refusals of `errors` too
    errors.init_app(app)
    if database is not None:
        errors.database_errors(app)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    return app


def _open_database(config: Config, base: type[DeclarativeBase]) -> Database:
    from .database import Database

    database = Database(config.database_url, base, threads=config.threads)
    database.create_tables()
    return database


def _find_key(keys_from: str | Callable[[Database], FindKey] | None, database: Database | None) -> FindKey:
    if isinstance(keys_from, str):
        return PublishedKeys(lambda: _key_set(keys_from))
    if keys_from is not None and database is not None:
        return keys_from(database)
    return lambda _kid: None


def _key_set(publisher: str) -> Any:
    from .client import upstream

    return upstream(publisher).get(JWKS_PATH)
