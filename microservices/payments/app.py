"""The payments service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from ..chassis.app import service
from .models import Base
from .routes import api
from .settings import Settings


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    return service("payments", env, api, base=Base, settings=Settings.from_env(env))
