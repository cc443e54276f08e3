"""Cart: what each customer means to buy."""

from monolith.cart.routes import api
from monolith.cart.service import clear, put, read, remove

__all__ = ["api", "clear", "put", "read", "remove"]
