"""Settings, read once from SHOP_* environment variables into a frozen dataclass.

Nothing is read at import, and importing this needs neither Flask nor SQLAlchemy: the serving parent process
checks the settings too, and should stay small.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")
KEY_BYTES = 32  # of a raw Ed25519 key, private or public


class ConfigError(ValueError):
    """A setting cannot be used; the text is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a replica of any service needs to know; a service reads its own settings from the same mapping."""

    service: str
    """The service's name; SHOP_SERVICE, when set, has to agree."""
    host: str
    """SHOP_HOST: the address to listen on (default 127.0.0.1)."""
    port: int
    """SHOP_PORT: where this replica listens (default 8000)."""
    database_url: str
    """SHOP_DATABASE_URL: SQLAlchemy URL (default: a SQLite file below SHOP_HOME)."""
    urls: Mapping[str, str]
    """SHOP_<NAME>_URL: where each service that this one calls is found, by name; http:// only."""
    service_key: bytes | None
    """SHOP_SERVICE_KEY: this service's raw private Ed25519 key in base64, to sign its service tokens."""
    trusted_keys: Mapping[str, bytes]
    """SHOP_TRUSTED_KEYS: JSON object of caller to raw public key in base64, to check theirs (default {})."""
    threads: int
    """SHOP_THREADS: requests that one replica works on at a time (default 8)."""
    drain_file: Path | None
    """SHOP_DRAIN_FILE: once this file exists, /readyz answers 503 so that no new request is sent here."""
    drain_seconds: float | None
    """SHOP_DRAIN_SECONDS: on SIGTERM, how long to wait behind a new SHOP_DRAIN_FILE before stopping (default: none)."""
    log_level: str
    """SHOP_LOG_LEVEL: debug, info, warning or error (default warning; info logs each request)."""
    timeout: float
    """SHOP_TIMEOUT_SECONDS: what a request may spend on calls to other services, in all (default 2.0)."""
    feed_interval: float
    """SHOP_FEED_SECONDS: pause between two looks at another service's event feed (default 0.5)."""
    behind_gateway: bool
    """SHOP_BEHIND_GATEWAY: 1 when the gateway is in front and says where a request came from (default 0)."""

    @classmethod
    def from_env(cls, service: str, env: Mapping[str, str]) -> Config:
        """Read the settings from `env`; raise ConfigError with a sentence for one that cannot be used."""
        if env.get("SHOP_SERVICE", service) != service:
            raise ConfigError(f"SHOP_SERVICE is {env['SHOP_SERVICE']!r}, but this is {service!r}; unset it.")
        home = Path(env.get("SHOP_HOME", ".shop")).absolute()
        drain_file = env.get("SHOP_DRAIN_FILE")
        key = env.get("SHOP_SERVICE_KEY")
        return cls(
            service=service,
            host=env.get("SHOP_HOST", "127.0.0.1"),
            port=whole_number(env, "SHOP_PORT", 8000, 1, 65535),
            database_url=env.get("SHOP_DATABASE_URL") or sqlite_url(home / "data" / f"{service}.sqlite3"),
            urls=_urls(env),
            service_key=_raw_key("SHOP_SERVICE_KEY", key) if key else None,
            trusted_keys=_trusted_keys(env.get("SHOP_TRUSTED_KEYS", "{}")),
            threads=whole_number(env, "SHOP_THREADS", 8, 1, 64),
            drain_file=Path(drain_file) if drain_file else None,
            drain_seconds=seconds(env, "SHOP_DRAIN_SECONDS", 1.0) if env.get("SHOP_DRAIN_SECONDS") else None,
            log_level=one_of(env, "SHOP_LOG_LEVEL", "warning", ("debug", "info", "warning", "error")),
            timeout=seconds(env, "SHOP_TIMEOUT_SECONDS", 2.0),
            feed_interval=seconds(env, "SHOP_FEED_SECONDS", 0.5),
            behind_gateway=whole_number(env, "SHOP_BEHIND_GATEWAY", 0, 0, 1) == 1,
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


def _urls(env: Mapping[str, str]) -> dict[str, str]:
    urls = {}
    for name, value in env.items():
        if name.startswith("SHOP_") and name.endswith("_URL") and name != "SHOP_DATABASE_URL":
            if not value.startswith("http://"):
                raise ConfigError(
                    f"{name} is {value!r}; services call each other without TLS: "
                    "set it to an http:// address such as http://127.0.0.1:8001."
                )
            urls[name.removeprefix("SHOP_").removesuffix("_URL").lower()] = value.rstrip("/")
    return urls


def _raw_key(name: str, text: object) -> bytes:
    try:
        key = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{name} is not a raw Ed25519 key; set it to the base64 text of {KEY_BYTES} bytes.")
    return key


def _trusted_keys(text: str) -> dict[str, bytes]:
    try:
        keys = json.loads(text)
    except ValueError:
        keys = None
    if not isinstance(keys, dict):
        raise ConfigError("SHOP_TRUSTED_KEYS is not a JSON object; set it to {caller: base64 public key}.")
    return {caller: _raw_key(f"SHOP_TRUSTED_KEYS[{caller}]", key) for caller, key in keys.items()}
