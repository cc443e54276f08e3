"""The application factory: config, database, observability, errors, modules, in the order things happen."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, Response

from . import accounts, cart, inventory, orders, recommendations, storefront
from .chassis import errors, observability, serving_lock, tracing
from .chassis.config import Config
from .chassis.database import Database
from .chassis.observability import Metrics
from .chassis.runtime import NAME, Runtime, runtime
from .chassis.tokens import TokenVerifier
from .neighbours import Neighbours, current_token

CONTRACT = Path(__file__).resolve().parents[1] / "docs" / "openapi.yaml"


def create_app(config: Config | None = None, recommender: recommendations.Recommender | None = None) -> Flask:
    """The whole shop as one WSGI application; recommendations come from `recommender`, or from the service."""
    config = config or Config.from_env(os.environ)
    app = Flask("monolith", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # keys keep the order of the contract
    app.url_map.strict_slashes = True
    # Merging would redirect to the host that the request names, which can be any.
    app.url_map.merge_slashes = False

    database = Database(config.database_url, threads=config.threads)
    database.create_tables()
    accounts.ensure_signing_key(database)
    app.extensions[NAME] = Runtime(
        config=config,
        database=database,
        metrics=Metrics(),
        token_verifier=TokenVerifier(accounts.KeyFinder(database)),
        card_key=orders.ensure_key(config.home / "keys" / "monolith.key"),
    )

    tracing.init_app(
        app,
        os.environ,
        engine=database.engine,
        urls={},
        request_id=lambda environ: environ[observability.ENVIRON_KEY],
    )
    observability.init_app(app)
    errors.init_app(app)
    app.extensions["recommender"] = recommender or _recommender()

    for module in (accounts, cart, inventory, orders):
        app.register_blueprint(module.api)
    app.register_blueprint(storefront.pages)

    @app.get("/api/openapi.yaml")
    def openapi() -> Response:
        """The contract that this shop keeps."""
        return Response(CONTRACT.read_bytes(), content_type="application/yaml")

    return app


def _recommender() -> recommendations.Recommender:
    """The service, for the share that the switch gives it. Otherwise none, and pages show bestsellers."""
    none = recommendations.NoRecommender()
    neighbours = Neighbours.from_env(os.environ)
    if neighbours.recommendations_url is None:
        return none
    remote = recommendations.RemoteRecommender(neighbours.recommendations_url, current_token)
    return recommendations.SwitchingRecommender(none, remote, recommendations.Switch(neighbours.switch_file))


def serving_app() -> Flask:
    """The application of a serving process."""
    app = create_app()
    serving_lock.shared(runtime(app).config.database_url)
    orders.start_sending(app)
    return app
