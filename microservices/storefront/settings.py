"""The settings that only the storefront has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..chassis.config import origins


@dataclass(frozen=True, slots=True)
class Settings:
    """Read once, when the service starts."""

    trusted_origins: frozenset[str]
    """SHOP_TRUSTED_ORIGINS: addresses of this shop that a proxy hides from it, such as that of a forwarded port."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from `env`; raise ConfigError with a sentence for one that cannot be used."""
        return cls(trusted_origins=origins(env, "SHOP_TRUSTED_ORIGINS"))
