"""Inventory: how many of each product there are."""

from monolith.inventory.routes import api
from monolith.inventory.service import OutOfStock, availability, set_available

__all__ = ["OutOfStock", "api", "availability", "set_available"]
