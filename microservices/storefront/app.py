"""The storefront service."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from microservices.chassis.app import service
from microservices.storefront import buying, entrance  # noqa: F401 - they add their pages to `pages`
from microservices.storefront.clients import CALLS
from microservices.storefront.routes import pages


def create_app(env: Mapping[str, str]) -> Flask:
    """The service as a WSGI application."""
    return service("storefront", env, pages, calls=CALLS, keys_from="accounts")
