"""Cart: what each customer wants to buy."""

from .routes import api
from .service import clear, put, read, remove

__all__ = ["api", "clear", "put", "read", "remove"]
