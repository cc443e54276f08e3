"""The other services: their addresses, whose tokens are accepted, and the customer's token to send to them.

The launcher sets addresses and keys in the environment, for the monolith as for every service.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import request

from microservices.chassis import errors as chassis_errors
from microservices.chassis.config import Config as ServiceConfig
from microservices.chassis.tokens import ServiceTokens

from .chassis.auth import session_cookie
from .chassis.errors import Forbidden, NotAuthenticated

STANDS_FOR = "orders"
"""A service that is still inside the monolith. The tokens of callers are issued for this name."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the environment says about the other services."""

    recommendations_url: str | None
    """SHOP_RECOMMENDATIONS_URL: the address of the recommendations service; None when it is not set."""
    catalog_url: str | None
    """SHOP_CATALOG_URL: the address of the catalog service; None when it is not set."""
    mailer_url: str | None
    """SHOP_MAILER_URL: the address of the mailer; None when it is not set."""
    service_key: bytes | None
    """SHOP_SERVICE_KEY: the private key that signs the tokens for calls to other services."""
    trusted_keys: Mapping[str, bytes]
    """SHOP_TRUSTED_KEYS: the services whose tokens are accepted, with their public keys."""
    switch_file: Path
    """SHOP_SWITCH_FILE: the file with the share of questions that goes to the service (default ./switch.json)."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Neighbours:
        """Read the settings in the same way as every service."""
        read = ServiceConfig.from_env("monolith", env)
        switch_file = Path(env.get("SHOP_SWITCH_FILE") or "switch.json").absolute()
        return cls(
            recommendations_url=read.urls.get("recommendations"),
            catalog_url=read.urls.get("catalog"),
            mailer_url=read.urls.get("mailer"),
            service_key=read.service_key,
            trusted_keys=read.trusted_keys,
            switch_file=switch_file,
        )


def current_token() -> str | None:
    """The customer's token of this request, from the Authorization header or from the pages' cookie."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" and token else request.cookies.get(session_cookie())


def require_service(*callers: str) -> str:
    """The calling service; raises NotAuthenticated without its token, Forbidden if not one of `callers`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "service" or not token:
        raise NotAuthenticated("This is for other services only; send `Authorization: Service <token>`.")
    try:
        caller = _service_tokens().verify(token)
    except chassis_errors.NotAuthenticated as error:
        raise NotAuthenticated(error.detail) from None
    if caller not in callers:
        raise Forbidden(f"This is not for the {caller} service.")
    return caller


@cache
def _service_tokens() -> ServiceTokens:
    return ServiceTokens(STANDS_FOR, None, Neighbours.from_env(os.environ).trusted_keys)
