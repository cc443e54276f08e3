"""The catalog service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from microservices.catalog.models import Base
from microservices.catalog.routes import api
from microservices.chassis.app import service


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    return service("catalog", env, api, base=Base, keys_from="accounts")
