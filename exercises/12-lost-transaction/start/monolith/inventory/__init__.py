"""Inventory: a client of the service that has the stock."""

from .client import InventoryUnavailable, OutOfStock, availability, commit, release, reserve

__all__ = ["InventoryUnavailable", "OutOfStock", "availability", "commit", "release", "reserve"]
