"""What the application holds: made once by the application factory, and found in every request by `runtime()`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, current_app

if TYPE_CHECKING:
    from .config import Config
    from .database import Database
    from .observability import Metrics
    from .tokens import TokenVerifier

NAME = "shop"
"""Its key in `app.extensions`, where Flask extensions store their state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Settings, connections and keys of one application."""

    config: Config
    database: Database
    metrics: Metrics
    token_verifier: TokenVerifier
    card_key: bytes
    """Cards are stored as a hash with this key, see orders/cards.py."""


def runtime(app: Flask | None = None) -> Runtime:
    """What `app` holds; without `app`, what the application of this request holds."""
    held: Runtime = (app or current_app).extensions[NAME]
    return held
