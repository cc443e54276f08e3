"""What the application holds: made once by the application factory, and found in every request by `runtime()`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from flask import Flask, current_app

if TYPE_CHECKING:
    from .background import Loop
    from .client import Upstream
    from .config import Config
    from .database import Database
    from .observability import Metrics
    from .tokens import ServiceTokens, TokenVerifier

NAME = "shop"
"""Its key in `app.extensions`, where Flask extensions store their state."""
SettingsT = TypeVar("SettingsT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Settings, connections and keys of one application."""

    config: Config
    own_settings: object = None
    """What only this service needs, as its app.py made it; see `settings`."""
    own_database: Database | None = None
    """None in a service that keeps no data."""
    metrics: Metrics
    token_verifier: TokenVerifier
    service_tokens: ServiceTokens
    upstreams: dict[str, Upstream] = field(default_factory=dict)
    """The clients of other services by name, each made at its first call."""
    loops: list[Loop] = field(default_factory=list)

    @property
    def database(self) -> Database:
        """The service's own database; for the routes of a service that has one."""
        assert self.own_database is not None
        return self.own_database

    def settings(self, kind: type[SettingsT]) -> SettingsT:
        """The service's own settings, of the class `kind`."""
        assert isinstance(self.own_settings, kind)
        return self.own_settings


def runtime(app: Flask | None = None) -> Runtime:
    """What `app` holds; without `app`, what the application of this request holds."""
    held: Runtime = (app or current_app).extensions[NAME]
    return held
