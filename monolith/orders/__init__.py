"""Orders: checkout, the customer's history."""

from .cards import ensure_key
from .checkout import Placed, checkout
from .routes import api
from .service import UnknownOrder, history, show

__all__ = ["Placed", "UnknownOrder", "api", "checkout", "ensure_key", "history", "show"]
