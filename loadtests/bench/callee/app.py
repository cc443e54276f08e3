"""`python -m microservices.chassis.serve loadtests.bench.callee.app`: what a call costs a service that does nothing."""

from collections.abc import Mapping

from flask import Blueprint, Flask

from microservices.chassis.app import service
from microservices.chassis.auth import require_service

HELLO = "/internal/hello"

api = Blueprint("callee", __name__)


@api.get(HELLO)
def hello() -> dict[str, str]:
    """Say hello to the caller, and to nobody else."""
    require_service("caller")
    return {"hello": "world"}


def create_app(env: Mapping[str, str]) -> Flask:
    """The application."""
    return service("callee", env, api)
