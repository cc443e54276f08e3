"""The mailer service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from ..chassis.app import service
from ..chassis.background import add_loop
from . import postman
from .models import Base
from .post_office import PostOffice
from .routes import events

PAUSE_SECONDS = 0.2


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    app = service("mailer", env, events, base=Base, settings=PostOffice.from_env(env))
    add_loop(app, "postman", postman.deliver_next, PAUSE_SECONDS)
    return app
