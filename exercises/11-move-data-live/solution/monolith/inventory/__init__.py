"""Inventory: how many of each product there are. The table moves to the service; the sale still happens here."""

from .reads import availability
from .routes import api
from .sender import start as start_sending
from .service import OutOfStock, set_available

__all__ = ["OutOfStock", "api", "availability", "set_available", "start_sending"]
