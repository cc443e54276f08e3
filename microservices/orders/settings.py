"""The settings that only orders has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Made once, when the service starts."""

    card_key: bytes
    """Cards are stored as a hash with this key, see cards.py."""
