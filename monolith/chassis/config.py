"""Settings, read once from SHOP_* environment variables into a frozen dataclass.

Nothing is read at import: a test or an exercise passes its own mapping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")


class ConfigError(ValueError):
    """A setting cannot be used; the text is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a process of the monolith needs to know."""

    home: Path
    """SHOP_HOME: the folder for databases, caches and running state (default ./.shop)."""
    database_url: str
    """SHOP_DATABASE_URL: SQLAlchemy URL (default: a SQLite file below the home folder)."""
    port: int
    """SHOP_PORT: where `monolith serve` listens (default 8000)."""
    threads: int
    """SHOP_THREADS: requests that one process works on at a time (default 4)."""
    drain_file: Path | None
    """SHOP_DRAIN_FILE: once this file exists, /readyz answers 503 so that no new request is sent here."""
    drain_seconds: float | None
    """SHOP_DRAIN_SECONDS: on SIGTERM, how long to wait behind a new SHOP_DRAIN_FILE before stopping (default: none)."""
    log_level: str
    """SHOP_LOG_LEVEL: debug, info, warning or error (default warning; info logs each request)."""
    payment_timeout: float
    """SHOP_PAYMENT_TIMEOUT_SECONDS: how long the payment provider may take (default 1.0)."""
    feed_interval: float
    """SHOP_FEED_SECONDS: pause between two looks for new orders to learn from (default 0.5)."""
    behind_gateway: bool
    """SHOP_BEHIND_GATEWAY: 1 when the gateway is in front and says where a request came from (default 0)."""
    token_minutes: int
    """SHOP_TOKEN_MINUTES: how long a sign-in is good for (default 30)."""
    trusted_origins: frozenset[str]
    """SHOP_TRUSTED_ORIGINS: addresses of this shop that a proxy hides from it, such as that of a forwarded port."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Config:
        """Read the settings from `env`; raise ConfigError with a sentence for one that cannot be used."""
        home = Path(env.get("SHOP_HOME", ".shop")).absolute()
        drain_file = env.get("SHOP_DRAIN_FILE")
        return cls(
            home=home,
            database_url=env.get("SHOP_DATABASE_URL") or sqlite_url(home / "data" / "monolith.sqlite3"),
            port=whole_number(env, "SHOP_PORT", 8000, 1, 65535),
            threads=whole_number(env, "SHOP_THREADS", 4, 1, 64),
            drain_file=Path(drain_file) if drain_file else None,
            drain_seconds=seconds(env, "SHOP_DRAIN_SECONDS", 1.0) if env.get("SHOP_DRAIN_SECONDS") else None,
            log_level=one_of(env, "SHOP_LOG_LEVEL", "warning", ("debug", "info", "warning", "error")),
            payment_timeout=seconds(env, "SHOP_PAYMENT_TIMEOUT_SECONDS", 1.0),
            feed_interval=seconds(env, "SHOP_FEED_SECONDS", 0.5),
            behind_gateway=whole_number(env, "SHOP_BEHIND_GATEWAY", 0, 0, 1) == 1,
            token_minutes=whole_number(env, "SHOP_TOKEN_MINUTES", 30, 1, 1440),
            trusted_origins=origins(env, "SHOP_TRUSTED_ORIGINS"),
        )


def sqlite_url(file: Path) -> str:
    """The URL of the SQLite database in `file`; a %, a ? or a # in the path needs an escape that the library knows."""
    # Not imported above: it takes 20 MB, and most processes are given a URL.
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(file.absolute())).render_as_string(hide_password=False)


def whole_number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """The setting as a whole number between `low` and `high`."""
    text = env.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise ConfigError(f"{name} is {text!r}; set it to a whole number from {low} to {high}.")
    return int(text)


def seconds(env: Mapping[str, str], name: str, default: float) -> float:
    """The setting as a positive number of seconds."""
    text = env.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 3600.0:
        raise ConfigError(f"{name} is {text!r}; set it to a number of seconds above 0 and up to 3600.")
    return value


def one_of(env: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    """The setting as one of the allowed words."""
    text = env.get(name, default).lower()
    if text not in allowed:
        raise ConfigError(f"{name} is {text!r}; set it to one of {', '.join(allowed)}.")
    return text


def origins(env: Mapping[str, str], name: str) -> frozenset[str]:
    """The setting as addresses without a path, such as https://shop.example, separated by spaces."""
    found = [text.rstrip("/") for text in env.get(name, "").lower().split()]
    for text in found:
        if not ORIGIN.fullmatch(text):
            raise ConfigError(
                f"{name} has {text!r}; set it to addresses such as https://shop.example, separated by spaces."
            )
    return frozenset(found)
