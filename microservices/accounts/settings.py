"""The settings that only accounts has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..chassis.config import whole_number


@dataclass(frozen=True, slots=True)
class Settings:
    """Read once, when the service starts."""

    token_minutes: int
    """SHOP_TOKEN_MINUTES: how long a sign-in is good for (default 30)."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from `env`; raise ConfigError with a sentence for one that cannot be used."""
        return cls(token_minutes=whole_number(env, "SHOP_TOKEN_MINUTES", 30, 1, 1440))
