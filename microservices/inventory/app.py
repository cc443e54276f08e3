"""The inventory service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from microservices.chassis.app import service
from microservices.inventory.models import Base
from microservices.inventory.routes import api


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    return service("inventory", env, api, base=Base, keys_from="accounts")
