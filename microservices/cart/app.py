"""The cart service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from microservices.cart.models import Base
from microservices.cart.routes import api
from microservices.chassis.app import service


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    return service("cart", env, api, base=Base, calls=["catalog"], keys_from="accounts")
