"""Inventory: how many of each product there are."""

from .routes import api
from .service import OutOfStock, availability, set_available

__all__ = ["OutOfStock", "api", "availability", "set_available"]
