"""Cart: what each customer wants to buy."""

from .routes import api
from .service import clear, put, quantities, read, remove

__all__ = ["api", "clear", "put", "quantities", "read", "remove"]
