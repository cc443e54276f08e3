"""The recommendations service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from ..chassis.app import service
from ..chassis.background import add_loop
from ..chassis.events import FeedReader
from ..chassis.runtime import runtime
from .learning import learn_from_event
from .models import Base, CoPurchase, FeedPosition, Popularity, Purchase
from .routes import api


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application, which follows the orders' feed while it is served."""
    app = service("recommendations", env, api, base=Base, calls=["orders"], keys_from="accounts")
    feed = FeedReader("orders", FeedPosition, learn_from_event, learnt=[CoPurchase, Popularity, Purchase])
    add_loop(app, "learning", feed.step, runtime(app).config.feed_interval)
    return app
