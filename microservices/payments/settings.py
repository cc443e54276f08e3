"""The settings that only payments has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..chassis.config import seconds


@dataclass(frozen=True, slots=True)
class Settings:
    """Read once, when the service starts."""

    payment_timeout: float
    """SHOP_PAYMENT_TIMEOUT_SECONDS: how long the payment provider may take (default 1.0)."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from `env`; raise ConfigError with a sentence for one that cannot be used."""
        return cls(payment_timeout=seconds(env, "SHOP_PAYMENT_TIMEOUT_SECONDS", 1.0))
